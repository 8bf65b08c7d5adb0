"""How a value goes into the text: one function for each place that a mustache can stand in and each `on_missing`.

Null and missing are one: the event has nothing there. Every function takes the run and the value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import NamedTuple, TypeAlias
from urllib.parse import quote as percent_encode
from urllib.parse import quote_plus

from tracklayer.template.contract import Escape, OnMissing
from tracklayer.template.omission import OMITTED
from tracklayer.template.positions import Where
from tracklayer.template.runtime import SIZE_OF_A_STEP, Run
from tracklayer.template.values import is_number, json_text, number_text, quote, scrub, text_of

_ONE_STEP = 1 << SIZE_OF_A_STEP  # characters

Output: TypeAlias = Callable[[Run, object], str]


class Fast(Enum):
    """What the generated code does itself with a plain `str`, given as a pattern over quoting function and value."""

    QUOTE = "{quote}({value})"
    INNER = "{quote}({value})[1:-1]"
    AS_IS = "{value}"
    NO = ""


class Writing(NamedTuple):
    """How one mustache is written out."""

    fast: Fast
    output: Output


def writing(
    where: Where, escape: Escape, on_missing: OnMissing, *, alone: bool, raw: bool, is_json_text: bool
) -> Writing:
    """How a mustache is written that stands at `where`; `alone` if it is all that is in its quotes."""
    nothing = _NOTHING.get(on_missing)
    if where is Where.PLAIN:
        verbatim = raw or escape is Escape.TEXT
        return Writing(Fast.AS_IS, _text) if verbatim else Writing(Fast.NO, _ESCAPES[escape])
    if where is Where.VALUE:
        verbatim = raw or is_json_text
        return Writing(Fast.AS_IS if verbatim else Fast.QUOTE, _or(nothing or _null, _text if verbatim else _json))
    if raw:
        return Writing(Fast.AS_IS, _text)
    if where is Where.KEY or alone:
        return Writing(Fast.QUOTE, _or(nothing, _quoted) if nothing and where is Where.STRING else _quoted)
    return Writing(Fast.INNER, _inner)


def or_else(output: Output, report: Callable[[Run], None]) -> Output:
    """`report` when there is nothing to write."""

    def write(run: Run, value: object) -> str:
        if value is None:
            report(run)
        return output(run, value)

    return write


def _or(nothing: Output, output: Output) -> Output:
    def write(run: Run, value: object) -> str:
        return nothing(run, value) if value is None else output(run, value)

    return write


def _null(_: Run, __: object) -> str:
    return "null"


def _omit(run: Run, _: object) -> str:
    run.omitted = True
    return OMITTED


_NOTHING: Mapping[str, Output] = {"null": _null, "omit": _omit}


def _text(run: Run, value: object) -> str:
    text = text_of(value)
    if len(text) >= _ONE_STEP:
        run.spend(len(text) >> SIZE_OF_A_STEP)
    return text


def _quoted(run: Run, value: object) -> str:
    # As `_text` does, with fewer calls: most numbers in a body come this way.
    text = str(value) if type(value) is Decimal and value.is_finite() else text_of(value)
    if len(text) >= _ONE_STEP:
        run.spend(len(text) >> SIZE_OF_A_STEP)
    return quote(text)


def _inner(run: Run, value: object) -> str:
    return quote(_text(run, value))[1:-1]


def _json(run: Run, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value) or "null"
    text = json_text(value)
    run.spend(len(text) >> SIZE_OF_A_STEP)
    return text


def _url(run: Run, value: object) -> str:
    return percent_encode(scrub(_text(run, value)), safe="")


def _form(run: Run, value: object) -> str:
    return quote_plus(scrub(_text(run, value)))


_XML = str.maketrans(
    {
        **dict.fromkeys([*range(0x20), 0xFFFE, 0xFFFF], "\ufffd"),  # XML 1.0 has no way to write these
        **{char: f"&#{ord(char)};" for char in "\t\n\r"},  # survive in attribute values
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#39;",
    }
)


def _xml(run: Run, value: object) -> str:
    return _text(run, value).translate(_XML)


_ESCAPES: Mapping[Escape, Output] = {Escape.URL: _url, Escape.FORM: _form, Escape.XML: _xml}
