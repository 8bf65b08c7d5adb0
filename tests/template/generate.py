"""Random templates and events, drawn from a `random.Random`."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

# A seed tells a case as well as the draws would, of which Hypothesis keeps book: so a case takes a sixth of the time.
SEEDS = st.integers(0, 2**32 - 1)
NAMES = ("a", "b", "c", "items", "text")
TEXTS = (
    "",
    " ",
    "x",
    "word",
    "2026-05-05T10:30:00Z",
    "149.90",
    'q"q',
    "b\\",
    "\n",
    "\u2028\u0000\u007f",
    "</script>",
    "{{a}}",
    "😀",
    "\ud800",
    "\udfff x",
    "é" * 5,
    '"}',
    "\\u12",
    "\\ud800",
    "+49 (0)30 123456",
    "0049 171 1234567 ext. 8",
)
NUMBERS = (
    Decimal("149.90"),
    Decimal("-0"),
    Decimal("1E+400"),
    Decimal("1E-9"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    float("nan"),
    float("inf"),
    0.1,
    10**30,
    10**5000,
    -1,
    0,
)


def value(rng: Random, depth: int = 3) -> Any:
    """Anything that could be carried into a template, JSON or not quite."""
    kind = rng.randrange(8 if depth else 5)
    if kind < 2:
        return rng.choice(TEXTS)
    if kind == 2:
        return rng.choice(NUMBERS)
    if kind < 5:
        return rng.choice((True, False, None))
    if kind == 5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return mapping(rng, depth - 1)


def mapping(rng: Random, depth: int = 3) -> dict[str, Any]:
    """An object over `NAMES`, and sometimes over a hostile name too."""
    names = [name for name in NAMES if rng.randrange(3)]
    if rng.randrange(3) == 0:
        names.append(rng.choice(TEXTS))
    return {name: value(rng, depth) for name in names}


class PlainData:
    """Data in which no two values are equal for JavaScript's `==`, by which Handlebars.js counts levels for `../`.

    (There `false`, `0`, `""` and `[]` are equal, `1` and `true`, `"x"` and `["x"]`.) Nor is a number small enough to
    be an index into a text, which Handlebars.js allows.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._count = 10

    def mapping(self, depth: int = 3) -> dict[str, Any]:
        """An object over `NAMES`."""
        return {name: self._value(depth) for name in NAMES if self._rng.randrange(3)}

    def _value(self, depth: int) -> Any:
        self._count += 1
        kind = self._rng.randrange(7 if depth else 4)
        if kind == 0:
            return self._rng.choice(("word {}", " t{}", "{}\n")).format(self._count)
        if kind < 4:
            return (self._count, False, True)[kind - 1]
        if kind == 4:
            return [self._value(depth - 1) for _ in range(self._rng.randrange(2, 4))]
        return self.mapping(depth - 1)


