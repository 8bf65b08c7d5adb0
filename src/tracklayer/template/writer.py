"""One program as one straight-line Python function: fast, and closed by construction.

The text that is compiled holds nothing of the user's. Its names are `run`, `frame` and `this`, which the caller passes,
`v0`, `v1` … for what it computes, and `k0`, `k1` … for constants and functions of this package, which reach it as the
default values of its parameters: a tuple passed by reference. It has no globals and no builtins, and looks up one
attribute, `get`, on what `type(…) is dict` was true for. `_prove_closed` checks all that on the compiled code.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import cast

from tracklayer.template.runtime import Branch

_ATTRIBUTES = frozenset({"get", "join"})
"""`dict.get`, and `str.join`, into which Python itself turns a long f-string."""

_ARGUMENTS = ("run", "frame", "this")


class FunctionWriter:
    """Collects the lines and the constants of one function."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._constants: list[object] = []
        self._names: dict[int, str] = {}
        self._count = 0
        self.uses_frame = False

    def constant(self, value: object) -> str:
        """The name of a constant."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = f"k{len(self._constants)}"
            self._constants.append(value)  # keeps it alive, so that its id stays its own
        return name

    def assign(self, expression: str) -> str:
        """A line that computes `expression`; the name of its result."""
        name = f"v{self._count}"
        self._count += 1
        self._lines.append(f" {name} = {expression}")
        return name

    def update(self, name: str, expression: str) -> None:
        """A line that computes a result anew."""
        self._lines.append(f" {name} = {expression}")

    def check(self, condition: str, statement: str) -> None:
        """A line that does something only if."""
        self._lines.append(f" if {condition}: {statement}")

    def finish(self, parts: list[str]) -> Branch:
        """The function, which returns the texts named in `parts`, one after the other."""
        joined = "".join(f"{{{part}}}" for part in parts)
        parameters = ", ".join([*_ARGUMENTS, *(f"k{number}" for number in range(len(self._constants)))])
        text = f"def program({parameters}):\n" + "\n".join([*self._lines, f" return f'{joined}'"])
        module = compile(text, "<template>", "exec", dont_inherit=True)
        code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
        _prove_closed(code, len(self._constants), self._count)
        return cast("Branch", FunctionType(code, {"__builtins__": {}}, "program", tuple(self._constants)))


def _prove_closed(code: CodeType, constants: int, results: int) -> None:
    """Whatever the template was, the code can reach only what it was handed."""
    names = {*_ARGUMENTS, *(f"k{number}" for number in range(constants)), *(f"v{number}" for number in range(results))}
    is_closed = (
        set(code.co_varnames) <= names
        and set(code.co_names) <= _ATTRIBUTES
        and not code.co_freevars
        and not code.co_cellvars
        and all(constant is None or constant == "" or type(constant) in (int, slice) for constant in code.co_consts)
    )
    if not is_closed:
        raise AssertionError(f"generated code reaches beyond its arguments: {code.co_names}")
