"""Fuzz the template language: `python -m tests.template.fuzz [count] [seed]`.

Every case compiles a random template and renders it for a random event. It fails when

- anything but `TemplateError` and `RenderError` is raised,
- a JSON template that compiled renders to something that is no JSON, or cannot be encoded as UTF-8,
- a secret comes out that the template does not list in `secrets`,
- a rendering opens, imports, compiles or executes anything (Python's audit events), or
- a rendering asks a foreign object for any attribute.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from random import Random
from typing import Any

from phonenumbers import PhoneMetadata

from tests.template import generate
from tracklayer.template import Escape, Limits, OnMissing, RenderError, Template, TemplateError, compile_template

SECRET = "s3cr3t-value"
LIMITS = Limits(output_bytes=50_000, steps=5_000, depth=20)
PIECES = (
    *("{{", "}}", "{{{", "}}}", "{{#", "{{/", "{{^", "{{else}}", "{{!", "--", "~", "&", "(", ")", "|", "as |", "="),
    *('"', "'", "\\", "[", "]", "{", "}", ",", ":", " ", "\n", ".", "../", "@", "@root", "@index", "this", "\x00"),
    *("if", "each", "list", "with", "lookup", "json", "upper", "secrets", "secrets.token", "a", "b", "1", "true", "-"),
    *(
        "__class__",
        "__globals__",
        "__init__",
        "get",
        "join",
        "format",
        "{0.__class__}",
        "%s",
        "k0",
        "v0",
        "run",
        "\ud800",
    ),
    *("import os", "eval", "exec", "lambda: 0", "\\u0041", "😀", "null", "undefined", 'separator=","', "{{list a}}"),
)

_POLICIES: tuple[OnMissing, ...] = ("empty", "null", "omit", "fail")
_ALLOWED_OF_FOREIGNERS = frozenset({"__class__"})  # what isinstance() asks for
_watching = False


class Broken(AssertionError):
    """A rule of this module does not hold."""


class Foreigner:
    """No JSON value: nobody may look into it."""

    def __getattribute__(self, name: str) -> Any:
        if _watching and name not in _ALLOWED_OF_FOREIGNERS:
            raise Broken(f"a rendering asked a foreign object for {name}")
        return object.__getattribute__(self, name)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching:
        raise Broken(f"a rendering raised the audit event {event} {args}")


def run(count: int, seed: int) -> dict[str, int]:
    """Run `count` cases; how many of them compiled and rendered."""
    done = {"cases": count, "compiled": 0, "rendered": 0}
    for number in range(count):
        rng = Random(f"{seed}-{number}")
        text, escape = _template(rng)
        try:
            _case(rng, text, escape, done)
        except Exception as error:
            raise Broken(f"seed {seed}, case {number}, {escape}: {text!r}") from error
    return done


def _template(rng: Random) -> tuple[str, Escape]:
    kind = rng.randrange(4)
    if kind == 0:
        return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 25))), rng.choice(list(Escape))
    text = generate.Handlebars(rng).template(2) if kind == 1 else generate.JsonTemplates(rng).template()
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice((rng.choice(PIECES), "")) + text[at + rng.randrange(3) :]
    return text, rng.choice(list(Escape)) if kind == 1 else Escape.JSON


def _case(rng: Random, text: str, escape: Escape, done: dict[str, int]) -> None:
    on_missing: OnMissing = rng.choice(_POLICIES)
    try:
        template = compile_template(text, escape=escape, on_missing=on_missing, limits=LIMITS)
    except TemplateError:
        return
    done["compiled"] += 1
    event = generate.mapping(rng)
    if rng.randrange(4) == 0:
        event["b"] = Foreigner()
    rendered = _render(template, {**event, "secrets": {"token": SECRET, "a": SECRET}})
    if rendered is None:
        return
    done["rendered"] += 1
    rendered.encode()
    if SECRET in rendered and not template.secrets:
        raise Broken("a secret came out of a template that names none")
    if escape is Escape.JSON and "{{{" not in text and "&" not in text:
        json.loads(rendered, parse_int=Decimal, parse_float=Decimal)


def _render(template: Template, scope: dict[str, Any]) -> str | None:
    global _watching  # noqa: PLW0603  an audit hook has no other way to know
    _watching = True
    try:
        return template.render(scope).text
    except RenderError:
        return None
    finally:
        _watching = False


def main() -> None:
    """Command line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    # Whatever Python and the libraries load lazily is loaded before the hook listens.
    PhoneMetadata.load_all()
    run(200, 0)
    sys.addaudithook(_audit)
    print(run(count, seed))


if __name__ == "__main__":
    main()
