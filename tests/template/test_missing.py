"""What happens where the event has nothing (`on_missing`), and how it is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracklayer.template import Escape, OnMissing, PathUse, RenderError, compile_template

SCOPE: dict[str, Any] = {"a": 1, "nothing": None, "empty": "", "items": [{"b": 1}, {}], "none": []}


def render(template: str, on_missing: OnMissing = "empty", escape: Escape = Escape.JSON) -> str:
    return compile_template(template, on_missing=on_missing, escape=escape).render(SCOPE).text


def missing(template: str, escape: Escape = Escape.TEXT) -> list[tuple[str, int, int]]:
    found = compile_template(template, escape=escape).render(SCOPE).missing
    return [(use.path, use.line, use.column) for use in found]


@pytest.mark.parametrize(
    "on_missing, body",
    [
        ("empty", '{"v": null, "q": "", "t": "x ", "l": [null, ""], "j": null}'),
        ("null", '{"v": null, "q": null, "t": "x ", "l": [null, null], "j": null}'),
        ("omit", '{ "t": "x ", "l": [null, null]}'),
    ],
)
def test_a_missing_value(on_missing: OnMissing, body: str) -> None:
    template = '{"v": {{z}}, "q": "{{z}}", "t": "x {{z}}", "l": [{{z}}, "{{z}}"], "j": {{json z}}}'
    assert render(template, on_missing) == body


@pytest.mark.parametrize("path", ["z", "nothing", "a.b.c", "items.7", "none.0"])
def test_null_and_what_is_not_there_are_one(path: str) -> None:
    assert render(f'{{"v": {{{{{path}}}}}, "a": 1}}', "omit") == '{ "a": 1}'
    with pytest.raises(RenderError, match=f"{path} is missing"):
        render(f'"{{{{{path}}}}}"', "fail")


def test_an_empty_text_is_not_missing() -> None:
    assert render('{"v": "{{empty}}"}', "omit") == '{"v": ""}'


@pytest.mark.parametrize(
    "template, body",
    [
        ('{"z": {{z}}}', {}),
        ('{"z": {{z}}, "a": {{a}}}', {"a": 1}),
        ('{"a": {{a}}, "z": {{z}}}', {"a": 1}),
        ('{"a": 1, "z": "{{z}}", "b": 2}', {"a": 1, "b": 2}),
        ('{"z": {{z}}, "y": {{y}}, "a": 1}', {"a": 1}),
        ('{"z": {{z}}, "y": {{y}}}', {}),
        ('{"o": {"z": {{z}}}, "a": [{"z": {{z}}}, 1]}', {"o": {}, "a": [{}, 1]}),
        ('{"k, \\"}{": {{z}}, "a": "{{a}}, {:\\" "}', {"a": '1, {:" '}),
        ('{ {{a}}: {{z}}, "a": 1 }', {"a": 1}),
        ('[{{#list items}}{"b": {{b}}}{{/list}}]', [{"b": 1}, {}]),
        ('{ {{#if a}}"z": {{z}},{{/if}} "a": 1 }', {"a": 1}),
        ("{{z}}", None),
    ],
)
def test_omit_takes_the_whole_member_with_its_comma(template: str, body: Any) -> None:
    assert json.loads(render(template, "omit")) == body


def test_fail_names_the_path_and_the_place() -> None:
    with pytest.raises(RenderError) as caught:
        render('{\n  "v": {{a.b}}\n}', "fail")
    assert (caught.value.line, caught.value.column) == (2, 10)
    assert caught.value.detail == "line 2, column 10: a.b is missing in this event"


def test_fail_also_stops_where_a_helper_gives_nothing() -> None:
    with pytest.raises(RenderError, match="first gives nothing"):
        render("{{first none}}", "fail")
    assert render('"{{default z "x"}}"', "fail") == '"x"'


@pytest.mark.parametrize(
    "template, found",
    [
        ("{{z}}\n {{a}} {{z.y}}", [("z", 1, 3), ("z.y", 2, 10)]),
        ("{{upper z}}{{upper (trim z)}}", [("z", 1, 9), ("z", 1, 26)]),
        ('{{default z "x"}}{{#if z}}{{/if}}{{#unless z}}{{/unless}}{{#z}}{{/z}}{{eq z 1}}', []),
        ("{{default z y}}", [("z", 1, 11), ("y", 1, 13)]),
        ("{{#each z}}{{/each}}{{#with z}}{{/with}}", [("z", 1, 9), ("z", 1, 29)]),
        ("{{#each z}}{{else}}{{/each}}", []),
        ("{{#each items}}{{b}}{{c}}{{/each}}", [("items.*.b", 1, 18), ("items.*.c", 1, 23)]),
        (
            "{{#each items as |i|}}{{i.c}}{{@root.z}}{{../y}}{{/each}}",
            [("items.*.c", 1, 25), ("z", 1, 32), ("y", 1, 43)],
        ),
        ("{{#each (sort items by='b')}}{{c}}{{/each}}", [("items.*.c", 1, 32)]),
        ("{{#each (split 'x' ',')}}{{this.c}}{{/each}}", [("this.c", 1, 28)]),
    ],
)
def test_every_missing_path_is_listed_once_with_its_place(template: str, found: list[tuple[str, int, int]]) -> None:
    assert missing(template) == found


def test_the_paths_of_the_event_are_known_without_one() -> None:
    template = compile_template(
        "{{a.b}}{{#each a.c as |d k|}}{{e}}{{d.f}}{{k}}{{../g}}{{#with h}}{{i}}{{/with}}{{@root.j}}{{@index}}{{/each}}"
        "{{secrets.token}}{{destination.name}}{{delivery.id}}{{#if l}}{{/if}}{{default m 'x'}}{{this}}",
        escape=Escape.TEXT,
    )
    paths = ["a.b", "a.c", "a.c.*.e", "a.c.*.f", "g", "a.c.*.h", "a.c.*.h.i", "j", "l", "m"]
    assert [use.path for use in template.paths] == paths
    assert template.secrets == {"token"}


@pytest.mark.parametrize(
    "path, is_in",
    [
        ("a", True),
        ("a.b", False),
        ("nothing", False),
        ("empty", True),
        ("items", True),
        ("items.0.b", True),
        ("items.1.b", False),
        ("items.9", False),
        ("items.*.b", False),
        ("none.*.b", True),
    ],
)
def test_a_path_can_be_looked_for_in_an_event(path: str, is_in: bool) -> None:
    assert PathUse(path, 1, 1).is_in(SCOPE) is is_in
