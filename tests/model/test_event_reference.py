"""`docs/event.md` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracklayer.model.event import Event, Json, decode_json, event_fields
from tracklayer.pipeline import bounds
from tracklayer.pipeline.normalize import MAX_SEGMENTS, normalize

PAGE = (Path(__file__).parents[2] / "docs" / "event.md").read_text(encoding="utf-8")
SENT, STORED = (decode_json(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
ALIASES = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|$", PAGE, re.MULTILINE))
ARRIVAL = 1_777_977_001.5


def stored(fields: Json) -> dict[str, Json]:
    return event_fields(normalize(fields, now=ARRIVAL, new_id=lambda: "made-here"))


def test_every_field_of_the_event_has_its_row_in_order() -> None:
    table = PAGE.split("## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == Event.__struct_fields__


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
