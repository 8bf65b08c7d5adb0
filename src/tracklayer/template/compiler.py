"""A template's tree into functions, once; then a rendering is one call.

source → `lexer` → `parser` (with `whitespace`) → `positions` (JSON only) → `programs` (with `expressions` and
`outputs`, through `writer`) → `Template`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tracklayer.template.contract import Escape, Limits, OnMissing, PathUse, Rendered
from tracklayer.template.errors import MissingPaths, RenderError, Source, TemplateError
from tracklayer.template.expressions import Uses
from tracklayer.template.omission import drop_omitted
from tracklayer.template.parser import parse
from tracklayer.template.positions import Positions, locate
from tracklayer.template.programs import Programs
from tracklayer.template.runtime import Branch, Frame, Run
from tracklayer.template.scopes import Scope, is_event_path
from tracklayer.template.syntax import Content, Program
from tracklayer.template.values import json_safe, scrub

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_NO_FRAME = Frame(None, None)  # for templates that never look at it
_DEFAULT_LIMITS = Limits()


class Template:
    """A compiled template: made once, rendered for every event. Safe to share between threads."""

    def __init__(
        self,
        source: str,
        escape: Escape,
        on_missing: OnMissing,
        limits: Limits,
        program: Branch,
        uses: Uses,
        literal: str | None,
    ) -> None:
        self.source = source
        self.paths: tuple[PathUse, ...] = tuple(uses.paths)
        self.secrets: frozenset[str] = frozenset(uses.secrets)
        self.is_literal = literal is not None
        self._literal = None if literal is None else Rendered(literal)
        self._is_json = escape is Escape.JSON
        self._fails = on_missing == "fail"
        self._limits = limits
        self._program = program
        self._needs_context = uses.context

    def render(self, scope: Mapping[str, object]) -> Rendered:
        """The text for one event. `scope` holds the event's fields, `destination`, `delivery` and `secrets`.

        The text can always be encoded as UTF-8. Raises `RenderError`.
        """
        if self._literal is not None:
            return self._literal
        frame, event, secrets = _NO_FRAME, scope, scope.get("secrets") if self.secrets else None
        if self._needs_context:
            # Without this the secrets could be reached as a field of the whole. A template that never looks at the
            # whole names its fields one by one, and `secrets.NAME` is no field (`Scope.is_secret`).
            event = {name: value for name, value in scope.items() if is_event_path(name)}
            frame = Frame(event, None)
        run = Run(event, scope, secrets, self._limits, self._limits.steps)
        try:
            text = self._program(run, frame, event)
        except RecursionError:
            raise RenderError("the event is nested too deeply for this template") from None
        missing: tuple[PathUse, ...] = ()
        if run.missing:
            missing = tuple(sorted(run.missing, key=_place))
            if self._fails:
                raise MissingPaths(missing)
        if run.omitted:
            text = drop_omitted(text)
        size = len(text)
        if not text.isascii():
            text, size = self._encodable(text)
        if size > self._limits.output_bytes:
            raise RenderError(f"the output is longer than {self._limits.output_bytes} bytes")
        return Rendered(text, missing)

    def _encodable(self, text: str) -> tuple[str, int]:
        """The text without lone surrogates, and its length in bytes."""
        try:
            return text, len(text.encode())
        except UnicodeEncodeError:
            text = json_safe(text) if self._is_json else scrub(text)
            return text, len(text.encode())


def compile_template(
    source: str,
    *,
    escape: Escape = Escape.JSON,
    on_missing: OnMissing = "empty",
    limits: Limits = _DEFAULT_LIMITS,
) -> Template:
    """Compile a template. Raises `TemplateError` for everything that can be known without an event."""
    text = Source(source)
    _check_source(text, limits)
    program = parse(text, limits)
    positions = locate(program, text) if escape is Escape.JSON else Positions()
    uses = Uses()
    compiled = Programs(text, escape, on_missing, positions, uses).compile(program, Scope())
    return Template(source, escape, on_missing, limits, compiled, uses, _literal(program))


def _place(use: PathUse) -> tuple[int, int]:
    return use.line, use.column


def _check_source(source: Source, limits: Limits) -> None:
    unusable = _UNUSABLE.search(source.text)
    if unusable:
        raise TemplateError(f"a template cannot hold U+{ord(unusable[0]):04X}", source, unusable.start())
    size = len(source.text.encode())
    if size > limits.source_bytes:
        raise TemplateError(f"the template has {size} bytes: expected at most {limits.source_bytes}", source, 0)


def _literal(program: Program) -> str | None:
    """The text of a template without tags."""
    texts = [statement.value for statement in program.body if isinstance(statement, Content)]
    return "".join(texts) if len(texts) == len(program.body) else None
