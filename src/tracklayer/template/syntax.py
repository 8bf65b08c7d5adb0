"""The tree that the parser makes of a template.

Nodes compare by identity: two mustaches with the same text are two places. Offsets count characters of the source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias


@dataclass(slots=True, eq=False)
class Path:
    """`a.b`, `../a`, `this`, `@index`."""

    original: str  # as written, brackets taken off
    depth: int  # how many `../`
    parts: tuple[str, ...]
    data: bool  # starts with `@`
    scoped: bool  # starts with `this`, `.` or `..`: never a helper or a block parameter
    offset: int

    @property
    def is_name(self) -> bool:
        """A single word, which may name a helper or a block parameter."""
        return len(self.parts) == 1 and not (self.depth or self.scoped or self.data)


@dataclass(slots=True, eq=False)
class Literal:
    """A text, a number, true, false, null or undefined (both None)."""

    value: str | int | Decimal | bool | None
    original: str
    offset: int


@dataclass(slots=True, eq=False)
class Call:
    """`helper a b name=c`."""

    name: Path
    params: list[Expression]
    options: dict[str, Expression]
    offset: int


Expression: TypeAlias = Path | Literal | Call


@dataclass(slots=True, eq=False)
class Strip:
    """Whether `~` stands at the left and the right end of a tag."""

    left: bool = False
    right: bool = False


@dataclass(slots=True, eq=False)
class Content:
    """Text that stands for itself."""

    original: str  # as written
    offset: int  # where `value` begins in the source
    value: str = ""  # what whitespace control leaves of it
    trimmed_start: bool = False
    trimmed_end: bool = False

    def __post_init__(self) -> None:
        self.value = self.original


@dataclass(slots=True, eq=False)
class Comment:
    """`{{! … }}`."""

    strip: Strip
    offset: int


@dataclass(slots=True, eq=False)
class Mustache:
    """`{{expression}}`, or unescaped `{{{expression}}}`."""

    expression: Expression
    raw: bool
    strip: Strip
    offset: int


@dataclass(slots=True, eq=False)
class Program:
    """A template, or one branch of a block."""

    body: list[Statement] = field(default_factory=list)
    block_params: tuple[str, ...] = ()
    chain: Block | None = None  # the block of an `{{else if …}}`, which is then all that it holds


@dataclass(slots=True, eq=False)
class Block:
    """`{{#name …}} program {{else}} inverse {{/name}}`; of `{{^name}}` the first branch is the inverse."""

    call: Call
    program: Program | None
    inverse: Program | None
    open_strip: Strip
    inverse_strip: Strip
    close_strip: Strip
    offset: int
    end: int  # where the text of its branches ends in the source


Statement: TypeAlias = Content | Comment | Mustache | Block
