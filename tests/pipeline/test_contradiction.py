from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.test_filter import JSON, OPERATORS, SCALARS
from tracklayer.model.event import Event, event_fields
from tracklayer.pipeline.contradiction import MOST, contradiction, event_names, read_filter, wanted_of_lists
from tracklayer.pipeline.filter import compile_filter

NAMED: dict[str, Any] = {"event_name": ["purchase"]}


def never(spec: dict[str, Any]) -> str | None:
    compile_filter(spec, max_depth=20)
    return contradiction(read_filter(spec))


@pytest.mark.parametrize(
    "spec, why",
    [
        ({**NAMED, "$not": NAMED}, "event_name would have to be one of 'purchase' and not one of 'purchase'"),
        ({"event_name": {"$in": ["a"], "$nin": ["a"]}}, "event_name would have to be one of 'a' and none of 'a'"),
        ({"properties.x": {"$in": [1, "a"], "$nin": [True, "a", Decimal("1.0")]}}, "properties.x would have to be"),
        ({"properties.x": "a", "$and": [{"properties.x": {"$ne": "a"}}]}, "'a' and anything but 'a'"),
        ({"properties.x": {"$exists": False, "$gt": 1}}, "no value and more than 1"),
        ({"properties.x": {"$gt": 5}, "$not": {"properties.x": {"$gt": 3}}}, "more than 5 and not more than 3"),
        ({"event_name": {"$gt": "b", "$lt": "a"}}, "more than 'b' and less than 'a'"),
        ({"event_name": ["a", "b"], "$and": [{"event_name": "c"}]}, "one of 'a', 'b' and 'c'"),
        ({"event_name": {"$in": ["a"], "$prefix": "b"}}, "one of 'a' and a text that starts with 'b'"),
        ({"event_name": 5}, "event_name would have to be 5"),
        ({"event_name": {"$exists": False}}, "event_name would have to be no value"),
        ({"event_name.first": "a"}, "event_name.first would have to be 'a'"),
        ({"properties": {"$exists": False}}, "properties would have to be no value"),
        ({"platform": {"$gte": "b", "$lte": "b", "$ne": "b"}}, "at least 'b' and at most 'b'"),
        ({"$or": [{**NAMED, "$not": NAMED}, {"event_name": {"$gt": "b", "$lt": "a"}}]}, "one of 'purchase' and not"),
        ({**NAMED, "$or": [{"event_name": "a"}, {"event_name": "b"}]}, "one of 'purchase' and 'a'"),
        ({**NAMED, "$not": {"$or": [NAMED, {"platform": "web"}]}}, "one of 'purchase' and not one of 'purchase'"),
        ({"$not": {"$not": {"event_name": 5}}}, "event_name would have to be 5"),
        ({"$not": {}}, "the filter under $not matches every event"),
        ({"$not": {"platform": []}}, "the filter under $not matches every event"),
    ],
)
def test_what_leaves_no_event_is_found_with_its_reason(spec: dict[str, Any], why: str) -> None:
    assert why in str(never(spec))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"platform": []},
        NAMED,
        {"properties.value": {"$gt": 5, "$lt": 10}},
        {"properties.value": {"$gte": 5, "$lte": 5}},
        {"properties.value": {"$gte": 5}, "$not": {"properties.value": {"$gt": 5}}},
        {"properties.value": {"$gt": 10, "$lt": 5}},  # [12, 3]
        {"properties.x": {"$eq": "a", "$in": ["b"]}},  # ["a", "b"]
        {"properties.x": {"$exists": True, "$eq": None}},  # [null]
        {"segment": "a", "$and": [{"segment": "b"}]},
        {"platform": None},
        {"$or": [{"event_name": 5}, {"platform": "web"}]},
        {"$not": {**NAMED, "platform": "web"}, "event_name": ["purchase"]},
        {"properties.x": {"$ne": 1}, "$not": {"properties.x": 2}},
    ],
)
def test_what_an_event_can_match_is_no_contradiction(spec: dict[str, Any]) -> None:
    assert never(spec) is None


def test_bounds_that_only_items_of_a_list_can_meet_are_told_with_their_path() -> None:
    def lists(spec: dict[str, Any]) -> dict[str, str]:
        return dict(wanted_of_lists(read_filter(spec)))

    assert lists({"properties.value": {"$gt": 10, "$lt": 5}}) == {"properties.value": "more than 10 and less than 5"}
    assert lists({"properties.value": {"$gt": 5, "$lt": 10}, "segment": "a", "properties.x": {"$ne": 1}}) == {}


def test_a_filter_of_very_many_conditions_is_not_looked_into() -> None:
    spec: dict[str, Any] = {"$and": [{"event_name": {"$ne": str(number)}} for number in range(MOST)], "event_name": 5}
    assert never(spec) is None
    assert never({"$and": spec["$and"][:-1], "event_name": 5}) is not None


def test_every_name_that_the_event_name_is_compared_with_is_known() -> None:
    spec = {
        "event_name": ["a", 1],
        "$or": [{"event_name": {"$ne": "b"}}, {"$not": {"event_name": {"$nin": ["c"], "$prefix": "d"}}}],
        "platform": "e",
    }
    assert event_names(read_filter(spec)) == {"a", "b", "c"}


TEXTS = st.sampled_from(["a", "ab", "b"])
PATHS = st.sampled_from(
    ["event_name", "platform", "segment", "segment.0", "properties", "properties.a", "properties.a.0", "traits.a"]
)
LEAVES = st.dictionaries(PATHS, SCALARS | st.lists(SCALARS, max_size=3) | OPERATORS, max_size=2)
RULES = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={"event_name": st.lists(TEXTS, max_size=2), "properties.a": OPERATORS, "$not": inner}
        | dict.fromkeys(["$and", "$or"], st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("ab0"), JSON, max_size=2)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """What a rule sees of any event that has been accepted."""
    event = Event(
        event_id="1",
        event_name=draw(TEXTS),
        occurred_at="2026-05-05T10:30:00Z",
        received_at="2026-05-05T10:30:00Z",
        platform=draw(st.none() | TEXTS),
        segment=draw(st.lists(TEXTS, max_size=2)),
        properties=draw(OBJECTS),
    )
    return event_fields(event) | {"traits": draw(OBJECTS)}


@given(RULES, st.lists(events(), min_size=3, max_size=8))
def test_what_is_a_contradiction_matches_no_event_and_what_only_lists_can_match_no_other(
    rule: dict[str, Any], every: list[dict[str, Any]]
) -> None:
    reading = read_filter(rule)
    compiled = compile_filter(rule, max_depth=20, roots=(*Event.__struct_fields__, "traits"))
    matching = [event for event in every if compiled.matches(event)]
    if contradiction(reading) is not None:
        assert matching == []
        return
    for path in wanted_of_lists(reading):
        root, *below = path.split(".")
        for event in matching:
            value = event[root]
            for part in below:
                value = value[int(part)] if isinstance(value, list) else value[part]
            assert isinstance(value, list)
