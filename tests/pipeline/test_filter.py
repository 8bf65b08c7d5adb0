from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.event import Event, event_fields
from tracklayer.pipeline.filter import MAX_DEPTH, compile_filter

PURCHASE = event_fields(
    Event(
        event_id="ord_1",
        event_name="purchase",
        occurred_at="2026-05-05T10:30:00Z",
        received_at="2026-05-05T10:30:01Z",
        platform="shopify",
        segment=["vip_customers", "newsletter"],
        user_data={"email": "ada@example.com", "phone": None},
        properties={
            "value": Decimal("149.90"),
            "quantity": 3,
            "gift": True,
            "sizes": [38, 42],
            "nothing": [],
            "items": [{"sku": "A-1", "tags": ["new"]}, {"sku": "B-2"}],
        },
    )
)
GUIDE = {
    "event_name": ["purchase", "refund_requested"],
    "platform": ["shopify"],
    "segment": ["vip_customers", "b2b_accounts"],
}


def matches(spec: dict[str, Any], fields: dict[str, Any] = PURCHASE) -> bool:
    return compile_filter(spec).matches(fields)


def nested(depth: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"platform": "shopify"}
    for _ in range(depth - 1):
        spec = {"$not": spec}
    return spec


def test_the_guides_filter_is_and_over_keys_and_or_inside_a_list() -> None:
    assert matches(GUIDE)
    assert not matches(GUIDE, PURCHASE | {"event_name": "page_view"})
    assert not matches(GUIDE, PURCHASE | {"platform": "web"})
    assert not matches(GUIDE, PURCHASE | {"segment": ["newsletter"]})
    assert not matches(GUIDE, PURCHASE | {"segment": []})


@pytest.mark.parametrize("spec", [{}, {"event_name": []}, {"platform": {}}, {"event_name": [], "segment": []}])
def test_an_empty_filter_or_list_matches_any_event(spec: dict[str, Any]) -> None:
    assert matches(spec)
    assert matches(spec, {"event_name": "x"})


@pytest.mark.parametrize(
    "spec, expected",
    [
        ({"platform": "shopify"}, True),
        ({"platform": "Shopify"}, False),
        ({"properties.value": Decimal("149.9")}, True),
        ({"properties.value": 149.9}, True),  # a float as YAML gives it
        ({"properties.value": "149.90"}, False),
        ({"properties.quantity": Decimal("3.00")}, True),
        ({"properties.gift": True}, True),
        ({"properties.gift": 1}, False),
        ({"properties.quantity": {"$in": [True, 3]}}, True),
        ({"properties.value": {"$gte": 100}}, True),
        ({"properties.value": {"$gt": Decimal("149.90")}}, False),
        ({"properties.value": {"$gte": Decimal("149.90")}}, True),
        ({"properties.value": {"$lt": 150, "$gt": 149}}, True),
        ({"properties.value": {"$lte": 149}}, False),
        ({"properties.value": {"$gte": "100"}}, False),
        ({"properties.gift": {"$gte": 0}}, False),
        ({"occurred_at": {"$gte": "2026-05-01", "$lt": "2026-06-01"}}, True),
        ({"platform": {"$eq": "shopify"}}, True),
        ({"platform": {"$ne": "web"}}, True),
        ({"platform": {"$ne": "shopify"}}, False),
        ({"platform": {"$nin": ["web", "ios"]}}, True),
        ({"platform": {"$nin": ["web", "shopify"]}}, False),
        ({"platform": {"$prefix": "shop"}}, True),
        ({"platform": {"$suffix": "fy"}}, True),
        ({"platform": {"$suffix": "shop"}}, False),
        ({"user_data.email": {"$contains": "@example."}}, True),
        ({"user_data.email": {"$contains": 1}}, False),
        ({"properties.quantity": {"$prefix": "3"}}, False),
        ({"properties.items.0.sku": "A-1"}, True),
        ({"properties.items.1.sku": "A-1"}, False),
        ({"properties.items.7.sku": {"$exists": True}}, False),
        ({"properties.items.sku": "A-1"}, False),
        ({"properties.items.-1.sku": "B-2"}, False),
        ({"properties.items.0.tags": "new"}, True),
        ({"platform.name": {"$exists": True}}, False),
        ({"properties": {"$exists": True}}, True),
        ({"properties": {"$eq": "x"}}, False),
    ],
)
def test_operators_compare_within_a_kind(spec: dict[str, Any], expected: bool) -> None:
    assert matches(spec) is expected


