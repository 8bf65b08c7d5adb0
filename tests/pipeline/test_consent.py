from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.destination import Consent
from tracklayer.pipeline.consent import ConsentVerdict, evaluate_consent

CATEGORIES = st.sampled_from(["ad_storage", "ad_user_data", "analytics_storage"])
STATES: st.SearchStrategy[Any] = st.sampled_from(
    ["granted", "denied", True, False, None, "", "GRANTED", 1, 0, [], "yes"]
)


def test_no_policy_and_no_requirement_allow_everything() -> None:
    assert evaluate_consent(None, {"ad_storage": "denied"}) == ConsentVerdict(True)
    assert evaluate_consent(Consent(), {}) == ConsentVerdict(True)


@pytest.mark.parametrize("state", ["granted", True])
def test_a_granted_category_allows_without_a_reason(state: Any) -> None:
    assert evaluate_consent(Consent(requires=["ad_storage"]), {"ad_storage": state}) == ConsentVerdict(True)


@pytest.mark.parametrize("state", ["denied", False])
@pytest.mark.parametrize("when_unknown", ["allow", "deny"])
def test_a_denied_category_denies_whatever_the_policy_for_unknown_ones(state: Any, when_unknown: Any) -> None:
    policy = Consent(requires=["ad_storage"], when_unknown=when_unknown)
    assert evaluate_consent(policy, {"ad_storage": state}) == ConsentVerdict(False, "ad_storage is denied")


@pytest.mark.parametrize("state", [None, "", "Granted", 1, 0, [], {}])
def test_an_unknown_category_is_decided_by_the_policy(state: Any) -> None:
    deny, allow = Consent(requires=["ad_storage"]), Consent(requires=["ad_storage"], when_unknown="allow")
    expected = ConsentVerdict(False, "ad_storage is unknown (when_unknown is deny)")
    assert evaluate_consent(deny, {"ad_storage": state}) == expected
    assert evaluate_consent(deny, {}) == expected
    assert evaluate_consent(allow, {}) == ConsentVerdict(True, "ad_storage is unknown (when_unknown is allow)")


def test_the_reason_names_every_category_that_is_missing() -> None:
    policy = Consent(requires=["ad_storage", "ad_user_data", "analytics_storage"])
    verdict = evaluate_consent(policy, {"ad_storage": "denied", "ad_user_data": "granted"})
    assert verdict.reason == "ad_storage is denied; analytics_storage is unknown (when_unknown is deny)"


@given(st.lists(CATEGORIES), st.sampled_from(["allow", "deny"]), st.dictionaries(CATEGORIES, STATES))
def test_nothing_is_allowed_that_someone_denied(
    requires: list[str], when_unknown: Any, granted: dict[str, Any]
) -> None:
    verdict = evaluate_consent(Consent(requires=requires, when_unknown=when_unknown), granted)
    states = [granted.get(category) for category in requires]
    if any(state is False or state == "denied" for state in states):
        assert not verdict.allowed
    if when_unknown == "deny":
        assert verdict.allowed == all(state is True or state == "granted" for state in states)
    assert verdict.allowed or verdict.reason
