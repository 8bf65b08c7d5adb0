"""Consent in every way in which senders write it becomes one state of each category."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.pipeline.consent_signals import MAX_SIGNALS, consent_signals, plain_consent, says_gpc, strictest

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


@pytest.mark.parametrize(
    "said, state",
    [("granted", "granted"), (True, "granted"), ("GRANTED ", "granted"), ("denied", "denied"), (False, "denied")],
)
def test_a_state_may_be_a_word_or_a_boolean(said: Json, state: str) -> None:
    assert plain_consent({"marketing": said}) == {"marketing": state}


@pytest.mark.parametrize("name", ["ad_user_data", "adUserData", "AdUserData", "ad-user-data", " ad_user_data "])
def test_the_names_of_consent_mode_are_known_in_any_spelling(name: str) -> None:
    assert plain_consent({name: "granted"}) == {"ad_user_data": "granted"}


def test_any_other_name_stays_as_it_is_written() -> None:
    assert plain_consent({"Data Sharing": True, "C0004": False}) == {"Data Sharing": "granted", "C0004": "denied"}


@pytest.mark.parametrize("said", ["unspecified", "UNKNOWN"])
def test_what_says_nothing_is_no_state(said: Json) -> None:
    assert plain_consent({"ad_storage": said}) == {}
    assert plain_consent(None) == {}


def test_groups_are_read_like_what_is_around_them() -> None:
    assert plain_consent({"google": {"ad_storage": "granted"}, "own": {"mail": False}, "b": True}) == {
        "ad_storage": "granted",
        "mail": "denied",
        "b": "granted",
    }


def test_an_update_of_consent_mode_counts_over_its_default() -> None:
    default = {"ad_storage": "denied", "analytics_storage": "denied", "wait_for_update": 500, "region": ["DE"]}
    found = plain_consent({"default": default, "update": {"ad_storage": "granted"}})
    assert found == {"ad_storage": "granted", "analytics_storage": "denied"}


def test_where_groups_disagree_the_denial_counts() -> None:
    assert plain_consent({"a": {"x": True}, "b": {"x": False}, "x": True}) == {"x": "denied"}
    assert plain_consent({"ad_storage": "denied", "adStorage": "granted"}) == {"ad_storage": "denied"}


@pytest.mark.parametrize(
    "value, pointer",
    [
        ([], "/consent"),
        ({"ad_storage": "maybe"}, "/consent/ad_storage"),
        ({"ad_storage": 1}, "/consent/ad_storage"),
        ({"ad_storage": None}, "/consent/ad_storage"),
        ({"google": {}}, "/consent/google"),
        ({"google": {"ad/storage": []}}, "/consent/google/ad~1storage"),
        ({"google": {"more": {"ad_storage": True}}}, "/consent/google/more"),
    ],
)
def test_what_is_no_state_is_refused_with_its_place(value: Json, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        plain_consent(value)
    assert refused.value.pointer == pointer


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
        assert set(plain_consent(consent).values()) <= {"granted", "denied"}
    except Invalid as refused:
        assert refused.pointer is not None
        assert refused.pointer.startswith("/consent")


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["granted", "denied"]))))
def test_the_strictest_of_several_does_not_depend_on_their_order(said: Any) -> None:
    assert strictest(*said) == strictest(*reversed(said))
    assert strictest(strictest(*said)) == strictest(*said)
