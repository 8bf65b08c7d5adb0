"""`on_missing: omit`: take the members out of a rendered JSON body whose value is missing.

The compiler writes a mark where such a value would stand. A mark after a key takes the whole member with it; a mark in
a list becomes null, so that the other items keep their places.
"""

from __future__ import annotations

import re

OMITTED = "\x00"
"""Cannot come from a template (it is refused there) or from a value (JSON escapes it)."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[ \t\r\n]+|[^" \t\r\n,:\[\]{}\x00]+|.', re.DOTALL)


def drop_omitted(body: str) -> str:
    """`body` without the members that are marked."""
    kept: list[str] = []
    skips_comma = False
    for match in _TOKEN.finditer(body):
        piece = match[0]
        if piece == OMITTED:
            skips_comma = _drop_member(kept)
        elif piece == "," and skips_comma:
            skips_comma = False
        else:
            if not piece.isspace():
                skips_comma = False
            kept.append(piece)
    return "".join(kept)


def _drop_member(kept: list[str]) -> bool:
    """Take back the key (and the comma before it); whether the comma after the member has to go too."""
    key = _last_ink(kept, len(kept))
    if key < 0 or kept[key] != ":":
        kept.append("null")
        return False
    key = _last_ink(kept, key)
    before = _last_ink(kept, key)
    if before >= 0 and kept[before] == ",":
        del kept[before:]
        return False
    del kept[before + 1 :]
    return True


def _last_ink(kept: list[str], end: int) -> int:
    """The index of the last token before `end` that is not white space; -1: there is none."""
    while end > 0 and kept[end - 1].isspace():
        end -= 1
    return end - 1
