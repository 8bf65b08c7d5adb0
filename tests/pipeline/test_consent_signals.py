"""Consent in every way in which senders write it becomes one state of each category."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.pipeline.consent_signals import (
    MAX_SIGNALS,
    States,
    consent_signals,
    plain_consent,
    says_gpc,
    strictest,
    unread_categories,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["granted", "denied"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["ad_storage", "update", "default", "categoryPreferences", "region", ""])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def states_of(value: Json) -> States:
    return plain_consent(value).states


@pytest.mark.parametrize(
    "said, state",
    [("granted", "granted"), (True, "granted"), ("GRANTED ", "granted"), ("denied", "denied"), (False, "denied")],
)
def test_a_state_may_be_a_word_or_a_boolean(said: Json, state: str) -> None:
    assert states_of({"marketing": said}) == {"marketing": state}


@pytest.mark.parametrize("name", ["ad_user_data", "adUserData", "AdUserData", "ad-user-data", " ad_user_data "])
def test_the_names_of_consent_mode_are_known_in_any_spelling(name: str) -> None:
    assert states_of({name: "granted"}) == {"ad_user_data": "granted"}


def test_any_other_name_stays_as_it_is_written() -> None:
    assert states_of({"Data Sharing": True, "C0004": False}) == {"Data Sharing": "granted", "C0004": "denied"}


@pytest.mark.parametrize("said", [None, "unspecified", "UNKNOWN"])
def test_what_says_nothing_is_no_state(said: Json) -> None:
    assert states_of({"ad_storage": said}) == {}
    assert states_of(None) == {}


def test_groups_are_read_like_what_is_around_them() -> None:
    assert states_of({"google": {"ad_storage": "granted"}, "own": {"mail": False}, "b": True}) == {
        "ad_storage": "granted",
        "mail": "denied",
        "b": "granted",
    }


def test_an_update_of_consent_mode_counts_over_its_default() -> None:
    default = {"ad_storage": "denied", "analytics_storage": "denied", "wait_for_update": 500, "region": ["DE"]}
    found = states_of({"default": default, "update": {"ad_storage": "granted"}})
    assert found == {"ad_storage": "granted", "analytics_storage": "denied"}


def test_where_groups_disagree_the_denial_counts() -> None:
    assert states_of({"a": {"x": True}, "b": {"x": False}, "x": True}) == {"x": "denied"}
    assert states_of({"ad_storage": "denied", "adStorage": "granted"}) == {"ad_storage": "denied"}


@pytest.mark.parametrize(
    "value, unread",
    [
        ({"ad_storage": "maybe"}, {"ad_storage": "maybe"}),
        ({"ad_storage": 1, "version": 2}, {"ad_storage": 1, "version": 2}),
        ({"tcf": "CPXxRfA", "ids": []}, {"tcf": "CPXxRfA", "ids": []}),
        ({"ad_storage": None, "update": {}, "google": {"x": None}}, {}),
        ({"google": {"ad/storage": []}}, {"google": {"ad/storage": []}}),
        ({"google": {"more": {"ad_storage": True}}}, {"google": {"more": {"ad_storage": True}}}),
        ({"ad_storage": {"state": "granted"}}, {"ad_storage": {"state": "granted"}}),
    ],
)
def test_what_is_no_state_is_kept_and_costs_the_rest_nothing(value: dict[str, Json], unread: Json) -> None:
    assert plain_consent({**value, "analytics_storage": True}) == ({"analytics_storage": "granted"}, unread)


@pytest.mark.parametrize(
    "value, states",
    [
        ({"default": {"ad_storage": "granted"}, "update": {"ad_storage": "revoked"}}, {}),
        ({"ad_storage": "granted", "adStorage": "no"}, {}),
        ({"a": {"ad_storage": "granted", "sale": "granted"}, "b": {"ad_storage": "x"}}, {"sale": "granted"}),
        ({"default": {"ad_storage": "denied"}, "update": {"ad_storage": "revoked"}}, {"ad_storage": "denied"}),
    ],
)
def test_no_grant_counts_beside_what_cannot_be_read_of_the_same_category(value: Json, states: States) -> None:
    assert plain_consent(value).states == states


@pytest.mark.parametrize("value", [[], "granted", 1])
def test_what_is_no_object_is_refused_with_its_place(value: Json) -> None:
    with pytest.raises(Invalid) as refused:
        plain_consent(value)
    assert refused.value.pointer == "/consent"


def test_categories_whose_state_cannot_be_read_are_known_by_their_names_at_any_depth() -> None:
    extra = {"consent": {"adStorage": "maybe", "v": 2, "a": {"b": {"marketing": False}}, "said": "granted"}}
    assert unread_categories({"extra": extra}) == {"ad_storage", "v", "a", "b", "marketing"}
    assert unread_categories({"extra": {"consent": "maybe"}}) == unread_categories({}) == frozenset()


def test_segments_category_preferences() -> None:
    preferences = {"Advertising": False, "Functional": True, "DataSharing": None}
    found = consent_signals({"consent": {"categoryPreferences": preferences}})
    assert found == {"Advertising": "denied", "Functional": "granted"}


def test_rudderstacks_allowed_and_denied_ids() -> None:
    management = {
        "provider": "oneTrust",
        "allowedConsentIds": ["C0001", "C0003"],
        "deniedConsentIds": ["C0003", "C0004"],
    }
    assert consent_signals({"consentManagement": management}) == {
        "C0001": "granted",
        "C0003": "denied",
        "C0004": "denied",
    }
    ketch = {"allowedConsentIds": {"analytics": "Analytics"}, "deniedConsentIds": None}
    assert consent_signals({"consentManagement": ketch}) == {"analytics": "granted"}


def test_consent_modes_names_in_the_context() -> None:
    found = consent_signals({"consent": {"ad_storage": "denied", "by": "event", "at": None, "other": "granted"}})
    assert found == {"ad_storage": "denied"}


@pytest.mark.parametrize(
    "context, says",
    [
        ({"gpc": True}, True),
        ({"gpc": 1}, True),
        ({"gpc": "1"}, True),
        ({"extra": {"gpc": "true"}}, True),
        ({"globalPrivacyControl": True}, True),
        ({"gpc": False, "extra": {"globalPrivacyControl": "1"}}, True),
        ({"gpc": False}, False),
        ({"gpc": "0"}, False),
        ({"gpc": None}, False),
        ({"extra": [1]}, False),
        ({}, False),
    ],
)
def test_global_privacy_control_as_a_field(context: dict[str, Json], says: bool) -> None:
    assert says_gpc(context) is says


def test_of_too_many_categories_the_denied_ones_are_read_first() -> None:
    many = {f"c{number:03}": number >= 100 for number in range(200)}
    found = consent_signals({"consent": {"categoryPreferences": many}})
    assert len(found) == MAX_SIGNALS
    assert set(found.values()) == {"denied"}


@given(JSON, JSON)
def test_nothing_that_a_sender_writes_breaks_the_reading(consent: Json, management: Json) -> None:
    for context in (
        {"consent": consent, "consentManagement": management, "gpc": consent},
        {"consent": {"categoryPreferences": consent}, "consentManagement": {"deniedConsentIds": management}},
    ):
        assert set(consent_signals(context).values()) <= {"granted", "denied"}
        says_gpc(context)
    try:
        assert set(states_of(consent).values()) <= {"granted", "denied"}
    except Invalid as refused:
        assert refused.pointer is not None
        assert refused.pointer.startswith("/consent")


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["granted", "denied"]))))
def test_the_strictest_of_several_does_not_depend_on_their_order(said: Any) -> None:
    assert strictest(*said) == strictest(*reversed(said))
    assert strictest(strictest(*said)) == strictest(*said)
