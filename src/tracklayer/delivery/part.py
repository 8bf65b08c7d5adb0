"""One template of a destination (of its URL, a header or its body), and how to speak of its places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from tracklayer.template import MissingPaths, PathUse, RenderError, Template


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A path that the event does not have, and where it is used: in the field at `pointer`, at a line and column."""

    path: str
    pointer: str
    line: int
    column: int


class Part(NamedTuple):
    """A compiled template and its place in the configuration."""

    template: Template
    pointer: str
    name: str  # how an error's text begins

    def render(self, scope: Mapping[str, object], missing: list[Missing]) -> str:
        """The text; adds the paths that led to nothing to `missing`. Raises `Unrenderable`."""
        try:
            rendered = self.template.render(scope)
        except RenderError as error:
            raise Unrenderable(self, error) from error
        if rendered.missing:
            missing.extend(self.places(rendered.missing))
        return rendered.text

    def places(self, uses: Iterable[PathUse]) -> tuple[Missing, ...]:
        """Paths of this template as paths of the configuration."""
        return tuple(Missing(path=use.path, pointer=self.pointer, line=use.line, column=use.column) for use in uses)


class Unrenderable(RenderError):
    """A part cannot be rendered for this event; `missing` says what it lacks where that is why."""

    def __init__(self, part: Part, error: RenderError) -> None:
        super().__init__(f"{part.name}{error.detail}")
        self.missing = part.places(error.missing) if isinstance(error, MissingPaths) else ()
