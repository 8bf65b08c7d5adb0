"""`docs/event.md` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from tests import event_page
from tracklayer.delivery.body_schema import BodySchema
from tracklayer.model.event import Event, Json, decode_json, encode_json, event_fields, event_to_json
from tracklayer.model.event_reference import FIELDS, event_schema
from tracklayer.model.rules import DEFAULT_RULES, Enrichment, WorkspaceRules
from tracklayer.pipeline import bounds, changes, clock_skew, money_and_places
from tracklayer.pipeline.event_names import NAMES
from tracklayer.pipeline.known_user import ADDRESS, TRAITS
from tracklayer.pipeline.normalize import MAX_SEGMENTS, normalize
from tracklayer.sources.shopify import ADDRESS as SHOPIFY_ADDRESS
from tracklayer.sources.shopify import AMOUNTS

PAGE = (Path(__file__).parents[2] / "docs" / "event.md").read_text(encoding="utf-8")
SENT, STORED = (decode_json(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
ALIASES = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|$", PAGE, re.MULTILINE))
ARRIVAL = 1_777_977_001.5


def stored(fields: Json) -> dict[str, Json]:
    return event_fields(normalize(fields, now=ARRIVAL, new_id=lambda: "made-here"))


def test_every_field_of_the_event_has_its_row_in_order() -> None:
    table = PAGE.split("## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == Event.__struct_fields__


def test_the_table_of_every_field_is_made_from_the_code() -> None:
    assert event_page.page(PAGE) == PAGE, "run make docs"


def test_the_reference_has_every_field_of_the_struct_in_order() -> None:
    assert tuple(field.path for field in FIELDS if "." not in field.path) == Event.__struct_fields__
    paths = [field.path for field in FIELDS]
    assert len(paths) == len(set(paths))


def test_the_reference_has_the_fields_that_sources_and_enrichers_fill_in() -> None:
    paths = {field.path for field in FIELDS}
    people = {*TRAITS.values(), *ADDRESS.values(), *SHOPIFY_ADDRESS}
    assert {f"user_data.{name}" for name in people} <= paths
    assert {f"properties.{name}" for name in AMOUNTS} <= paths
    assert {f"context.{name}" for name in ("campaign", "click_ids", "device", "os", "browser", "geo")} <= paths


def test_the_examples_of_the_reference_make_an_event_that_meets_the_schema_and_is_canonical() -> None:
    example: dict[str, Json] = {}
    for field in FIELDS:
        *holders, name = field.path.split(".")
        place = example
        for holder in holders:
            place = place[holder]
        place[name] = dict(field.example) if isinstance(field.example, dict) else field.example
    event = normalize(example, now=ARRIVAL, new_id=lambda: "made-here")
    assert event_fields(event) == example
    assert BodySchema(event_schema()).violation(event_to_json(event)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": 7},
        {"event_name": ""},
        {"occurred_at": "yesterday"},
        {"segment": [1]},
        {"user_data": {"email": 7}},
        {"context": {"extra": []}},
        {"consent": {"ad_storage": True}},
        {"unknown": 1},
    ],
)
def test_the_schema_refuses_what_is_no_canonical_event(change: dict[str, Json]) -> None:
    assert BodySchema(event_schema()).violation(encode_json(STORED)) is None
    assert BodySchema(event_schema()).violation(encode_json({**STORED, **change})) is not None


def test_the_example_is_what_happens() -> None:
    assert stored(SENT) == STORED


def test_there_are_aliases_on_the_page() -> None:
    assert len(ALIASES) == 5


@pytest.mark.parametrize("alias, path", ALIASES.items())
def test_an_alias_becomes_what_the_page_says(alias: str, path: str) -> None:
    given: Json = {"a": 1} if path == "properties" else "2026-01-01T00:00:00Z"
    place: Json = stored({"event_name": "purchase", alias: given})
    for step in path.split("."):
        place = place[step]
    assert place == given


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"1 to {bounds.MAX_TEXT} characters" in PAGE
    assert f"at most {MAX_SEGMENTS} |" in PAGE
    assert f"{bounds.MAX_DEPTH} levels deep" in PAGE
    assert f"between -{bounds.MAX_EXPONENT} and {bounds.MAX_EXPONENT}" in PAGE
    assert f"at most {changes.MAX_CHANGES} entries" in PAGE
    assert f"more than {changes.LONGEST_FROM} characters" in PAGE
    assert (clock_skew.LEAST, clock_skew.MOST) == (1_000, 24 * 60 * 60 * 1_000)
    assert "more than one second and less than a day apart" in PAGE


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_names_of_events_on_the_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section("Names of events"), re.MULTILINE)
    assert {name: tuple(filter(None, aliases.strip().split(", "))) for name, aliases in rows} == NAMES


def test_the_places_of_amounts_on_the_page_are_those_of_the_code() -> None:
    (row,) = (line for line in section("Codes, amounts and times").splitlines() if line.startswith("| `value`"))
    assert re.findall(r"`(\w+)`", row.split("|")[1]) == [
        *money_and_places.AMOUNTS,
        "properties",
        *money_and_places.ITEMS,
    ]


def test_the_amounts_on_the_page_are_read_as_it_says() -> None:
    (row,) = (line for line in section("Codes, amounts and times").splitlines() if line.startswith("| `value`"))
    read, left = row.split("|")[2].split("only:")[1].split('. `"1,')
    texts, ambiguous = re.findall(r'`"(.*?)"`', read), re.findall(r'`"(.*?)"`', f'`"1,{left}')
    assert (len(texts), len(ambiguous)) == (5, 2)
    for text in texts:
        assert type(stored({"event_name": "a", "properties": {"value": text}})["properties"]["value"]) is not str
    for text in ambiguous:
        assert stored({"event_name": "a", "properties": {"value": text}})["properties"]["value"] == text


def test_every_rule_of_a_workspace_has_its_row_in_order_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section("The workspace's rules"), re.MULTILINE)
    assert tuple(name for name, _, _ in rows) == WorkspaceRules.__struct_fields__
    for name, what, default in rows:
        if name == "enrichment":
            assert tuple(re.findall(r"`(\w+)`", what)) == Enrichment.__struct_fields__
            assert default == "all `true`"
            assert all(msgspec.to_builtins(DEFAULT_RULES.enrichment).values())
        else:
            assert decode_json(default.strip("`")) == getattr(DEFAULT_RULES, name)
