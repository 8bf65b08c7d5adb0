"""What is wrong with a template, found when it is compiled or when it is rendered, and where."""

from __future__ import annotations

from bisect import bisect_right

from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.template.contract import PathUse

_SHOWN = 120  # characters of a source line around the caret
_NAMED = 10  # missing paths that a message names


class Source:
    """A template's text, and the line and column of its offsets."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(at + 1 for at, char in enumerate(text) if char == "\n")]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def excerpt(self, offset: int) -> str:
        """The source line of `offset`, and below it a caret under that character."""
        line, column = self.place(offset)
        text = self.text[self._starts[line - 1] :].partition("\n")[0].rstrip("\r").replace("\t", " ")
        first = max(0, column - _SHOWN)
        return f"{text[first : first + _SHOWN + 40]}\n{' ' * (column - 1 - first)}^"


class TemplateError(Invalid):
    """The template cannot be compiled; `detail` shows the line with a caret under the place."""

    code = "invalid_template"

    def __init__(self, message: str, source: Source, offset: int) -> None:
        self.line, self.column = source.place(offset)
        self.message = message
        super().__init__(f"line {self.line}, column {self.column}: {message}\n{source.excerpt(offset)}", pointer="")


class RenderError(TrackLayerError):
    """This event cannot be rendered with this template; `line` and `column` are None where no place is known."""

    code = "render_failed"

    def __init__(self, detail: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__(detail if line is None else f"line {line}, column {column}: {detail}")
        self.line = line
        self.column = column


class MissingPaths(RenderError):
    """`on_missing: fail`, and these paths led to nothing."""

    def __init__(self, missing: tuple[PathUse, ...]) -> None:
        first, *others = missing
        detail = f"{first.path} is missing in this event"
        if others:
            named = ", ".join(f"{use.path} (line {use.line}, column {use.column})" for use in others[:_NAMED])
            more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
            detail = f"{detail}, and so {'is' if len(others) == 1 else 'are'} {named}{more}"
        super().__init__(detail, line=first.line, column=first.column)
        self.missing = missing
