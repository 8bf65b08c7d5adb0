"""What a path means where it stands: which block's context, and where in the event that is, as far as one can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tracklayer.template.syntax import Path

BESIDE = ("destination", "delivery")  # stand beside the event: named like its fields, and none of them
_NOT_OF_THE_EVENT = (*BESIDE, "secrets")


class Parameter(NamedTuple):
    """A block parameter: how many blocks up, and whether it is the item's key instead of the item."""

    hops: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """The context of a template, of the rounds of a loop, or of a `{{#with}}`."""

    base: str | None = ""  # the dotted path of `this` from the event ("" is the event itself); None: not known
    params: tuple[str, ...] = ()
    outer: Scope | None = None

    def parameter(self, path: Path) -> Parameter | None:
        """The block parameter that `path` begins with, if it does."""
        if path.scoped or path.depth or path.data or not path.parts:
            return None
        scope, hops = self, 0
        while path.parts[0] not in scope.params:
            if scope.outer is None:
                return None
            scope, hops = scope.outer, hops + 1
        return Parameter(hops, scope.params.index(path.parts[0]) == 1)

    def is_secret(self, path: Path) -> bool:
        """`secrets.NAME` means the workspace's secret wherever it stands; inside of a block `this.secrets` does not."""
        if path.parts[:1] == ("root",) and path.data:
            return path.parts[1:2] == ("secrets",)
        is_field_of_this = path.scoped and not path.depth and self.outer is not None
        is_named = path.parts[:1] == ("secrets",) and not path.data
        return is_named and not is_field_of_this and self.parameter(path) is None

    def beside(self, path: Path) -> tuple[str, ...]:
        """The parts from `destination` or `delivery` on, where `path` leads there from the event; else none."""
        parameter = self.parameter(path)
        if path.data:
            is_root, parts = path.parts[:1] == ("root",), path.parts[1:]
        elif parameter is not None:
            is_root, parts = not parameter.is_key and self._up(parameter.hops) == "", path.parts[1:]
        else:
            is_root, parts = self._up(path.depth) == "", path.parts
        return parts if is_root and parts and parts[0] in BESIDE else ()

    def dotted(self, path: Path) -> str | None:
        """Where `path` leads, from the event on; None where that is not known."""
        parameter = self.parameter(path)
        if path.data:
            return ".".join(path.parts[1:]) if path.parts[:1] == ("root",) else None
        hops, parts = (parameter.hops, path.parts[1:]) if parameter else (path.depth, path.parts)
        base = None if parameter and parameter.is_key else self._up(hops)
        return None if base is None else ".".join([*([base] if base else []), *parts])

    def _up(self, hops: int) -> str | None:
        scope: Scope | None = self
        for _ in range(hops):
            scope = scope.outer if scope else None
        return scope.base if scope else None


def is_event_path(dotted: str) -> bool:
    """Whether a dotted path begins in the event, and not in what stands beside it."""
    return bool(dotted) and dotted.partition(".")[0] not in _NOT_OF_THE_EVENT
