"""What any event must keep to: kinds of values, lengths, depth, numbers that can be written out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TypeAlias

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json

MAX_DEPTH = 32  # objects and lists inside each other; the event itself is the first
MAX_TEXT = 200  # characters of event_id, event_name, platform and a segment's name
MAX_EXPONENT = 400  # of a number with a fraction: a double ends at 308, and 1e999999999 written out fills the memory

Place: TypeAlias = tuple[str | int, ...]  # the way to a value inside of an object
Watched: TypeAlias = Mapping[str | int, Collection[str]]  # a key → the texts under it that are no news
_NOTHING: Watched = {}

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def text_of(value: Json, at: str) -> str:
    """`value`, a text of 1 to `MAX_TEXT` printable characters. Raises `Invalid`."""
    text = _printable(value, at)
    if not text:
        raise Invalid(f"{at[1:]} is empty: expected 1 to {MAX_TEXT} characters", code="empty", pointer=at)
    if len(text) > MAX_TEXT:
        raise Invalid(f"{at[1:]} has {len(text)} characters: expected at most {MAX_TEXT}", code="too_long", pointer=at)
    return text


def identifier(value: Json, at: str) -> str:
    """What names a person, as text; a number is written out. Raises `Invalid`."""
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:  # its exponent was checked with the object, or is an alias's
        if not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
            raise _out_of_range(at)
        return f"{value:f}"
    return _printable(value, at)


def json_object(value: Json, at: str) -> dict[str, Json]:
    """One of the event's own objects, not checked inside; null is an empty one. Raises `Invalid`."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise wrong_kind(value, at, "an object")
    return value


def check_nested(value: dict[str, Json] | list[Json], depth: int, watched: Watched = _NOTHING) -> list[Place]:
    """Refuse what stands too deep below `value`, itself at `depth`, and numbers that cannot be written out.

    Answers the places of the texts that stand under a key of `watched` and are none of those expected there: this walk
    sees every value anyway. Raises `Invalid`, its pointer relative to `value`.
    """
    if depth > MAX_DEPTH:
        raise Invalid(f"nested too deeply: expected at most {MAX_DEPTH} levels", code="too_deep", pointer="")
    found: list[Place] = []
    items: Iterable[tuple[str | int, Json]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        kind = type(item)
        if kind is str:
            if key in watched and item not in watched[key]:
                found.append((key,))
        elif kind is dict or kind is list:
            try:
                below = check_nested(item, depth + 1, watched)
            except Invalid as error:
                raise error.under(pointer(key)) from None
            if below:
                found += [(key, *place) for place in below]
        elif kind is Decimal and not -MAX_EXPONENT <= item.adjusted() <= MAX_EXPONENT:
            raise _out_of_range(pointer(key))
    return found


def wrong_kind(value: Json, at: str, expected: str) -> Invalid:
    """The error for a value of another kind than `expected`."""
    return Invalid(f"{at[1:] or 'the event'} is {kind_of(value)}: expected {expected}", code="invalid_type", pointer=at)


def kind_of(value: Json) -> str:
    """The kind of a JSON value, for people."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _printable(value: Json, at: str) -> str:
    """`value`, a text without control characters: headers cannot carry them, nor PostgreSQL's texts a NUL."""
    if type(value) is not str:
        raise wrong_kind(value, at, "a string")
    if not value.isprintable() and (found := _CONTROL.search(value)):
        raise Invalid(
            f"{at[1:]} has the control character U+{ord(found[0]):04X} at {found.start()}: expected plain text",
            code="control_character",
            pointer=at,
        )
    return value


def _out_of_range(at: str) -> Invalid:
    return Invalid(
        f"a number is out of range: expected an exponent from -{MAX_EXPONENT} to {MAX_EXPONENT}",
        code="number_out_of_range",
        pointer=at,
    )
