"""What a template can never reach, and what it can never use up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tracklayer.template import Escape, Limits, RenderError, TemplateError, compile_template, helpers_list
from tracklayer.template.values import step
from tracklayer.template.writer import FunctionWriter

SCOPE: dict[str, Any] = {
    "properties": {"items": [{"secrets": {"token": "an item's own"}}], "flag": True, "name": "secrets"},
    "secrets": {"token": "s3cr3t", "odd.name": "odd"},
    "destination": {"name": "d"},
}


def text(template: str, scope: dict[str, Any] = SCOPE, **limits: int) -> str:
    return compile_template(template, escape=Escape.TEXT, limits=Limits(**limits)).render(scope).text


def test_a_secret_is_reached_by_its_name() -> None:
    assert text("{{secrets.token}}{{secrets.[odd.name]}}{{@root.secrets.token}}") == "s3cr3todds3cr3t"
    assert text("{{#each properties.items}}{{secrets.token}} {{../secrets.token}}{{/each}}") == "s3cr3t s3cr3t"
    assert text("{{#each properties.items}}{{this.secrets.token}}{{/each}}") == "an item's own"
    assert compile_template("{{hmac a secrets.b}}", escape=Escape.TEXT).secrets == {"b"}


@pytest.mark.parametrize(
    "template",
    [
        "{{this}}{{.}}{{@root}}{{json this}}{{json @root}}",
        "{{#each this}}{{@key}}{{this}}{{/each}}{{#each @root}}{{json this}}{{/each}}",
        "{{#with this}}{{this.secrets}}{{this.secrets.token}}{{lookup this 'secrets'}}{{/with}}",
        "{{lookup this properties.name}}{{json (lookup @root 'secrets')}}",
        "{{#properties.flag}}{{this.secrets.token}}{{../this}}{{lookup . 'secrets'}}{{/properties.flag}}",
        "{{json (merge this this)}}{{json (pick this 'secrets')}}{{json (compact @root)}}{{length this}}",
        "{{#each properties.items}}{{json ..}}{{lookup .. 'secrets'}}{{#with ..}}{{json this}}{{/with}}{{/each}}",
    ],
)
def test_the_secrets_are_no_part_of_what_can_be_looked_up_or_listed(template: str) -> None:
    rendered = text(template)
    assert "s3cr3t" not in rendered
    assert "odd" not in rendered


@pytest.mark.parametrize("scope", [{}, {"secrets": {}}, {"secrets": None}, {"secrets": {"token": None}}])
@pytest.mark.parametrize("on_missing", ["empty", "null", "omit", "fail"])
def test_a_secret_that_is_not_there_is_an_error_that_names_it(scope: dict[str, Any], on_missing: Any) -> None:
    template = compile_template("\n {{secrets.token}}", escape=Escape.TEXT, on_missing=on_missing)
    with pytest.raises(RenderError) as caught:
        template.render(scope)
    assert caught.value.detail == "line 2, column 4: there is no secret 'token' in this workspace"


@pytest.mark.parametrize("escape", [Escape.TEXT, Escape.URL, Escape.FORM, Escape.XML, Escape.JSON])
def test_a_path_never_reaches_an_attribute(escape: Escape) -> None:
    class Settings:
        password = "hunter2"

        def keys(self) -> list[str]:
            return ["password"]

    scope = {"properties": {"list": [], "text": "x", "number": 1, "object": Settings()}}
    for path in ("list.append", "text.upper", "number.real", "object.password", "object.keys", "keys", "__class__"):
        source = f"\"{{{{properties.{path}}}}}{{{{lookup properties.object 'password'}}}}\""
        assert compile_template(source, escape=escape).render(scope).text == '""'


@pytest.mark.parametrize(
    "write",
    [
        lambda writer: writer.assign("open('/etc/passwd')"),
        lambda writer: writer.assign("().__class__"),
        lambda writer: writer.assign("this.__dict__"),
        lambda writer: writer.assign("(lambda: this)()"),
        lambda writer: writer.assign("'a text of the user'"),
        lambda writer: writer.check("frame", "import os"),
        lambda writer: writer.update("x", "this"),
    ],
)
def test_generated_code_that_reaches_for_anything_else_is_not_run(write: Callable[[FunctionWriter], object]) -> None:
    writer = FunctionWriter()
    write(writer)
    with pytest.raises(AssertionError, match="generated code reaches beyond"):
        writer.finish([])


def test_a_template_over_the_size_limit_is_refused() -> None:
    with pytest.raises(TemplateError, match="11 bytes: expected at most 10"):
        compile_template("ééééé.", escape=Escape.TEXT, limits=Limits(source_bytes=10))


@pytest.mark.parametrize(
    "template",
    [
        "{{a" + ".b" * 11 + "}}",
        "{{#if a}}" * 11 + "{{/if}}" * 11,
        "{{upper " + "(upper " * 11 + "a" + ")" * 11 + "}}",
        "{{#if a}}" + "{{else if a}}" * 11,
    ],
)
def test_nesting_over_the_limit_is_refused(template: str) -> None:
    with pytest.raises(TemplateError, match=r"more than 10 (levels|steps)"):
        compile_template(template, escape=Escape.TEXT, limits=Limits(depth=10))


def test_the_deepest_allowed_nesting_renders() -> None:
    source = "{{#if a}}" * 64 + "x" + "{{/if}}" * 64
    assert text(source, {"a": 1}) == "x"
    chain = "{{#if b}}" + "{{else if b}}" * 62 + "{{else}}x{{/if}}"
    assert text(chain, {"a": 1}) == "x"


@pytest.mark.parametrize(
    "template",
    [
        "{{a}}{{a}}",
        "{{#each b}}{{../a}}{{/each}}",
        "{{a}}" * 200,
        "{{concat a a}}{{upper a}}",
        "é{{a}}",
    ],
)
def test_output_over_the_limit_is_an_error(template: str) -> None:
    with pytest.raises(RenderError, match="the output is longer than 100 bytes"):
        text(template, {"a": "x" * 99, "b": [1, 2]}, output_bytes=100)


@pytest.mark.parametrize(
    "template",
    [
        "{{#each a}}{{/each}}",
        "{{#each b}}{{#each ../b}}{{#each ../../b}}{{/each}}{{/each}}{{/each}}",
        "{{sort a}}",
        "{{#if (eq a a)}}{{/if}}",
        "{{length (concat t t t t)}}",
    ],
)
def test_work_over_the_limit_is_an_error(template: str) -> None:
    with pytest.raises(RenderError, match="the template takes more than 900 steps"):
        text(template, {"a": [1] * 1000, "b": [{"c": n} for n in range(10)], "t": "x" * 20_000}, steps=900)


@pytest.mark.parametrize(
    "template",
    [
        "{{#each b}}" + "{{z}}" * 1_000 + "{{/each}}",
        "{{#list b}}" + "{{#if z}}{{/if}}" * 400 + "{{/list}}",
        "{{#b}}" + "{{#if c}}" * 30 + "{{z}}" * 700 + "{{/if}}" * 30 + "{{/b}}",
        "{{#if z}}{{else each b}}" + "{{z}}" * 1_000 + "{{/if}}",
        "{{#each b}}{{#each ../c}}" + "{{z}}" * 1_000 + "{{/each}}{{/each}}",
    ],
)
def test_a_round_of_a_loop_costs_what_its_block_is_long_even_if_nothing_comes_of_it(template: str) -> None:
    scope = {"b": [{"c": 1} for _ in range(10)], "c": [1]}
    assert text(template, scope, steps=5_000) == ""
    with pytest.raises(RenderError, match="the template takes more than 500 steps"):
        text(template, scope, steps=500)


@pytest.mark.parametrize("helper", ["map a {path}", "sort a by={path}", "unique a by={path}"])
def test_a_path_of_a_helper_is_followed_no_further_than_it_leads(helper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def noted(value: object, key: str) -> object:
        taken.append(key)
        return step(value, key)

    monkeypatch.setattr(helpers_list, "step", noted)
    path = '"' + "b." * 20_000 + 'b"'
    text(f"{{{{{helper.format(path=path)}}}}}", {"a": [{"b": {"b": None}}] * 10})
    assert taken == ["b"] * 20


@pytest.mark.parametrize(
    "template", ['{{replace t "x" t}}', "{{join a t}}", "{{concat t t t t t t t t t t t t t t t t t t t t t t t t}}"]
)
def test_one_helper_cannot_fill_the_memory(template: str) -> None:
    with pytest.raises(RenderError, match=r"longer than 1048576 characters|more than 100000 steps"):
        text(template, {"t": "x" * 50_000, "a": [1] * 50_000})


def test_an_event_that_is_nested_without_end_is_an_error() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    for template in ("{{a}}", "{{json a}}", "{{length (compact a)}}"):
        with pytest.raises(RenderError, match="nested too deeply"):
            text(template, {"a": value})
        with pytest.raises(RenderError, match="nested too deeply"):
            compile_template(template).render({"a": [value, "\ud800"]})


def test_a_template_of_the_largest_size_compiles_and_renders() -> None:
    assert text("{{a}}" * 13_107, {"a": "x"}) == "x" * 13_107
    assert text("{{#if a}}x{{/if}}" * 3_855, {"a": 1}) == "x" * 3_855
    assert text("\n" * 65_000 + "{{! }}" + "\n" * 500) == "\n" * 65_499
    with pytest.raises(TemplateError):
        text("{{" * 32_768)


@pytest.mark.parametrize("char", ["\x00", "\ud800"])
def test_a_template_cannot_hold_what_no_body_can(char: str) -> None:
    with pytest.raises(TemplateError, match=f"a template cannot hold U\\+{ord(char):04X}"):
        compile_template(f"a{char}", escape=Escape.TEXT)


def test_an_error_shows_the_line_with_a_caret() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template('{\n\t"a": {{uper b}}\n}')
    error = caught.value
    assert (error.line, error.column, error.pointer, error.code) == (2, 9, "", "invalid_template")
    assert error.detail == 'line 2, column 9: there is no helper uper; did you mean upper?\n "a": {{uper b}}\n        ^'


def test_a_long_line_is_cut_around_the_caret() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("x" * 5_000 + "{{uper b}}" + "y" * 5_000, escape=Escape.TEXT)
    _, shown, caret = caught.value.detail.split("\n")
    assert len(shown) <= 160
    assert shown[caret.index("^") :].startswith("uper b}}")


def test_a_helper_that_takes_longer_costs_more_steps() -> None:
    dates = "{{#each a}}{{date @root.t}}{{/each}}"
    scope = {"a": [1] * 50, "t": "2026-05-05T10:30:00Z"}
    assert text(dates, scope, steps=800).startswith("2026")
    with pytest.raises(RenderError, match="more than 500 steps"):
        text(dates, scope, steps=500)
