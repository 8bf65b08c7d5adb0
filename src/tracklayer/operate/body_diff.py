"""How two bodies, or the heads of two requests, differ, as people read it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import msgspec

MOST_LINES = 1_000  # of either side are compared: beyond that it takes too long


def body_diff(before: str | None, after: str | None, *, names: tuple[str, str]) -> str:
    """A unified diff; JSON is indented first, its numbers and texts as they stand. Empty where nothing differs."""
    return "" if before == after else line_diff(_lines(before), _lines(after), names=names)


def line_diff(before: Sequence[str], after: Sequence[str], *, names: tuple[str, str]) -> str:
    """A unified diff of lines, of the first thousand of each."""
    lines = list(difflib.unified_diff(before[:MOST_LINES], after[:MOST_LINES], *names, lineterm=""))
    if max(len(before), len(after)) > MOST_LINES and before != after:
        lines.append(f"… only the first {MOST_LINES} lines are compared")
    return "\n".join(lines)


def _lines(body: str | None) -> list[str]:
    if body is None:
        return []
    try:
        return msgspec.json.format(body, indent=2).split("\n")
    except (msgspec.DecodeError, RecursionError):
        return body.splitlines()
