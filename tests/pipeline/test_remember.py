from __future__ import annotations

from typing import Any

from tracklayer.model.event import Event
from tracklayer.model.profile import ProfileUpdate
from tracklayer.pipeline.remember import profile_updates

AT = 1_777_977_000.0
BOTH = {"external_id": "u1", "anonymous_id": "a1"}


def said(name: str, occurred_at: str = "2026-05-05T10:30:00Z", **fields: Any) -> list[ProfileUpdate]:
    event = Event(event_id="e", event_name=name, occurred_at=occurred_at, received_at="", **fields)
    return profile_updates(event, AT + 60)


def test_the_traits_of_identify_are_remembered_under_both_ids() -> None:
    traits = {"plan": "pro", "left": None}
    assert said("identify", user_data=BOTH, context={"traits": traits}) == [
        ProfileUpdate(user_key="u1", traits=traits, at=AT),
        ProfileUpdate(user_key="anonymous:a1", traits=traits, owner="u1", at=AT),
    ]


def test_an_identify_without_traits_still_tells_who_is_in_the_browser_now() -> None:
    named = [ProfileUpdate(user_key="anonymous:a1", owner="u1", at=AT)]
    contexts: list[dict[str, Any]] = [{}, {"traits": {}}, {"traits": "pro"}]
    for context in contexts:
        assert said("identify", user_data=BOTH, context=context) == named


def test_a_group_is_its_users_in_the_browser_too() -> None:
    assert said("group", user_data=BOTH, context={"group": {"id": "g1"}}) == [
        ProfileUpdate(user_key="u1", group="g1", at=AT),
        ProfileUpdate(user_key="anonymous:a1", group="g1", owner="u1", at=AT),
    ]


def test_a_group_is_joined_and_has_traits_of_its_own() -> None:
    context = {"group": {"id": "g1", "traits": {"employees": 12}}, "traits": {"plan": "pro"}}
    assert said("group", user_data={"external_id": "u1"}, context=context) == [
        ProfileUpdate(user_key="u1", group="g1", at=AT),
        ProfileUpdate(user_key="group:g1", traits={"employees": 12}, at=AT),
    ]
    assert said("group", user_data={"external_id": "u1"}, context={"group": {"id": "g1"}}) == [
        ProfileUpdate(user_key="u1", group="g1", at=AT)
    ]


def test_what_is_said_of_the_future_is_said_now() -> None:
    (update,) = said(
        "identify", "2999-01-01T00:00:00.123456789Z", user_data={"external_id": "u"}, context={"traits": {"a": 1}}
    )
    assert update.at == AT + 60


def test_other_events_say_nothing() -> None:
    context = {"traits": {"plan": "pro"}, "group": {"id": "g1", "traits": {"a": 1}}}
    assert said("purchase", user_data=BOTH, context=context) == []


def test_what_names_nobody_or_has_another_shape_is_not_remembered() -> None:
    assert said("identify", context={"traits": {"plan": "pro"}}) == []
    assert said("identify", user_data={"anonymous_id": "a1"}, context={"traits": "pro"}) == []
    assert said("group", user_data=BOTH, context={"group": "g1"}) == []
    assert said("group", user_data=BOTH, context={"group": {"id": 7}}) == []
