"""Fields are taken out wherever the event has them, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.event import Event, Json, event_to_json
from tracklayer.pipeline.known_user import ADDRESS, TRAITS
from tracklayer.pipeline.redaction import MAX_PATHS, compile_redaction, redact


def event(**fields: Any) -> Event:
    given: dict[str, Any] = {"event_id": "e", "event_name": "purchase"} | fields
    return Event(occurred_at="2026-05-05T10:30:00Z", received_at="2026-05-05T10:30:00Z", **given)


def without(of: Event, *paths: str) -> Event:
    return redact(of, compile_redaction(paths))


def test_a_field_goes_and_its_neighbours_stay() -> None:
    full = event(user_data={"email": "a@b.c", "email_hash": "9f", "phone": "+1"}, properties={"value": 5})
    left = without(full, "user_data.email")
    assert left == event(user_data={"email_hash": "9f", "phone": "+1"}, properties={"value": 5})
    assert full.user_data["email"] == "a@b.c"


def test_whole_fields_become_empty() -> None:
    full = event(platform="web", segment=["vip"], user_data={"a": 1}, properties={"b": 1}, context={"c": 1})
    assert without(full, "platform", "segment", "user_data", "properties", "context") == event()


def test_items_of_lists() -> None:
    full = event(properties={"items": [{"sku": "A", "price": 1}, {"sku": "B"}, "C"]})
    assert without(full, "properties.items.sku").properties == {"items": [{"price": 1}, {}, "C"]}
    assert without(full, "properties.items.0.sku").properties == {"items": [{"price": 1}, {"sku": "B"}, "C"]}
    assert without(full, "properties.items.1").properties == {"items": [{"sku": "A", "price": 1}, None, "C"]}
    assert without(full, "properties.items.7.sku", "properties.items.7") == full


def test_what_is_not_there_needs_no_taking_out() -> None:
    full = event(user_data={"email": None}, properties={"a": {"b": 1}})
    assert without(full, "user_data.phone", "properties.a.b.c", "properties.x.y", "context.ip") == full


def test_a_trait_that_says_the_same_goes_too_however_it_is_spelled() -> None:
    traits = {"email": "a@b.c", "firstName": "Ada", "plan": "pro", "address": {"postalCode": "1", "city": "X"}}
    full = event(user_data={"first_name": "Ada"}, context={"traits": traits, "ip": "::1"})
    left = without(full, "user_data.email", "user_data.first_name", "user_data.postal_code")
    assert left.user_data == {}
    assert left.context == {"traits": {"plan": "pro", "address": {"city": "X"}}, "ip": "::1"}
    assert without(full, "user_data").context == {"ip": "::1"}


@pytest.mark.parametrize("trait", sorted({*TRAITS, *ADDRESS}))
def test_a_trait_that_is_read_as_a_field_goes_with_that_field(trait: str) -> None:
    field = TRAITS.get(trait) or ADDRESS[trait]
    full = event(context={"traits": {trait: "secret", "plan": "pro", "address": {trait: "secret"}}})
    assert without(full, f"user_data.{field}").context == {"traits": {"plan": "pro", "address": {}}}


@pytest.mark.parametrize("field", ["first_name", "last_name"])
def test_a_whole_name_goes_with_either_of_its_parts(field: str) -> None:
    full = event(context={"traits": {"name": "Ada Lovelace", "plan": "pro"}})
    assert without(full, f"user_data.{field}").context == {"traits": {"plan": "pro"}}


@pytest.mark.parametrize(
    "beside, path",
    [
        ({"email": "a@b.c"}, "user_data.email"),
        ({"userId": "u_1"}, "user_data.external_id"),
        ({"user_id": "u_1"}, "user_data.external_id"),
        ({"anonymousId": "b"}, "user_data.anonymous_id"),
        ({"phone": "1", "email": "a@b.c", "user_id": "u_1", "zip": "1"}, "user_data"),
        ({"traits": {"email": "a@b.c"}}, "user_data"),
    ],
)
def test_what_stood_at_the_top_of_what_was_sent_goes_with_the_field_that_says_the_same(
    beside: dict[str, Json], path: str
) -> None:
    full = event(context={"extra": {**beside, "z": 1}})
    assert without(full, path).context == {"extra": {"z": 1}}


def test_a_trait_that_a_call_of_another_kind_says_goes_too() -> None:
    full = event(context={"extra": {"traits": {"email": "a@b.c", "firstName": "Ada", "plan": "pro"}}})
    assert without(full, "user_data.email").context == {"extra": {"traits": {"firstName": "Ada", "plan": "pro"}}}


def test_what_an_alias_said_otherwise_goes_too() -> None:
    extra = {"user_data": {"email": "old@b.c", "vip": 1}, "custom_data": {"coupon": "X", "y": 1}, "z": 1}
    left = without(event(context={"extra": extra}), "user_data.email", "properties.coupon")
    assert left.context == {"extra": {"user_data": {"vip": 1}, "custom_data": {"y": 1}, "z": 1}}


def test_notes_do_not_quote_what_was_taken_out() -> None:
    notes = [
        {"path": "user_data.email", "from": " A@B.C", "why": "trimmed"},
        {"path": "properties.items.0.sku", "from": "a", "why": "upper case"},
        {"path": "properties.value", "from": "5", "why": "a number"},
    ]
    enriched = [
        {"by": "audiences", "paths": ["segment"], "names": ["vip"]},
        {"path": "segment", "by": "audiences", "names": ["vip"]},  # as earlier releases wrote it
    ]
    full = event(context={"normalized": notes, "enriched": enriched})
    left = without(full, "user_data", "properties.items.sku", "segment")
    assert left.context["normalized"] == [
        {"path": "user_data.email", "why": "trimmed"},
        {"path": "properties.items.0.sku", "why": "upper case"},
        notes[2],
    ]
    assert left.context["enriched"] == [
        {"by": "audiences", "paths": ["segment"]},
        {"path": "segment", "by": "audiences"},
    ]


@pytest.mark.parametrize(
    "path, words",
    [
        ("event_id", "cannot be redacted"),
        ("consent.ad_storage", "cannot be redacted"),
        ("email", "no field of an event"),
        ("segment.0", "no parts"),
        ("", "not a path"),
        ("user_data..email", "not a path"),
        ("user_data." + "x" * 256, "not a path"),
    ],
)
def test_a_path_that_is_no_field_of_an_event_is_refused_with_its_place(path: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        compile_redaction(["user_data.email", path])
    assert refused.value.pointer == "/redact/1"
    assert words in refused.value.detail


def test_the_number_of_paths_is_bounded() -> None:
    with pytest.raises(Invalid) as refused:
        compile_redaction(["user_data.x"] * (MAX_PATHS + 1))
    assert refused.value.pointer == "/redact"


NAMES = st.sampled_from(["email", "0", "items", "traits", "extra", "user_data", "normalized", "path", "from"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.just("SECRET"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: ".".join(["user_data", *names]))


@given(OBJECTS, OBJECTS, OBJECTS, st.lists(PATHS, min_size=1, max_size=4))
def test_in_any_order_and_any_number_of_times_it_is_the_same(
    user: Any, properties: Any, context: Any, paths: list[str]
) -> None:
    full = event(user_data=user, properties=properties, context=context)
    before = event_to_json(full)
    left = without(full, *paths)
    assert without(left, *paths) == left
    assert without(full, *reversed(paths)) == left
    assert event_to_json(full) == before
    assert without(full, "user_data").user_data == {}
