"""docs/templates.md is true: every example is run, and every helper has its place."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tracklayer.template import Escape, OnMissing, TemplateError, compile_template
from tracklayer.template.blocks import BLOCK_NAMES
from tracklayer.template.helpers import HELPERS

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_POLICIES: dict[str, OnMissing] = {"on_missing=omit": "omit", "on_missing=null": "null", "on_missing=fail": "fail"}


class Example(NamedTuple):
    words: list[str]  # behind the fence's language
    template: str
    result: str


def fences() -> list[tuple[str, list[str], str]]:
    return [(language, words.split(), text) for language, words, text in _FENCE.findall(PAGE)]


def examples() -> list[Example]:
    found = fences()
    return [
        Example(words, text, result)
        for (language, words, text), (_, _, result) in pairwise(found)
        if language == "handlebars"
    ]


def scope() -> dict[str, object]:
    event = next(text for language, words, text in fences() if words == ["event"])
    return {**json.loads(event, parse_float=Decimal), "secrets": {"webhook_token": "t0k3n"}}


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.template)
def test_example(example: Example) -> None:
    escape = next((Escape(word) for word in example.words if word in list(Escape)), Escape.JSON)
    on_missing: OnMissing = next((_POLICIES[word] for word in example.words if word in _POLICIES), "empty")
    if "refused" in example.words:
        with pytest.raises(TemplateError) as caught:
            compile_template(example.template, escape=escape)
        assert caught.value.detail == example.result
        return
    rendered = compile_template(example.template, escape=escape, on_missing=on_missing).render(scope()).text
    assert rendered == example.result
    if escape is Escape.JSON:
        json.loads(rendered)


def test_the_page_has_the_examples_that_it_seems_to_have() -> None:
    assert len(examples()) == PAGE.count("```handlebars") >= 30


def test_every_helper_and_block_is_on_the_page() -> None:
    table_rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    assert [name for name in HELPERS if not re.search(rf"`{name}[ `]", table_rows + PAGE)] == []
    assert [name for name in BLOCK_NAMES if f"{{{{#{name}" not in PAGE] == []


def test_every_helper_is_used_in_an_example() -> None:
    used = " ".join(example.template for example in examples() if "refused" not in example.words)
    assert [name for name in HELPERS if not re.search(rf"[{{(#&]{name} ", used)] == []
