"""What a user consents to: who is heard when several speak, and what a destination makes of it."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.destination import Consent
from tracklayer.model.event import Event
from tracklayer.model.moment import rfc3339
from tracklayer.model.profile import Profile, ProfileUpdate, merge_profile
from tracklayer.model.rules import ConsentState
from tracklayer.pipeline.consent import (
    ConsentVerdict,
    Resolved,
    Standing,
    compile_defaults,
    consent_now,
    evaluate_consent,
    resolve_consent,
    with_consent,
)
from tracklayer.pipeline.consent_signals import AD_CATEGORIES

AT = 1_770_000_000.0
DAY = 86_400.0

CATEGORIES = st.sampled_from(["ad_storage", "ad_user_data", "analytics_storage", "marketing"])
STATES: st.SearchStrategy[Any] = st.sampled_from(["granted", "denied"])
SAID = st.dictionaries(CATEGORIES, STATES)
TIMES = st.integers(-3, 3).map(lambda days: AT + days * DAY)
REMEMBERED = st.dictionaries(CATEGORIES, st.tuples(STATES, TIMES))
DEFAULTS = st.dictionaries(CATEGORIES, st.tuples(STATES, st.sampled_from(["DE", "EEA", "*"])))


def resolved(
    said: Any = None, *, signals: Any = None, remembered: Any = None, defaults: Any = None, gpc: bool = False
) -> Resolved:
    return resolve_consent(said or {}, signals or {}, remembered or {}, defaults or {}, gpc=gpc, at=AT)


def event(*, occurred_at: float = AT, received_at: float = AT, **fields: Any) -> Event:
    given: dict[str, Any] = {"event_id": "e", "event_name": "purchase", **fields}
    return Event(occurred_at=rfc3339(occurred_at), received_at=rfc3339(received_at), **given)


# Who is heard


def test_what_the_event_says_counts_over_what_was_remembered_before_and_over_the_default() -> None:
    found = resolved(
        {"ad_storage": "granted"},
        remembered={"ad_storage": ("denied", AT - DAY)},
        defaults={"ad_storage": ("denied", "EEA")},
    )
    assert found.standings == {"ad_storage": Standing("granted", "event", AT)}
    assert found.to_remember == {"ad_storage": "granted"}


def test_a_consent_that_was_withdrawn_since_wins_over_the_event() -> None:
    found = resolved({"ad_storage": "granted"}, remembered={"ad_storage": ("denied", AT + DAY)})
    assert found.standings == {"ad_storage": Standing("denied", "profile", AT + DAY)}


def test_a_grant_given_since_does_not_reach_back_to_an_event_that_says_denied() -> None:
    found = resolved({"ad_storage": "denied"}, remembered={"ad_storage": ("granted", AT + DAY)})
    assert found.standings == {"ad_storage": Standing("denied", "event", AT)}


def test_of_two_statements_at_the_same_time_the_denial_counts() -> None:
    assert resolved({"a": "granted"}, remembered={"a": ("denied", AT)}).states == {"a": "denied"}
    assert resolved({"a": "denied"}, remembered={"a": ("granted", AT)}).states == {"a": "denied"}


@pytest.mark.parametrize("state", ["granted", "denied"])
@pytest.mark.parametrize("at", [AT - DAY, AT + DAY])
def test_what_the_event_does_not_say_comes_from_memory_then_from_the_region(state: Any, at: float) -> None:
    found = resolved(
        {"a": "granted"}, remembered={"b": (state, at)}, defaults={"b": ("denied", "EEA"), "c": ("denied", "EEA")}
    )
    assert found.standings == {
        "a": Standing("granted", "event", AT),
        "b": Standing(state, "profile", at),
        "c": Standing("denied", "default:EEA"),
    }
    assert found.to_remember == {"a": "granted"}


def test_global_privacy_control_denies_ads_whatever_else_is_said() -> None:
    granted = dict.fromkeys((*AD_CATEGORIES, "analytics_storage"), "granted")
    found = resolved(
        granted,
        signals=granted,
        remembered=dict.fromkeys(AD_CATEGORIES, ("granted", AT + DAY)),
        defaults=dict.fromkeys(AD_CATEGORIES, ("granted", "*")),
        gpc=True,
    )
    assert found.states == dict.fromkeys(AD_CATEGORIES, "denied") | {"analytics_storage": "granted"}
    assert {found.standings[name].by for name in AD_CATEGORIES} == {"gpc"}
    assert found.to_remember == found.states


def test_an_explicit_grant_after_a_privacy_signal_counts_for_later_events() -> None:
    memory = dict.fromkeys(AD_CATEGORIES, ("denied", AT - DAY))
    assert resolved({"ad_storage": "granted"}, remembered=memory).states["ad_storage"] == "granted"


@given(SAID, SAID, REMEMBERED, DEFAULTS, st.booleans(), CATEGORIES)
def test_another_denial_never_makes_more_granted(
    said: Any, signals: Any, remembered: Any, defaults: Any, gpc: bool, category: str
) -> None:
    def granted(**changes: Any) -> set[str]:
        given = {"said": said, "signals": signals, "remembered": remembered, "defaults": defaults, "gpc": gpc}
        return {name for name, state in resolved(**(given | changes)).states.items() if state == "granted"}

    before = granted()
    at = remembered.get(category, ("", AT))[1]
    assert granted(said={**said, category: "denied"}) <= before
    assert granted(signals={**signals, category: "denied"}) <= before
    assert granted(remembered={**remembered, category: ("denied", at)}) <= before
    assert granted(defaults={**defaults, category: ("denied", "EEA")}) <= before
    assert granted(gpc=True) <= before
    assert category not in granted(said={**said, category: "denied"}, signals={}, gpc=False)


@given(SAID, SAID, REMEMBERED, DEFAULTS, st.booleans())
def test_the_order_of_what_is_said_makes_no_difference(
    said: Any, signals: Any, remembered: Any, defaults: Any, gpc: bool
) -> None:
    def turned(mapping: Any) -> Any:
        return dict(reversed(list(mapping.items())))

    assert resolved(said, signals=signals, remembered=remembered, defaults=defaults, gpc=gpc) == resolved(
        turned(signals), signals=turned(said), remembered=turned(remembered), defaults=turned(defaults), gpc=gpc
    )


@given(SAID, SAID, REMEMBERED, DEFAULTS, st.booleans())
def test_resolving_again_changes_nothing(said: Any, signals: Any, remembered: Any, defaults: Any, gpc: bool) -> None:
    once = resolved(said, signals=signals, remembered=remembered, defaults=defaults, gpc=gpc)
    assert resolved(once.states, remembered=remembered, defaults=defaults, gpc=gpc).states == once.states
    memory = merge_profile(
        Profile(consent=remembered), ProfileUpdate(user_key="u", consent=dict(once.to_remember), at=AT)
    )
    again = resolved(said, signals=signals, remembered=memory.consent, defaults=defaults, gpc=gpc)
    assert again.states == once.states


# On the event


def test_an_event_of_which_nothing_is_known_stays_as_it_is() -> None:
    plain = event(context={"consent": {"note": "theirs"}})
    made = with_consent(plain, {}, compile_defaults({"EEA": {"ad_storage": "denied"}}))
    assert made.event is plain
    assert made.to_remember == {}


def test_the_event_tells_where_its_consent_comes_from() -> None:
    made = with_consent(event(consent={"ad_storage": "granted"}), {}, compile_defaults({}))
    assert made.event.context == {"consent": {"by": "event", "at": rfc3339(AT)}}
    assert (made.to_remember, made.at) == ({"ad_storage": "granted"}, AT)

    made = with_consent(event(), {"ad_storage": ("denied", AT - DAY)}, compile_defaults({}))
    assert made.event.consent == {"ad_storage": "denied"}
    assert made.event.context == {"consent": {"by": "profile", "at": rfc3339(AT - DAY)}}
    assert made.to_remember == {}

    made = with_consent(event(), {}, compile_defaults({"*": {"ad_storage": "denied"}}))
    assert made.event.context == {"consent": {"by": "default:*", "at": None}}


def test_where_categories_have_several_sources_each_tells_its_own() -> None:
    german = event(consent={"a": "granted"}, user_data={"country": "DE"}, context={"gpc": True})
    made = with_consent(
        german, {"b": ("granted", AT - DAY)}, compile_defaults({"EEA": {"c": "denied", "ad_storage": "granted"}})
    )
    found = made.event.context["consent"]
    assert (found["by"], found["at"]) == ("mixed", rfc3339(AT))
    assert {name: each["by"] for name, each in found["categories"].items()} == {
        "a": "event",
        "b": "profile",
        "c": "default:EEA",
        **dict.fromkeys(AD_CATEGORIES, "gpc"),
    }
    assert made.event.consent["ad_storage"] == "denied"


def test_what_else_a_sender_has_in_its_context_stays_there() -> None:
    preferences = {"categoryPreferences": {"Advertising": False}}
    made = with_consent(
        event(context={"consent": {**preferences, "by": "them", "categories": 1}}), {}, compile_defaults({})
    )
    assert made.event.consent == {"Advertising": "denied"}
    assert made.event.context["consent"] == {**preferences, "by": "event", "at": rfc3339(AT)}
    made = with_consent(event(context={"consent": "yes"}, consent={"a": "granted"}), {}, compile_defaults({}))
    assert made.event.context == {"consent": {"by": "event", "at": rfc3339(AT)}, "consent_2": "yes"}


def test_nobody_consents_in_the_future() -> None:
    made = with_consent(event(occurred_at=AT + DAY, received_at=AT, consent={"a": "granted"}), {}, compile_defaults({}))
    assert made.at == AT
    made = with_consent(event(occurred_at=AT - DAY, received_at=AT, consent={"a": "granted"}), {}, compile_defaults({}))
    assert made.at == AT - DAY


@pytest.mark.parametrize("said", ["maybe", 1, {"state": "granted"}])
def test_what_cannot_be_read_is_never_a_grant_and_a_denial_of_before_counts(said: Any) -> None:
    context = {"extra": {"consent": {"ad_storage": said, "analytics_storage": said, "version": 2}}}
    unread = event(context=context, consent={"marketing": "granted"})
    memory = {"ad_storage": ("granted", AT - DAY), "analytics_storage": ("denied", AT - DAY)}
    defaults = compile_defaults({"*": {"ad_storage": "granted", "marketing": "denied"}})
    found = with_consent(unread, memory, defaults).event
    assert found.consent == {"marketing": "granted", "analytics_storage": "denied"}
    later = consent_now(found, {"ad_storage": ("granted", AT + DAY)})
    assert "ad_storage" not in later
    assert later["marketing"].state == "granted"


def test_the_header_counts_like_the_field() -> None:
    assert with_consent(event(), {}, compile_defaults({}), gpc=True).event.consent == dict.fromkeys(
        AD_CATEGORIES, "denied"
    )


# By now


@pytest.mark.parametrize(
    "stands, now, expected",
    [
        (("granted", "event", AT), ("denied", AT + 1), "denied"),
        (("granted", "event", AT), ("denied", AT - 1), "granted"),
        (("denied", "event", AT), ("granted", AT + 1), "denied"),
        (("denied", "gpc", AT), ("granted", AT + 1), "denied"),
        (("denied", "profile", AT), ("granted", AT + 1), "granted"),
        (("granted", "profile", AT), ("denied", AT + 1), "denied"),
        (("denied", "default:EEA", None), ("granted", AT - 1), "granted"),
        (("granted", "default:*", None), ("denied", AT - 1), "denied"),
    ],
)
def test_what_is_remembered_by_now_is_held_against_where_the_event_has_it_from(
    stands: Any, now: Any, expected: str
) -> None:
    state, by, at = stands
    source = {"by": by, "at": None if at is None else rfc3339(at)}
    stored = event(consent={"a": state}, context={"consent": source})
    assert consent_now(stored, {"a": now})["a"].state == expected
    mixed = {"by": "mixed", "at": None, "categories": {"a": source}}
    stored = event(consent={"a": state}, context={"consent": mixed})
    assert consent_now(stored, {"a": now})["a"].state == expected


def test_what_the_event_does_not_say_may_be_known_by_now() -> None:
    assert consent_now(event(), {"a": ("granted", AT)}) == {"a": Standing("granted", "profile", AT)}


@pytest.mark.parametrize("context", [{}, {"consent": {"by": "us", "at": "tomorrow"}}, {"consent": [1]}])
def test_an_event_stored_without_its_sources_says_it_itself(context: Any) -> None:
    stored = event(consent={"a": "granted", "b": 7, "c": True}, context=context)
    assert consent_now(stored, {}) == {"a": Standing("granted", "event", AT), "c": Standing("granted", "event", AT)}


@given(SAID, REMEMBERED, st.booleans(), REMEMBERED)
def test_once_it_is_stored_news_can_only_take_away_what_the_event_granted(
    said: Any, remembered: Any, gpc: bool, news: Any
) -> None:
    made = with_consent(event(consent=said), remembered, compile_defaults({}), gpc=gpc)
    assert {name: each.state for name, each in consent_now(made.event, remembered).items()} == made.event.consent
    by_now = consent_now(made.event, news)
    for category, state in said.items():
        if state == "denied":
            assert by_now[category].state == "denied"


# What a destination makes of it


def standing(**states: Any) -> dict[str, Standing]:
    return {category: Standing(state, "event", AT) for category, state in states.items()}


def test_no_policy_and_no_requirement_allow_everything() -> None:
    assert evaluate_consent(None, standing(ad_storage="denied")) == ConsentVerdict(True)
    assert evaluate_consent(Consent(), {}) == ConsentVerdict(True)


def test_a_granted_category_allows_without_a_reason() -> None:
    policy = Consent(requires=["ad_storage"])
    assert evaluate_consent(policy, standing(ad_storage="granted")) == ConsentVerdict(True)


@pytest.mark.parametrize("when_unknown", ["allow", "deny"])
def test_a_denied_category_denies_whatever_the_policy_for_unknown_ones(when_unknown: Any) -> None:
    policy = Consent(requires=["ad_storage"], when_unknown=when_unknown)
    expected = ConsentVerdict(False, "ad_storage is denied by the event")
    assert evaluate_consent(policy, standing(ad_storage="denied")) == expected


def test_an_unknown_category_is_decided_by_the_policy() -> None:
    deny, allow = Consent(requires=["ad_storage"]), Consent(requires=["ad_storage"], when_unknown="allow")
    expected = ConsentVerdict(False, "ad_storage is unknown (when_unknown is deny)")
    assert evaluate_consent(deny, {}) == expected
    assert evaluate_consent(allow, {}) == ConsentVerdict(True, "ad_storage is unknown (when_unknown is allow)")


@pytest.mark.parametrize("spelling", ["adStorage", "ad-storage", " AD_STORAGE "])
def test_a_policy_names_a_category_in_any_spelling_as_events_do(spelling: str) -> None:
    policy = Consent(requires=[spelling])
    assert evaluate_consent(policy, standing(ad_storage="granted")) == ConsentVerdict(True)
    assert evaluate_consent(policy, standing(ad_storage="denied")).reason == "ad_storage is denied by the event"
    made = with_consent(event(), {}, compile_defaults({"*": {spelling: "denied"}}))
    assert made.event.consent == {"ad_storage": "denied"}


def test_of_two_spellings_of_a_category_in_the_defaults_the_denial_counts() -> None:
    both: list[dict[str, ConsentState]] = [
        {"ad_storage": "denied", "adStorage": "granted"},
        {"adStorage": "granted", "ad_storage": "denied"},
    ]
    for states in both:
        made = with_consent(event(), {}, compile_defaults({"*": states}))
        assert made.event.consent == {"ad_storage": "denied"}


@pytest.mark.parametrize(
    "by, at, words",
    [
        ("event", AT, "denied by the event"),
        ("gpc", AT, "denied by Global Privacy Control"),
        ("profile", AT, f"denied by the user, remembered since {rfc3339(AT)}"),
        ("default:EEA", None, "denied by the default of EEA"),
        ("default:*", None, "denied by the default of every region"),
    ],
)
def test_a_denial_says_by_whom(by: str, at: float | None, words: str) -> None:
    verdict = evaluate_consent(Consent(requires=["ad_storage"]), {"ad_storage": Standing("denied", by, at)})
    assert verdict.reason == f"ad_storage is {words}"


def test_the_reason_names_every_category_that_is_missing_once() -> None:
    policy = Consent(requires=["ad_storage", "ad_user_data", "analytics_storage", "ad_storage"])
    verdict = evaluate_consent(policy, standing(ad_storage="denied", ad_user_data="granted"))
    expected = "ad_storage is denied by the event; analytics_storage is unknown (when_unknown is deny)"
    assert verdict == ConsentVerdict(False, expected)


def test_a_policy_that_redacts_lets_it_go_without_its_fields() -> None:
    policy = Consent(requires=["a"], when_denied="redact", redact=["user_data.email", "context.ip"])
    verdict = evaluate_consent(policy, standing(a="denied"))
    assert verdict == ConsentVerdict(True, "a is denied by the event", ("user_data.email", "context.ip"))
    assert evaluate_consent(policy, {}).redact == ("user_data.email", "context.ip")
    assert evaluate_consent(policy, standing(a="granted")).redact == ()
    assert evaluate_consent(msgspec.structs.replace(policy, when_unknown="allow"), {}).redact == ()


@given(st.lists(CATEGORIES), st.sampled_from(["allow", "deny"]), st.sampled_from(["suppress", "redact"]), SAID)
def test_nothing_is_allowed_whole_that_someone_denied(
    requires: list[str], when_unknown: Any, when_denied: Any, said: Any
) -> None:
    policy = Consent(requires=requires, when_unknown=when_unknown, when_denied=when_denied, redact=["user_data"])
    verdict = evaluate_consent(policy, standing(**said))
    whole = verdict.allowed and not verdict.redact
    states = [said.get(category) for category in requires]
    if "denied" in states:
        assert not whole
        assert verdict.allowed == (when_denied == "redact")
    if when_unknown == "deny":
        assert whole == all(state == "granted" for state in states)
    assert whole or verdict.reason


def test_no_order_of_requirements_changes_the_verdict() -> None:
    said = standing(a="denied", b="granted")
    allowed = {
        evaluate_consent(Consent(requires=list(order), when_unknown="allow"), said).allowed
        for order in itertools.permutations(["a", "b", "c"])
    }
    assert allowed == {False}
