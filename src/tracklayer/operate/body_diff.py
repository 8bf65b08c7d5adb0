"""How two bodies differ, as people read it."""

from __future__ import annotations

import difflib
import json


def body_diff(before: str | None, after: str | None, *, names: tuple[str, str]) -> str:
    """A unified diff; JSON is indented first, its numbers as they stand. Empty where nothing differs."""
    lines = difflib.unified_diff(_lines(before), _lines(after), *names, lineterm="")
    return "\n".join(lines)


def _lines(body: str | None) -> list[str]:
    if body is None:
        return []
    try:
        value = json.loads(body, parse_float=str)
    except ValueError:
        return body.splitlines()
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()
