"""A request's body: JSON; of a batch each item on its own, so that one that cannot be read costs the others nothing."""

from __future__ import annotations

import re
from decimal import InvalidOperation
from typing import NamedTuple

import msgspec

from tracklayer.decoding import why_no_json
from tracklayer.errors import Malformed
from tracklayer.model.event import Json, decode_json

MOST_TOKENS = 250_000  # of a batch that is taken apart: about 50 ms

# A string that never ends is one token, too: looking for its end again from each quote inside would take minutes.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_OPEN, _CLOSE, _LIST, _COMMA = b"[{", b"]}", b"["[0], b","[0]


class Unreadable(NamedTuple):
    """An item of a batch that is no JSON that can be read, and why."""

    raw: bytes
    error: Malformed


class _Parts(NamedTuple):
    around: bytes  # the batch with its list emptied
    items: list[bytes]


def read_json(raw: bytes, what: str = "the body") -> Json:
    """The JSON value of a body, numbers with a fraction as `Decimal`. Raises `Malformed`, which says where."""
    try:
        return decode_json(raw)
    except RecursionError:
        problem = "nested too deeply"
    except UnicodeDecodeError:
        problem = f"not UTF-8{_first_bad_byte(raw)}"
    except InvalidOperation:
        problem = "a number's exponent is out of range"
    except msgspec.DecodeError as error:
        problem = why_no_json(raw, error)
    raise Malformed(f"{what} is not JSON that can be read: {problem}", pointer="")


def read_batch_json(raw: bytes, name: str) -> Json:
    """As `read_json`; in the list `name` of an object, an item that cannot be read is `Unreadable`.

    A JavaScript program that cuts a text in the middle of an emoji sends half a surrogate pair, which is no Unicode
    text. That must not cost the rest of the batch.
    """
    try:
        return read_json(raw)
    except Malformed as error:
        parts = _split(raw, name)
        if parts is None:
            raise
        refused = error
    body = read_json(parts.around)
    if not isinstance(body, dict) or body.get(name) != []:
        raise refused
    return {**body, name: [_item(each) for each in parts.items]}


def _item(raw: bytes) -> Json:
    try:
        return read_json(raw, "the item")
    except Malformed as error:
        return Unreadable(raw, error.with_traceback(None))


def _split(raw: bytes, name: str) -> _Parts | None:
    """The items of the list `name` at the top, by brackets, commas and strings alone; None where that fails."""
    key = f'"{name}"'.encode()
    items: list[bytes] = []
    begin = item = end = -1  # of the list, of the item at hand
    before: re.Match[bytes] | None = None
    depth = 0
    for number, token in enumerate(_TOKEN.finditer(raw)):
        if number == MOST_TOKENS:
            return None
        start, kind = token.start(), raw[token.start()]
        if kind in _OPEN:
            if (
                depth == 1
                and kind == _LIST
                and before
                and before[0] == key
                and raw[before.end() : start].strip() == b":"
            ):
                if begin >= 0:
                    return None  # twice
                begin = item = token.end()
            depth += 1
        elif kind in _CLOSE:
            depth -= 1
            if depth == 1 and begin >= 0 and end < 0:
                items.append(raw[item:start].strip())
                end = start
        elif kind == _COMMA and depth == 2 and begin >= 0 and end < 0:
            items.append(raw[item:start].strip())
            item = token.end()
        before = token
    return _Parts(raw[:begin] + raw[end:], items) if end >= 0 and all(items) else None


def _first_bad_byte(raw: bytes) -> str:
    """The decoder counts from the start of the string that it was in; people count from the start of the body."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f" (byte {error.start})"
    return ""
