"""Helpers over texts. Lengths and positions count characters (an emoji is one), and positions start at 0."""

from __future__ import annotations

from urllib.parse import quote as percent_encode

from tracklayer.template.helper import COUNT, LONGEST_TEXT, TEXT, TEXT_OR_LIST, TEXT_OR_NULL, Helper, Refusal
from tracklayer.template.values import scrub


def _upper(text: str) -> str:
    return text.upper()


def _lower(text: str) -> str:
    return text.lower()


def _trim(text: str) -> str:
    """Without white space at both ends."""
    return text.strip()


def _replace(text: str, old: str, new: str) -> str:
    """Every `old` becomes `new`."""
    if old == "":
        raise Refusal("expected a text to look for, got an empty one")
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST_TEXT:
        raise Refusal(f"the result is longer than {LONGEST_TEXT} characters")
    return text.replace(old, new)


def _substring(text: str, start: int, end: int | None = None) -> str:
    """From `start` up to before `end`, both from 0; beyond the ends of the text is the end of the text."""
    return text[max(0, start) : None if end is None else max(0, end)]


def _truncate(text: str, length: int, *, end: str = "…") -> str:
    """At most `length` characters, `end` among them where something was cut off."""
    if length < 0:
        raise Refusal(f"expected a length of 0 or more, got {length}")
    if len(text) <= length:
        return text
    return (text[: max(0, length - len(end))] + end)[:length]


def _split(text: str, separator: str) -> list[str]:
    if separator == "":
        raise Refusal("expected a separator, got an empty text")
    return text.split(separator)


def _concat(*texts: str) -> str:
    """One after the other; null is empty."""
    return "".join(texts)


def _slice(value: str | list[object], start: int, end: int | None = None) -> str | list[object]:
    """A part of a text or a list, as `substring`; negative positions count from the end."""
    return value[start:end]


def _urlencode(text: str) -> str:
    """Percent-encoded: everything but letters, digits and `-._~`."""
    return percent_encode(scrub(text), safe="")


TEXT_HELPERS = (
    Helper("upper", _upper, (TEXT,)),
    Helper("lower", _lower, (TEXT,)),
    Helper("trim", _trim, (TEXT,)),
    Helper("replace", _replace, (TEXT, TEXT, TEXT)),
    Helper("substring", _substring, (TEXT, COUNT), (COUNT,)),
    Helper("truncate", _truncate, (TEXT, COUNT), options={"end": TEXT}),
    Helper("split", _split, (TEXT, TEXT)),
    Helper("concat", _concat, (TEXT_OR_NULL,), rest=TEXT_OR_NULL),
    Helper("slice", _slice, (TEXT_OR_LIST, COUNT), (COUNT,), keeps_items=True),
    Helper("urlencode", _urlencode, (TEXT,)),
)
