"""What callers pass in and get back: escapes, limits, paths, rendered text."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

OnMissing = Literal["empty", "null", "omit", "fail"]


class Escape(StrEnum):
    """What values are made safe for."""

    JSON = "json"  # the compiler knows at every mustache whether it is in a string, at a value or at a key
    URL = "url"  # percent-encoded, for a path or a query
    FORM = "form"  # application/x-www-form-urlencoded
    XML = "xml"  # text and attribute values
    TEXT = "text"  # as it is: header values, text/plain


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a template may cost."""

    source_bytes: int = 65_536  # of the template, as UTF-8
    output_bytes: int = 1_048_576  # of what it renders, as UTF-8
    steps: int = 100_000  # rounds of loops, helper calls, and one for every 64 characters of what they run and handle
    depth: int = 64  # blocks, `else if` links and sub-expressions inside each other


class PathUse(msgspec.Struct, frozen=True):
    """One place where a template uses a path.

    `path` is dotted and starts at the event where the compiler can tell (`properties.items.*.sku` inside of
    `{{#each properties.items}}`); otherwise it is as the template has it.
    """

    path: str
    line: int  # 1-based
    column: int  # 1-based, in characters

    def is_in(self, event: Mapping[str, object]) -> bool:
        """Whether the event has a value (not null) at this path; a `*` asks it of every item."""
        return _has(event, self.path.split("."))


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """What came out, and which paths led to nothing (each place once)."""

    text: str
    missing: tuple[PathUse, ...] = ()


def _has(value: object, steps: list[str]) -> bool:
    for position, step in enumerate(steps):
        if step == "*":
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            return all(_has(item, steps[position + 1 :]) for item in items)
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False
    return value is not None