class Handlebars:
    """Templates of what Handlebars.js and TrackLayer both know, as plain text."""

    TEXTS = ("t", " ", "\n", "  \n", "\t", "x y", "\r\n", "\n  ", " } ", "{ ")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._params: list[str] = []

    def template(self, depth: int = 3) -> str:
        """A few statements in a row."""
        return "".join(self._statement(depth) for _ in range(self._rng.randrange(1, 6)))

    def _statement(self, depth: int) -> str:
        kind = self._rng.randrange(12 if depth else 7)
        if kind < 3:
            return self._rng.choice(self.TEXTS)
        if kind < 6:
            return self._mustache()
        if kind == 6:
            return self._rng.choice(("{{! c }}", "{{!-- }} --}}", "\\{{a}} ", "\\\\{{a}}", "{{~! c ~}}", "{{!c~}}"))
        return self._block(depth - 1)

    def _mustache(self) -> str:
        left, right = self._tilde(), self._tilde()
        expression = self._expression()
        form = self._rng.randrange(4)
        if form == 0:
            return f"{{{{{left}{{{expression}}}{right}}}}}."  # without the dot Handlebars.js adds two numbers in a row
        return f"{{{{{left}&{expression}{right}}}}}." if form == 1 else f"{{{{{left}{expression}{right}}}}}"

    def _expression(self) -> str:
        if self._rng.randrange(6) == 0:
            key = self._rng.choice(('"a"', "text", '(lookup . "b")'))  # no index: Handlebars.js indexes texts too
            return f"lookup {self._path()} {key}"
        return self._path()

    def _param(self) -> str:
        if self._rng.randrange(8) == 0:
            return self._rng.choice(("0", "1", '"x"', "''", "true", "false", "null", "undefined"))
        return self._path()

    def _path(self, *, as_context: bool = False) -> str:
        rng = self._rng
        if rng.randrange(5) == 0:
            loop = ("@index", "@key", "@first", "@last", "@../index", "@../key")
            return str(rng.choice(("this", ".", "@root.a", "..", "../..", *(() if as_context else loop))))
        if self._params and rng.randrange(3) == 0:
            return rng.choice(self._params) + rng.choice(("", ".a"))
        up = rng.choice(("", "", "", "../", "../../", "this.", "./"))
        return str(up) + rng.choice((".", "/")).join(
            str(rng.choice((*NAMES, f"[{rng.choice(NAMES)}]", "length"))) for _ in range(rng.randrange(1, 4))
        )

    def _block(self, depth: int) -> str:
        rng = self._rng
        name = rng.choice(("if", "unless", "each", "with", "each", ""))
        if not name:
            path = rng.choice(("a", "b", "items", "this.c", "../a"))
            return self._body(rng.choice("##^"), path, path, depth)
        subject = self._path(as_context=True) if name == "with" else self._param()
        head, added = f"{name} {subject}", 0
        if name in ("if", "unless") and rng.randrange(4) == 0:
            head += f" includeZero={rng.choice(('true', 'false', 'a'))}"
        if name in ("each", "with") and rng.randrange(3) == 0:
            params = ["p", "q"][: rng.randrange(1, 3 if name == "each" else 2)]
            head += f" as |{' '.join(params)}|"
            self._params += params
            added = len(params)
        text = self._body("#", head, name, depth)
        if added:
            del self._params[-added:]
        return text

    def _body(self, sign: str, head: str, name: str, depth: int) -> str:
        rng = self._rng
        text = f"{{{{{self._tilde()}{sign}{head}{self._tilde()}}}}}{self.template(depth)}"
        if sign == "#":
            for _ in range(rng.randrange(3) if rng.randrange(4) == 0 else 0):
                text += f"{{{{{self._tilde()}else if {self._path()}{self._tilde()}}}}}{self.template(depth)}"
        if rng.randrange(2):
            text += f"{{{{{self._tilde()}{rng.choice(('else', '^', ' else '))}{self._tilde()}}}}}{self.template(depth)}"
        return f"{text}{{{{{self._tilde()}/{name}{self._tilde()}}}}}"

    def _tilde(self) -> str:
        return "~" if self._rng.randrange(6) == 0 else ""