@pytest.mark.parametrize(
    "spec, expected",
    [
        ({"segment": "newsletter"}, True),
        ({"segment": {"$contains": "newsletter"}}, True),
        ({"segment": {"$contains": "news"}}, False),
        ({"segment": {"$prefix": "news"}}, True),
        ({"segment": {"$ne": "newsletter"}}, False),  # no item may equal
        ({"segment": {"$ne": "b2b_accounts"}}, True),
        ({"segment": {"$nin": ["b2b_accounts", "vip_customers"]}}, False),
        ({"properties.sizes": {"$gt": 40}}, True),
        ({"properties.sizes": {"$contains": 42}}, True),
        ({"properties.sizes.0": 38}, True),
        ({"properties.nothing": {"$exists": True}}, True),
        ({"properties.nothing": "x"}, False),
        ({"properties.nothing": {"$ne": "x"}}, True),
    ],
)
def test_a_list_matches_when_any_item_does(spec: dict[str, Any], expected: bool) -> None:
    assert matches(spec) is expected


def test_a_path_that_begins_with_no_field_of_an_event_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(Invalid, match="'event_nam' is no field of an event: did you mean event_name") as caught:
        compile_filter({"$or": [{"event_nam": "purchase"}]})
    assert caught.value.pointer == "/$or/0/event_nam"


@pytest.mark.parametrize(
    "path", ["properties.coupon", "user_data.phone", "properties.nowhere", "context.nowhere.at.all"]
)
def test_null_and_missing_are_both_absent(path: str) -> None:
    holds = [
        None,
        {"$eq": None},
        {"$exists": False},
        {"$ne": "x"},
        {"$nin": ["x", 1]},
        {"$in": ["x", None]},
        ["x", None],
    ]
    fails = ["x", {"$exists": True}, {"$ne": None}, {"$gte": ""}, {"$lt": 10}, {"$contains": ""}, {"$prefix": ""}]
    assert [value for value in holds if not matches({path: value})] == []
    assert [value for value in fails if matches({path: value})] == []
    assert matches({"$not": {path: "x"}})


def test_combinators_work_over_whole_filters() -> None:
    web, shopify, big = {"platform": "web"}, {"platform": "shopify"}, {"properties.value": {"$gte": 100}}
    assert matches({"$or": [web, shopify]})
    assert not matches({"$or": [web, {"$not": shopify}]})
    assert matches({"$and": [shopify, big], "event_name": "purchase"})
    assert not matches({"$and": [shopify, web]})
    assert not matches({"$not": {"$and": [shopify, big]}})
    assert not matches({"$not": {}})


