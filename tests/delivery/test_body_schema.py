from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.delivery.body_schema import DIALECT, LARGEST, MOST_PARTS, BodySchema
from tracklayer.errors import Invalid
from tracklayer.model.event import decode_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "pattern", "$ref", "$defs", "minimum", "enum", "not", "allOf", "required", "$id"]
)


def violation(schema: dict[str, Any], body: str) -> str | None:
    return BodySchema(schema).violation(body.encode())


def refused(schema: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        BodySchema(schema)
    assert caught.value.code == "invalid_schema"
    return caught.value


# What a body breaks


@pytest.mark.parametrize(
    "schema, body, place",
    [
        ({"properties": {"a": {"type": "string"}}}, '{"a": 1}', "/a"),
        ({"properties": {"a/b~c": {"type": "string"}}}, '{"a/b~c": 1}', "/a~1b~0c"),
        ({"items": {"items": {"maximum": 1}}}, "[[0], [1, 2]]", "/1/1"),
        ({"required": ["id"]}, "{}", "the whole body"),
        ({"type": "object"}, "[]", "the whole body"),
    ],
)
def test_a_violation_names_its_place(schema: dict[str, Any], body: str, place: str) -> None:
    assert str(violation(schema, body)).startswith(f"the rendered body breaks body_schema at {place}: ")


def test_a_body_that_keeps_the_contract_breaks_nothing() -> None:
    assert violation({"properties": {"a": {"type": "string"}}, "required": ["a"]}, '{"a": "x"}') is None


@pytest.mark.parametrize(
    "value, holds", [("149.99", True), ("0.1", True), ("149.999", False), ("1e2", True), ("12345678901234567.01", True)]
)
def test_decimals_are_exact(value: str, holds: bool) -> None:
    assert (violation({"multipleOf": 0.01}, value) is None) is holds


def test_formats_are_checked() -> None:
    assert violation({"format": "email"}, '"jane@example.com"') is None
    assert 'the value is not a "email"' in str(violation({"format": "email"}, '"jane"'))


@pytest.mark.parametrize(
    "schema",
    [
        {"maxLength": 3},
        {"pattern": "^x"},
        {"enum": ["a"]},
        {"type": "number"},
        {"format": "uuid"},
        {"not": {}},
        {"anyOf": [{"type": "null"}, {"type": "integer"}]},
    ],
)
def test_the_value_is_not_quoted(schema: dict[str, Any]) -> None:
    text = str(violation({"properties": {"email": schema}}, '{"email": "kestrel@example.com"}'))
    assert "body_schema at /email" in text
    assert "kestrel" not in text


def test_references_reach_into_the_schema_itself_and_may_lead_back() -> None:
    tree = {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "additionalProperties": {"$ref": "#"}}}}
    assert violation(tree, '{"l": {"r": {}}}') is None
    assert "at /l/r: " in str(violation(tree, '{"l": {"r": 1}}'))
    assert violation({"$ref": "#"}, "1") is None


@pytest.mark.parametrize("body", ["1e999999999999999999", "9" * 5000, "[" * 5000 + "]" * 5000, '"\\ud800"'])
def test_what_cannot_be_checked_is_a_violation_and_no_crash(body: str) -> None:
    assert str(violation({"maximum": 3}, body)).startswith("the rendered body ")


@given(body=JSON, schema=st.dictionaries(KEYWORDS, JSON, max_size=3))
def test_whatever_the_schema_it_is_refused_with_a_place_or_judges_every_body(body: Any, schema: dict[str, Any]) -> None:
    try:
        compiled = BodySchema(decode_json(json.dumps(schema)))
    except Invalid as error:
        assert error.pointer is not None
    else:
        found = compiled.violation(json.dumps(body).encode())
        assert found is None or found.startswith("the rendered body ")


# What is no schema


@pytest.mark.parametrize(
    "schema, pointer, says",
    [
        ({"type": "objekt"}, "/type", "objekt"),
        ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength", "-1"),
        ({"multipleOf": 0}, "/multipleOf", "0"),
        ({"pattern": "("}, "/pattern", "regex"),
        ({"pattern": "(?=a)"}, "/pattern", "regex"),  # look-around and back-references do not run in linear time
        ({"$ref": "#/$defs/none"}, "", "/$defs/none"),
        ({"$ref": "#none"}, "", "none"),
        ({"$ref": "https://schemas.example.com/a.json"}, "", "schemas.example.com"),
        ({"$ref": "file:///etc/hostname"}, "", "file:///etc/hostname"),
        ({"$id": "::"}, "", "::"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", DIALECT),
        ({"$schema": 7}, "/$schema", DIALECT),
    ],
)
def test_it_is_refused_with_its_place(schema: dict[str, Any], pointer: str, says: str) -> None:
    error = refused(schema)
    assert error.pointer == pointer
    assert says in error.detail


@pytest.mark.parametrize("dialect", [DIALECT, DIALECT + "#"])
def test_its_own_dialect_may_be_named(dialect: str) -> None:
    assert violation({"$schema": dialect}, "1") is None


def test_a_schema_has_a_size() -> None:
    assert str(LARGEST) in refused({"title": "x" * LARGEST}).detail


def test_a_schema_that_nests_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"not": schema}
    assert "deep" in refused(schema).detail


def test_references_that_multiply_are_refused() -> None:
    parts: dict[str, Any] = {"d0": {"type": "object"}}
    for number in range(1, 40):
        parts[f"d{number}"] = {"allOf": [{"$ref": f"#/$defs/d{number - 1}"}] * 2}
    assert str(MOST_PARTS) in refused({"$defs": parts, "$ref": "#/$defs/d39"}).detail
    assert violation({"$defs": parts, "$ref": "#/$defs/d8"}, "{}") is None