class JsonTemplates:
    """Templates of JSON bodies; most of them compile, and those that do must render to JSON."""

    HELPERS = (
        "json {path}",
        "upper {path}",
        "default {path} {literal}",
        "concat {path} {literal} {path}",
        "eq {path} {literal}",
        "and {path} {path}",
        "coalesce {path} {path}",
        "truncate {path} 3",
        'replace {path} "x" {literal}',
        "length {path}",
        "first {path}",
        "sort {path}",
        "unique {path}",
        "map {path} 'a'",
        "pick {path} 'a' 'b'",
        "merge {path} {path}",
        "compact {path}",
        "add {path} 1",
        "multiply {path} {path}",
        "round {path} 2",
        "sha256 {path}",
        "base64 {path}",
        "email {path}",
        "phone {path} 'meta'",
        "phone {path} country='39'",
        "date {path} '%Y'",
        "lookup {path} {path}",
        "join {path} {literal}",
        "split {path} 'x'",
        "json (compact {path}) pretty=true",
    )

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def template(self) -> str:
        """One value."""
        return self._value(4)

    def _value(self, depth: int) -> str:
        kind = self._rng.randrange(9 if depth else 4)
        if kind == 0:
            return self._rng.choice(("1", "-0.5e3", "true", "null", '""', '"a\\n\\u0041"', '"\u2028é"'))
        if kind == 1:
            return self._mustache()
        if kind < 4:
            return self._string(depth)
        if kind == 4:
            return f"[{self._items(depth - 1)}]"
        if kind < 7:
            return f"{{{self._space()}{self._members(depth - 1)}{self._space()}}}"
        return self._block(self._value, depth - 1)

    def _string(self, depth: int) -> str:
        parts = (self._rng.choice(("", "x", " ", "\\n", "é")) for _ in range(2))
        inner = self._mustache() if depth == 0 or self._rng.randrange(3) else self._block(self._inside, depth - 1)
        return f'"{next(parts)}{inner}{next(parts)}"'

    def _inside(self, depth: int) -> str:
        return self._rng.choice(("x", self._mustache(), self._mustache()))

    def _items(self, depth: int) -> str:
        kind = self._rng.randrange(6)
        if kind > 3:
            return self._rounds()
        if kind == 0:
            return f"{{{{#list {self._path()}}}}}{self._value(depth)}{{{{/list}}}}"
        if kind == 1:
            comma = "{{#unless @last}},{{/unless}}"
            return f"{{{{#each {self._path()}}}}}{self._value(depth)}{comma}{{{{/each}}}}"
        return ",".join(self._value(depth) for _ in range(self._rng.randrange(4)))

    def _rounds(self) -> str:
        """A block whose text depends on the round that it is in, or that the block around it is in."""
        block = self._rng.choice(("each ", "with ", "list ", ""))
        path = self._rng.choice(("a", "b", "items"))
        word = self._rng.choice(("@first", "@last", "@index", "(not @first)"))
        one, other = (self._rng.choice((",", "")) + self._value(0) + self._rng.choice((",", "")) for _ in range(2))
        inner = f"{{{{#{self._rng.choice(('if', 'unless'))} {word}}}}}{one}{{{{else}}}}{other}{{{{/"
        inner += f"{'if' if inner.startswith('{{#if') else 'unless'}}}}}"
        return f"{{{{#{block}{path}}}}}{inner}{{{{/{block.strip() or path}}}}}"

    def _members(self, depth: int) -> str:
        if self._rng.randrange(5) == 0:
            return f'{{{{#list {self._path()}}}}}"{{{{@key}}}}":{self._value(depth)}{{{{/list}}}}'
        members = [
            f"{self._key(name)}{self._space()}:{self._space()}{self._value(depth)}"
            for name in self._rng.sample("klmn", self._rng.randrange(4))
        ]
        if members and self._rng.randrange(3) == 0:
            members[-1] = f"{members[-1]}{{{{#if {self._path()}}}}},{members[-1]}{{{{/if}}}}"
        return f",{self._space()}".join(members)

    def _key(self, name: str) -> str:
        return self._rng.choice((f'"{name}"', f'"{self._mustache()}{name}"', self._mustache()))

    def _block(self, body: Any, depth: int) -> str:
        kind, path = self._rng.choice(("if", "unless", "with")), self._path()
        return f"{{{{#{kind} {path}}}}}{body(depth)}{{{{else}}}}{body(depth)}{{{{/{kind}}}}}"

    def _mustache(self) -> str:
        if self._rng.randrange(3):
            return f"{{{{{self._path()}}}}}"
        helper = self._rng.choice(self.HELPERS)
        while "{path}" in helper or "{literal}" in helper:
            helper = helper.replace("{path}", self._path(), 1)
            helper = helper.replace("{literal}", self._rng.choice(("'x'", "1.50", '"é"', "true")), 1)
        return f"{{{{{helper}}}}}"

    def _path(self) -> str:
        up = self._rng.choice(("", "", "", "../", "@root.", "this."))
        path = ".".join(self._rng.choice((*NAMES, "0", "length")) for _ in range(self._rng.randrange(1, 3)))
        return self._rng.choice((f"{up}{path}", f"{up}{path}", "this", "@index", "@key", "@last", "@root"))

    def _space(self) -> str:
        return self._rng.choice(("", "", " ", "\n  "))