@pytest.mark.parametrize(
    "spec, place, word",
    [
        ({"properties.value": {"$gte": [1]}}, "/properties.value/$gte", "[1]"),
        ({"properties.value": {"$gte": True}}, "/properties.value/$gte", "true"),
        ({"properties.value": {"$gte": None}}, "/properties.value/$gte", "number or a text"),
        ({"properties.value": {"$near": 1}}, "/properties.value/$near", "$near"),
        ({"properties": {"value": 100}}, "/properties/value", "properties.value"),
        ({"platform": {"$in": "web"}}, "/platform/$in", "list"),
        ({"platform": {"$in": []}}, "/platform/$in", "0 values"),
        ({"platform": {"$nin": ["a", {}]}}, "/platform/$nin/1", "an object"),
        ({"platform": ["a", ["b"]]}, "/platform/1", "text, a number"),
        ({"platform": list(map(str, range(1001)))}, "/platform", "1001 values"),
        ({"platform": {"$exists": 1}}, "/platform/$exists", "true or false"),
        ({"platform": {"$prefix": 1}}, "/platform/$prefix", "text"),
        ({"platform": {"$contains": None}}, "/platform/$contains", "null"),
        ({"properties.value": float("nan")}, "/properties.value", "nan"),
        ({"properties.value": {"$lt": Decimal("Infinity")}}, "/properties.value/$lt", "Infinity"),
        ({"": "x"}, "/", "''"),
        ({"a..b": "x"}, "/a..b", "'a..b'"),
        ({"a/b.": "x"}, "/a~1b.", "'a/b.'"),
        ({"x" * 257: "x"}, "/" + "x" * 257, "256"),
        ({5: "x"}, "", "5"),
        ({"$nor": []}, "/$nor", "$nor"),
        ({"$or": {}}, "/$or", "list"),
        ({"$and": []}, "/$and", "filters"),
        ({"$or": [{}, "purchase"]}, "/$or/1", "'purchase'"),
        ({"$or": [{}] * 101}, "/$or", "100"),
        ({"$and": [{"platform": {"$regex": "x"}}]}, "/$and/0/platform/$regex", "$regex"),
        ({"$not": ["x"]}, "/$not", "['x']"),
        ({f"properties.{n}": 1 for n in range(101)}, "", "101"),
        (["purchase"], "", "['purchase']"),
        (None, "", "null"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_its_place(spec: Any, place: str, word: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_filter(spec)
    assert refusal.value.code == "invalid_filter"
    assert refusal.value.pointer == place
    assert word in refusal.value.detail


def test_filters_nest_eight_deep_and_no_deeper() -> None:
    assert compile_filter(nested(MAX_DEPTH)).matches(PURCHASE) is False
    with pytest.raises(Invalid) as refusal:
        compile_filter(nested(MAX_DEPTH + 1))
    assert refusal.value.pointer == "/$not" * MAX_DEPTH


def test_a_later_change_of_the_specification_changes_nothing() -> None:
    spec: dict[str, Any] = {"platform": ["shopify"], "$or": [{"platform": "shopify"}]}
    compiled = compile_filter(spec)
    spec["platform"].clear()
    spec["$or"][0]["platform"] = "web"
    assert compiled.matches(PURCHASE)
    assert not compiled.matches(PURCHASE | {"platform": "web"})


@pytest.mark.parametrize(
    "spec, reason",
    [
        ({"platform": ["ios", "web"]}, "platform is 'shopify', expected one of 'ios', 'web'"),
        ({"platform": ["shopify"]}, "platform is 'shopify': one of 'shopify'"),
        (
            {"properties.value": {"$gte": 200, "$lt": 100}},
            "properties.value is 149.90, expected at least 200 and less than 100",
        ),
        ({"properties.coupon": "X"}, "properties.coupon is absent, expected 'X'"),
        ({"segment": "b2b"}, "segment is ['vip_customers', 'newsletter'], expected 'b2b'"),
        ({"properties.items": "x"}, "properties.items is [an object, an object], expected 'x'"),
        ({"properties.gift": {"$ne": True}}, "properties.gift is true, expected anything but true"),
        ({"platform": list("abcdefg")}, "platform is 'shopify', expected one of 'a', 'b', 'c', 'd', 'e', … (7 in all)"),
        ({"user_data.phone": {"$exists": True}}, "user_data.phone is absent, expected a value"),
        (
            {"$or": [{"platform": "web"}, {"properties.quantity": 4}]},
            "none of 2 filters matches: platform is 'shopify', expected 'web'; properties.quantity is 3, expected 4",
        ),
        ({"$or": [{"platform": "web"}, {}]}, "filter 2 of 2 matches"),
        ({"$and": [{}, {"platform": "web"}]}, "filter 2 of 2 does not match: platform is 'shopify', expected 'web'"),
        ({"$and": [{}, {}]}, "all 2 filters match"),
        ({"$not": {"platform": "shopify"}}, "the filter under $not matches"),
        ({"$not": {"platform": "web"}}, "the filter under $not does not match: platform is 'shopify', expected 'web'"),
    ],
)
def test_the_explanation_names_the_value_and_what_was_expected(spec: dict[str, Any], reason: str) -> None:
    assert [step.reason for step in compile_filter(spec).explain(PURCHASE)] == [reason]


def test_the_explanation_goes_through_every_condition() -> None:
    steps = compile_filter(GUIDE).explain(PURCHASE | {"platform": "web"})
    assert [(step.path, step.matched) for step in steps] == [
        ("event_name", True),
        ("platform", False),
        ("segment", True),
    ]


def test_a_long_value_is_clipped_in_the_explanation() -> None:
    (step,) = compile_filter({"platform": "x"}).explain({"platform": "y" * 100_000})
    assert len(step.reason) < 150


@pytest.mark.parametrize(
    "spec, names",
    [
        ({}, None),
        ({"event_name": []}, None),
        ({"event_name": "purchase"}, {"purchase"}),
        ({"event_name": ["purchase", "refund"]}, {"purchase", "refund"}),
        ({"event_name": {"$in": ["purchase", "refund"], "$eq": "purchase"}}, {"purchase"}),
        ({"event_name": {"$prefix": "pur"}}, None),
        ({"event_name": {"$ne": "purchase"}}, None),
        ({"event_name": {"$in": ["purchase", "refund"], "$ne": "refund"}}, {"purchase", "refund"}),
        ({"platform": "shopify"}, None),
        ({"event_name": 5}, set()),
        ({"$or": [{"event_name": "a"}, {"event_name": "b"}]}, {"a", "b"}),
        ({"$or": [{"event_name": "a"}, {"platform": "web"}]}, None),
        ({"$and": [{"event_name": ["a", "b"]}, {"event_name": ["b", "c"]}, {}]}, {"b"}),
        ({"event_name": ["a", "b"], "$or": [{"event_name": "b"}]}, {"b"}),
        ({"$not": {"event_name": "a"}}, None),
    ],
)
def test_the_event_names_for_the_index(spec: dict[str, Any], names: set[str] | None) -> None:
    assert compile_filter(spec).event_names == names


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([Decimal("1.0"), Decimal("1.5")])
    | st.sampled_from(["", "a", "ab", "1"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab0"), inner, max_size=2)
)
ORDERABLE = st.integers(-3, 3) | st.sampled_from([Decimal("1.5"), "", "a", "ab"])
OPERATORS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["$eq", "$ne"], SCALARS),
        **dict.fromkeys(["$in", "$nin"], st.lists(SCALARS, min_size=1, max_size=3)),
        **dict.fromkeys(["$gt", "$gte", "$lt", "$lte"], ORDERABLE),
        **dict.fromkeys(["$prefix", "$suffix"], st.sampled_from(["", "a", "b"])),
        "$exists": st.booleans(),
        "$contains": SCALARS.filter(lambda value: value is not None),
    },
)
PATHS = st.sampled_from(["event_name", "platform", "properties", "properties.a", "properties.a.0", "properties.0.b"])
LEAVES = st.dictionaries(PATHS, SCALARS | st.lists(SCALARS, max_size=3) | OPERATORS, max_size=3)
SPECS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={"event_name": st.lists(st.sampled_from(["a", "ab"]), max_size=2), "$not": inner}
        | dict.fromkeys(["$and", "$or"], st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)
EVENTS = st.fixed_dictionaries(
    {"event_name": st.sampled_from(["a", "ab", "b"])}, optional={"platform": SCALARS, "properties": JSON}
)


def reference(spec: dict[str, Any], fields: Any) -> bool:
    """The language once more, as slowly and plainly as it can be said."""

    def at(path: str) -> Any:
        value = fields
        for part in path.split("."):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list):
                value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
            else:
                return None
        return value

    def kind(value: Any) -> str:
        names = {bool: "boolean", int: "number", Decimal: "number", str: "text", type(None): "null"}
        return names.get(type(value), "other")

    def equal(value: Any, wanted: Any) -> bool:
        return kind(value) == kind(wanted) != "other" and bool(value == wanted)

    def holds(name: str, operand: Any, value: Any) -> bool:
        same = isinstance(value, type(operand)) or kind(value) == kind(operand)
        match name:
            case "$eq":
                return equal(value, operand)
            case "$in":
                return any(equal(value, each) for each in operand)
            case "$prefix" | "$suffix":
                return isinstance(value, str) and (
                    value.startswith(operand) if name == "$prefix" else value.endswith(operand)
                )
            case _:
                order = {"$gt": (1,), "$gte": (0, 1), "$lt": (-1,), "$lte": (-1, 0)}[name]
                return same and not isinstance(value, bool) and int(value > operand) - int(value < operand) in order

    def check(name: str, operand: Any, value: Any) -> bool:
        if name in ("$ne", "$nin"):
            return not check({"$ne": "$eq", "$nin": "$in"}[name], operand, value)
        if name == "$exists":
            return (value is not None) is operand
        if name == "$contains":
            if isinstance(value, list):
                return any(equal(item, operand) for item in value)
            return isinstance(value, str) and isinstance(operand, str) and operand in value
        return any(holds(name, operand, item) for item in (value if isinstance(value, list) else [value]))

    def condition(key: str, value: Any) -> bool:
        if key == "$and":
            return all(reference(each, fields) for each in value)
        if key == "$or":
            return any(reference(each, fields) for each in value)
        if key == "$not":
            return not reference(value, fields)
        if isinstance(value, list):
            return not value or check("$in", value, at(key))
        if isinstance(value, dict):
            return all(check(name, operand, at(key)) for name, operand in value.items())
        return check("$eq", value, at(key))

    return all(condition(key, value) for key, value in spec.items())


@given(SPECS, EVENTS)
def test_matching_is_what_the_language_says(spec: dict[str, Any], fields: dict[str, Any]) -> None:
    assert compile_filter(spec).matches(fields) is reference(spec, fields)


@given(SPECS, EVENTS)
def test_the_explanation_and_the_index_agree_with_matching(spec: dict[str, Any], fields: dict[str, Any]) -> None:
    compiled = compile_filter(spec)
    matched = compiled.matches(fields)
    assert all(step.matched for step in compiled.explain(fields)) is matched
    if matched and compiled.event_names is not None:
        assert fields["event_name"] in compiled.event_names


@given(
    st.dictionaries(st.text(max_size=5) | st.sampled_from(["$or", "$not", "context", "user_data.b"]), JSON | OPERATORS),
    EVENTS,
)
def test_any_json_compiles_or_is_refused_with_a_pointer(spec: dict[str, Any], fields: dict[str, Any]) -> None:
    try:
        compiled = compile_filter(spec)
    except Invalid as refusal:
        assert refusal.pointer is not None
    else:
        assert compiled.matches(fields) in (True, False)


def test_other_roots_are_allowed_at_every_depth_only_where_they_are_named() -> None:
    spec = {"$or": [{"$not": {"traits.plan": "free"}}, {"traits.seats": 3}]}
    with pytest.raises(Invalid, match="'traits' is no field of an event"):
        compile_filter(spec)
    assert compile_filter(spec, roots=("traits",)).matches({"traits": {"plan": "pro"}})
