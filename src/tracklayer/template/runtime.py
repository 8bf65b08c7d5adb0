"""What runs when a template is rendered: the state of one rendering, and the blocks.

The compiler makes straight-line functions out of programs (`writer.py`); everything that branches or loops is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from tracklayer.template.contract import Limits, PathUse
from tracklayer.template.errors import RenderError
from tracklayer.template.values import is_empty, is_true, is_zero, text_of

SIZE_OF_A_STEP = 6  # 2 ** 6 characters cost a step


class Run(msgspec.Struct, gc=False):
    """One rendering: what it may reach, what it has used up, and what was missing."""

    fields: Mapping[str, object]  # what `@root` is: the event
    beside: Mapping[str, object]  # where `destination` and `delivery` are
    secrets: object
    limits: Limits
    steps_left: int
    missing: dict[PathUse, None] = msgspec.field(default_factory=dict)
    omitted: bool = False  # a mark stands in the output where a member has to go

    def spend(self, steps: int) -> None:
        """Pay for work. Raises `RenderError` when the budget is used up."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise RenderError(f"the template takes more than {self.limits.steps} steps for this event")

    def check_size(self, characters: int) -> None:
        """Raises `RenderError` when the output would be too long."""
        if characters > self.limits.output_bytes:
            raise RenderError(f"the output is longer than {self.limits.output_bytes} bytes")


def root(run: Run) -> object:
    """`@root`: the event."""
    return run.fields


def beside(run: Run) -> object:
    """What stands beside the event."""
    return run.beside


def note_missing(run: Run, use: PathUse) -> None:
    """A path led to nothing."""
    run.missing[use] = None


class Frame:
    """The context of one round of a loop, or of a `{{#with}}`."""

    __slots__ = ("depths", "index", "is_last", "key", "loop", "outer", "this")

    def __init__(self, this: object, outer: Frame | None) -> None:
        self.this = this
        self.outer = outer
        self.loop: Frame | None = None
        self.index = 0
        self.key: object = None
        self.is_last = False
        if outer is None:
            self.depths: tuple[object, ...] = (this,)
        else:
            self.loop = outer.loop
            self.depths = outer.depths if _is_same(this, outer.depths[0]) else (this, *outer.depths)


_SCALARS = (str, bool, int, Decimal)


def _is_same(inner: object, outer: object) -> bool:
    """Handlebars adds no level for `../` when a block's context is the one that it stands in."""
    if inner is outer:
        return True
    return type(inner) is type(outer) and type(inner) in _SCALARS and text_of(inner) == text_of(outer)


def context(frame: Frame, depth: int) -> object:
    """The context `depth` levels up (`../`)."""
    return frame.depths[depth] if depth < len(frame.depths) else None


def block_value(frame: Frame, hops: int) -> object:
    """The first block parameter of the block `hops` blocks up."""
    return _up(frame, hops).this


def block_key(frame: Frame, hops: int) -> object:
    """The second one."""
    return _up(frame, hops).key


def _up(frame: Frame, hops: int) -> Frame:
    for _ in range(hops):
        frame = frame.outer or frame
    return frame


def loop_index(frame: Frame, depth: int) -> object:
    """`@index`."""
    loop = _loop(frame, depth)
    return loop.index if loop else None


def loop_key(frame: Frame, depth: int) -> object:
    """`@key`."""
    loop = _loop(frame, depth)
    return loop.key if loop else None


def loop_first(frame: Frame, depth: int) -> object:
    """`@first`."""
    loop = _loop(frame, depth)
    return loop.index == 0 if loop else None


def loop_last(frame: Frame, depth: int) -> object:
    """`@last`."""
    loop = _loop(frame, depth)
    return loop.is_last if loop else None


def _loop(frame: Frame, depth: int) -> Frame | None:
    loop = frame.loop
    for _ in range(depth):
        if loop is None or loop.outer is None:
            return None
        loop = loop.outer.loop
    return loop


class Branch(Protocol):
    """A compiled program."""

    def __call__(self, run: Run, frame: Frame, this: object, /) -> str:
        """The text of the program in a context."""


def nothing(_run: Run, _frame: Frame, _this: object) -> str:
    """An empty program."""
    return ""


class Pieces:
    """A long program in pieces, so that no piece outgrows the limit by much before it is measured."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Sequence[Branch]) -> None:
        self._pieces = tuple(pieces)

    def __call__(self, run: Run, frame: Frame, this: object) -> str:
        parts, size = [], 0
        for piece in self._pieces:
            part = piece(run, frame, this)
            size += len(part)
            run.check_size(size)
            parts.append(part)
        return "".join(parts)


class If:
    """`{{#if}}`, and with the branches changed `{{#unless}}`."""

    __slots__ = ("_otherwise", "_then")

    def __init__(self, then: Branch, otherwise: Branch) -> None:
        self._then = then
        self._otherwise = otherwise

    def __call__(self, run: Run, frame: Frame, this: object, value: object, include_zero: object = None) -> str:
        chosen = is_true(value) or (is_true(include_zero) and is_zero(value))
        return (self._then if chosen else self._otherwise)(run, frame, this)


class With:
    """`{{#with}}`."""

    __slots__ = ("_otherwise", "_then")

    def __init__(self, then: Branch, otherwise: Branch) -> None:
        self._then = then
        self._otherwise = otherwise

    def __call__(self, run: Run, frame: Frame, this: object, value: object) -> str:
        if is_empty(value):
            return self._otherwise(run, frame, this)
        return self._then(run, Frame(value, frame), value)


class Each:
    """`{{#each}}` over the items of a list or the members of an object, and `{{#list}}` with its separator.

    A round costs `cost`, which grows with the text of the block: what takes time need not leave anything in the output.
    """

    __slots__ = ("_body", "_cost", "_otherwise", "_separator", "_skips_blank")

    def __init__(self, body: Branch, otherwise: Branch, cost: int, separator: str | None = None) -> None:
        self._body = body
        self._otherwise = otherwise
        self._cost = cost
        self._separator = separator or ""
        self._skips_blank = separator is not None

    def __call__(self, run: Run, frame: Frame, this: object, value: object) -> str:
        if isinstance(value, Mapping):
            members = list(value.items())
        elif isinstance(value, list | tuple):
            members = list(enumerate(value))
        else:
            members = []
        if not members:
            return self._otherwise(run, frame, this)
        parts, size, last = [], 0, len(members) - 1
        for index, (key, item) in enumerate(members):
            child = Frame(item, frame)
            child.index, child.key, child.is_last, child.loop = index, key, index == last, child
            run.spend(self._cost)
            part = self._body(run, child, item)
            size += len(part) + len(self._separator)
            run.spend(len(part) >> SIZE_OF_A_STEP)
            run.check_size(size)
            if not (self._skips_blank and (not part or part.isspace())):
                parts.append(part)
        return self._separator.join(parts)


class Section:
    """`{{#path}}`: for each item of a list, once for any other value but null and false."""

    __slots__ = ("_body", "_each", "_otherwise")

    def __init__(self, body: Branch, otherwise: Branch, cost: int) -> None:
        self._body = body
        self._otherwise = otherwise
        self._each = Each(body, otherwise, cost)

    def __call__(self, run: Run, frame: Frame, this: object, value: object) -> str:
        if value is None or value is False:
            return self._otherwise(run, frame, this)
        if isinstance(value, list | tuple):
            return self._each(run, frame, this, value)
        inner = this if value is True else value
        return self._body(run, Frame(inner, frame), inner)
