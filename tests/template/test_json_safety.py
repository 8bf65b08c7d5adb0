"""Whatever the event holds: a template that compiles as JSON renders to JSON, and the values come back out of it."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.template import generate, guide
from tracklayer.template import Escape, OnMissing, RenderError, TemplateError, compile_template

HUGE = st.sampled_from([4_000, 5_000]).map(lambda digits: 10**digits)  # Python prints no int of over 4,300 digits
NUMBERS = st.integers() | st.decimals() | st.floats() | st.just(Decimal("1E+400")) | HUGE
TEXTS = st.text(st.characters(), max_size=20)  # all of Unicode, surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def parse(text: str) -> Any:
    text.encode("utf-8")
    return read(text)


def read(text: str) -> Any:
    """JSON that is no body by itself: a lone surrogate in it was escaped by the JSON around it."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=_not_json)


def _not_json(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def as_json(value: Any) -> Any:
    """The value as it comes out of JSON: numbers exact, no NaN, a pair of surrogates as the character that it is."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | Decimal | float):
        finite = value.is_finite() if isinstance(value, Decimal) else isinstance(value, int) or math.isfinite(value)
        return Decimal(str(value) if isinstance(value, float) else value) if finite else None
    if isinstance(value, str):
        return paired(value)
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return {paired(key): as_json(item) for key, item in value.items()}


def paired(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(value=VALUES)
def test_a_value_comes_back_from_the_place_of_a_value(value: Any) -> None:
    scope = {"properties": value}
    assert parse(compile_template('{"v": {{properties}}}').render(scope).text) == {"v": as_json(value)}
    assert parse(compile_template('{"v": {{json properties}}}').render(scope).text) == {"v": as_json(value)}


@given(value=TEXTS)
def test_a_text_comes_back_from_inside_of_quotes_and_from_a_key(value: str) -> None:
    template = compile_template('{ {{a}}: "{{a}}", "-{{a}}": "<{{a}}>", "raw {": 1 }')
    text = paired(value)
    assert parse(template.render({"a": value}).text) == {text: text, f"-{text}": f"<{text}>", "raw {": Decimal(1)}


@given(value=VALUES)
def test_json_inside_of_quotes_is_the_json_as_a_text(value: Any) -> None:
    rendered = compile_template('["{{json a}}"]').render({"a": {"v": value}}).text
    assert as_json(read(parse(rendered)[0])) == {"v": as_json(value)}


@given(properties=st.dictionaries(st.sampled_from(["order_id", "value", "currency", "x"]), VALUES), text=TEXTS)
@pytest.mark.parametrize("name", guide.ALL)
def test_the_guides_templates_stay_json(name: str, properties: dict[str, Any], text: str) -> None:
    scope = {"properties": properties, "user_data": {"external_id": text}, "event_name": text, "segment": [text]}
    body = parse(compile_template(guide.ALL[name]).render(scope).text)
    if name == "rest":
        assert body["properties"] == as_json(properties)


@given(seed=generate.SEEDS, on_missing=st.sampled_from(["empty", "null", "omit", "fail"]))
@settings(max_examples=400)
def test_whatever_compiles_as_json_renders_to_json(seed: int, on_missing: OnMissing) -> None:
    rng = Random(seed)
    source = generate.JsonTemplates(rng).template()
    try:
        rendered = compile_template(source, on_missing=on_missing).render(generate.mapping(rng))
    except (TemplateError, RenderError):
        return
    parse(rendered.text)


@pytest.mark.parametrize(
    "template",
    [
        "[{{#a}}{{#if @first}}1{{else}},2{{/if}}{{/a}}]",
        "[{{#a}}{{#unless @last}}1,{{else}}2{{/unless}}{{/a}}]",
        "[{{#each b}}{{#unless @first}},{{/unless}}[{{#a}}{{#if @first}}1{{else}},2{{/if}}{{/a}}]{{/each}}]",
        "[{{#list b}}{{#a}}{{#unless @first}},{{/unless}}1{{/a}}{{/list}}]",
    ],
)
def test_a_path_as_a_block_is_not_always_a_loop_with_a_first_round(template: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(template)


def test_a_path_as_a_block_may_ask_for_the_round_where_it_makes_no_difference() -> None:
    template = compile_template("[0{{#a}},{{#if @first}}1{{else}}2{{/if}}{{/a}}]")
    values: list[object] = [{}, [3, 3], None]
    assert [template.render({"a": value}).text for value in values] == ["[0,2]", "[0,1,2]", "[0]"]


def test_most_generated_json_templates_compile() -> None:
    compiled = 0
    for seed in range(200):
        try:
            compile_template(generate.JsonTemplates(Random(seed)).template())
        except TemplateError:
            continue
        compiled += 1
    assert compiled > 120


def test_separators_delete_and_lone_surrogates_are_safe() -> None:
    rendered = compile_template('{"a": "{{a}}"}').render({"a": "\u2028\u2029\x7f\ud800\x00"}).text
    assert rendered == '{"a": "\u2028\u2029\x7f\\ud800\\u0000"}'
    rendered.encode()


def test_outside_of_json_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert compile_template("{{a}}", escape=Escape.TEXT).render({"a": "x\ud800"}).text == "x\ufffd"
    assert compile_template("{{a}}", escape=Escape.URL).render({"a": "x\ud800"}).text == "x%EF%BF%BD"
