"""The grammar of JSON (RFC 8259) as a machine that can stop anywhere: where in a body does a text end?

The compiler runs it over a template's literal text and asks, at every mustache, what may stand there.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Phase(Enum):
    """What may come next. The value is the set of next steps: `v` a value, `k` a key, `"` the rest of a string."""

    VALUE = "v"
    FIRST_VALUE = "v]"  # after `[`
    ITEM = "v."  # a round of `{{#list}}` begins: a value, or nothing at all
    KEY = "k"
    FIRST_KEY = "k}"  # after `{`
    ITEM_KEY = "k."
    COLON = ":"
    AFTER = ",]}."  # after a value: a comma, or the end of what it is in
    TEXT = '"v'  # inside of a string that is a value
    KEY_TEXT = '"k'


class State(NamedTuple):
    """A place in a body: the open brackets, and what may come next."""

    open: str
    phase: Phase

    def __str__(self) -> str:
        return _NAMES[self.phase]


START = State("", Phase.VALUE)
END = State("", Phase.AFTER)

VALUES = (Phase.VALUE, Phase.FIRST_VALUE, Phase.ITEM)
KEYS = (Phase.KEY, Phase.FIRST_KEY, Phase.ITEM_KEY)
STRINGS = (Phase.TEXT, Phase.KEY_TEXT)

_NAMES = {
    Phase.VALUE: "where a value must come",
    Phase.FIRST_VALUE: "after [",
    Phase.ITEM: "where an item begins",
    Phase.KEY: "where a key must come",
    Phase.FIRST_KEY: "after {",
    Phase.ITEM_KEY: "where a key begins",
    Phase.COLON: "between a key and its :",
    Phase.AFTER: "after a value",
    Phase.TEXT: "inside a string",
    Phase.KEY_TEXT: "inside a key",
}

_OPENING = {"}": "{", "]": "["}
_SPACES = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])")
_STRING = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_WORD = re.compile(r"[\w.+-]+")


class Misfit(Exception):
    """The text at `offset` cannot stand there."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


class Scan(NamedTuple):
    """Where a text leads, and where in it the last string began (-1: none did)."""

    state: State
    opened_at: int


def scan(state: State, text: str) -> Scan:
    """Read `text` from `state` on. Raises `Misfit` where it is not JSON."""
    at, opened_at = 0, -1
    while True:
        if state.phase in STRINGS:
            match = _STRING.match(text, at)
            at = match.end() if match else at
            if at == len(text):
                return Scan(state, opened_at)
            if text[at] != '"':
                raise Misfit(at, _bad_in_string(text[at:]))
            state, at = State(state.open, Phase.AFTER if state.phase is Phase.TEXT else Phase.COLON), at + 1
            continue
        match = _SPACES.match(text, at)
        at = match.end() if match else at
        if at == len(text):
            return Scan(state, opened_at)
        if text[at] == '"':
            opened_at = at
        state, at = _token(state, text, at)


def after_value(state: State) -> State:
    """Behind a whole value."""
    return State(state.open, Phase.AFTER)


def _token(state: State, text: str, at: int) -> tuple[State, int]:
    """One token outside of strings."""
    char, phase, inside = text[at], state.phase, state.open[-1:]
    is_after, following, end = phase is Phase.AFTER, None, at + 1
    if char == '"' and phase in (*VALUES, *KEYS):
        following = State(state.open, Phase.TEXT if phase in VALUES else Phase.KEY_TEXT)
    elif char in "{[" and phase in VALUES:
        following = State(state.open + char, Phase.FIRST_KEY if char == "{" else Phase.FIRST_VALUE)
    elif char in "}]" and (char in phase.value if not is_after else inside == _OPENING[char]):
        following = after_value(State(state.open[:-1], phase))
    elif char == "," and is_after and inside:
        following = State(state.open, Phase.KEY if inside == "{" else Phase.VALUE)
    elif char == ":" and phase is Phase.COLON:
        following = State(state.open, Phase.VALUE)
    elif phase in VALUES and (scalar := _SCALAR.match(text, at)):
        following, end = after_value(state), scalar.end()
    if following is None:
        raise Misfit(at, _why(state, text, at))
    return following, end


def _why(state: State, text: str, at: int) -> str:
    char = text[at]
    word = _WORD.match(text, at)
    found = word[0][:40] if word else char
    if state.phase is Phase.AFTER and not state.open:
        return f"unexpected {found}: the body ends before it"
    if state.phase is Phase.AFTER and (char in '"{[' or _SCALAR.match(text, at)):
        return f"a comma is missing before {found}"
    if char in "}]" and state.phase in (Phase.KEY, Phase.VALUE) and state.open:
        return f"{'a value is missing' if state.phase is Phase.VALUE else 'a comma stands'} before {char}"
    expected = {
        Phase.KEY: 'a key in "quotes"',
        Phase.FIRST_KEY: 'a key in "quotes", or }',
        Phase.COLON: ": after the key",
        Phase.AFTER: f"a comma or {'}' if state.open.endswith('{') else ']'}",
    }.get(state.phase, "a value (texts stand in double quotes)")
    return f"unexpected {found}: expected {expected}"


def _bad_in_string(rest: str) -> str:
    if rest[0] == "\\":
        return 'a \\ in a JSON string must begin one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u1234'
    if rest[0] == "\n":
        return 'a JSON string cannot go over the end of a line: the closing " is missing, or write \\n'
    return f"a JSON string cannot hold the control character U+{ord(rest[0]):04X}: write \\u{ord(rest[0]):04x}"
