"""A helper's call, checked as far as the template shows it, and made ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tracklayer.template.errors import RenderError
from tracklayer.template.helper import LONGEST_TEXT, Helper, Kind, Refusal
from tracklayer.template.runtime import SIZE_OF_A_STEP, Run

BoundHelper: TypeAlias = Callable[..., object]
"""Takes the run and the values of a call, positional ones first, then the options in the order they were bound."""


def bind(helper: Helper, kinds: list[Kind], options: list[tuple[str, Kind]], line: int, column: int) -> BoundHelper:
    """`helper` as it is called at one place. What it refuses becomes a `RenderError` that names the place."""
    readers = [(kind.read, kind.takes_null) for kind in (*kinds, *(kind for _, kind in options))]
    names = [name for name, _ in options]
    count, function = len(kinds), helper.function

    def call(run: Run, *values: object) -> object:
        cost, arguments = helper.steps, []
        try:
            for (read, takes_null), value in zip(readers, values, strict=True):
                if value is None and not takes_null:
                    return None
                cost += weight(value)
                arguments.append(read(value))
            run.spend(cost)
            result = function(*arguments[:count], **dict(zip(names, arguments[count:], strict=True)))
        except Refusal as refusal:
            raise RenderError(f"{helper.name}: {refusal}", line=line, column=column) from None
        except ArithmeticError:
            raise RenderError(f"{helper.name}: not a number to calculate with", line=line, column=column) from None
        if type(result) is str:
            if len(result) > LONGEST_TEXT:
                message = f"{helper.name}: the result is longer than {LONGEST_TEXT} characters"
                raise RenderError(message, line=line, column=column)
            run.spend(len(result) >> SIZE_OF_A_STEP)
        return result

    return call


def weight(value: object) -> int:
    """What a value costs a helper to look at, in steps."""
    if isinstance(value, str):
        return len(value) >> SIZE_OF_A_STEP
    if isinstance(value, list | tuple):
        return sum([1 + weight(item) for item in value])
    if isinstance(value, Mapping):
        return sum([1 + weight(item) for item in value.values()])
    return 0


def read_literal(kind: Kind, value: object) -> Kind:
    """The kind for a value that stands in the template: it was read when it was compiled. Raises `Refusal`."""
    if value is None and not kind.takes_null:
        raise Refusal(f"needs {kind.name}, got null")
    read = kind.read(value)
    return Kind(kind.name, lambda _: read, takes_null=True)
