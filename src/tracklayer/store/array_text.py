"""Lists as the text of an array: PostgreSQL's manual, section 8.15, "Array Input and Output Syntax".

The driver's own arrays ask of every element whether it is an array, too: half a microsecond each, for the seventy
values that an event writes. A text costs nothing of that, and the server reads it as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Float, Integer, String, Text, bindparam, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from tracklayer.model.event import encode_json


class ArrayText(Text):
    """The type of a parameter of a `Statement` that is given as a list and goes to the server as text."""

    def __init__(self, write: Callable[[Sequence[Any]], str]) -> None:
        """`write` is `texts` or `plain`."""
        super().__init__()
        self.write = write


def array(name: str, element: TypeEngine[Any]) -> ColumnElement[Any]:
    """The parameter `name`, an array of `element`, which is given as a list."""
    if isinstance(element, String):  # an array's elements have no collation
        return cast(bindparam(name, type_=ArrayText(texts)), ARRAY(String()))
    if isinstance(element, Boolean | Float | Integer):
        return cast(bindparam(name, type_=ArrayText(plain)), ARRAY(element))
    return bindparam(name, type_=ARRAY(element))


def texts(values: Sequence[str | None]) -> str:
    """An array of texts. What PostgreSQL's text cannot hold, a NUL, becomes U+FFFD."""
    written = plain(values)
    if "\\" in written:  # where JSON has something to escape, an array does it in its own way
        return "{" + ",".join(["null" if value is None else _quoted(value) for value in values]) + "}"
    return written


def plain(values: Sequence[float | str | None]) -> str:
    """An array of finite numbers, or of true and false: in other brackets what JSON is."""
    return f"{{{encode_json(values)[1:-1].decode()}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\0", "\ufffd").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
