"""Paths, literals and helper calls as lines of generated code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches

from tracklayer.template import runtime
from tracklayer.template.blocks import BLOCK_NAMES
from tracklayer.template.calls import bind, read_literal
from tracklayer.template.contract import PathUse
from tracklayer.template.errors import RenderError, Source, TemplateError
from tracklayer.template.helper import Helper, Kind, Refusal
from tracklayer.template.helpers import HELPERS
from tracklayer.template.runtime import Run
from tracklayer.template.scopes import Scope, is_event_path
from tracklayer.template.syntax import Call, Expression, Literal, Path
from tracklayer.template.values import step
from tracklayer.template.writer import FunctionWriter

_LOOP_WORDS = {
    "index": runtime.loop_index,
    "key": runtime.loop_key,
    "first": runtime.loop_first,
    "last": runtime.loop_last,
}


@dataclass(slots=True)
class Uses:
    """What a template turns out to use, collected while it is compiled."""

    paths: dict[PathUse, None] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    context: bool = False  # looks at a context as a whole, or has blocks that change it


class Expressions:
    """Writes expressions into one function."""

    def __init__(self, source: Source, uses: Uses, writer: FunctionWriter, scope: Scope) -> None:
        self._source = source
        self._uses = uses
        self._writer = writer
        self._scope = scope
        self._known: dict[tuple[object, ...], str] = {}  # prefixes of paths that are computed already

    def value(self, expression: Expression, *, notes: bool = True) -> str:
        """The name that holds the value; with `notes` a path that leads to nothing is reported as missing."""
        if isinstance(expression, Literal):
            return self._writer.constant(expression.value)
        if isinstance(expression, Call):
            return self._call(expression, notes=notes)
        return self._path(expression, notes=notes)

    # Paths

    def _path(self, path: Path, *, notes: bool) -> str:
        if self._scope.is_secret(path):
            return self._secret(path)
        use = self._use(path)
        name, parts = self._start(path)
        known: tuple[object, ...] = (name,)
        for part in parts:
            known = (*known, part)
            name = self._step(name, part, known)
        if notes:
            self._writer.check(
                f"{name} is None",
                f"{self._writer.constant(runtime.note_missing)}(run, {self._writer.constant(use)})",
            )
        return name

    def _use(self, path: Path) -> PathUse:
        line, column = self._source.place(path.offset)
        dotted = self._scope.dotted(path)
        use = PathUse(dotted or path.original, line, column)
        if dotted is not None and is_event_path(dotted):
            self._uses.paths[use] = None
        return use

    def _start(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """The name of what the path starts from, and the parts that are left to go."""
        if parts := self._scope.beside(path):
            known = ("beside",)
            if known not in self._known:
                self._known[known] = self._writer.assign(f"{self._writer.constant(runtime.beside)}(run)")
            return self._known[known], parts
        if path.data:
            return self._data(path)
        parameter = self._scope.parameter(path)
        if parameter is not None:
            reach = runtime.block_key if parameter.is_key else runtime.block_value
            return self._reach(reach, f"frame, {parameter.hops}"), path.parts[1:]
        if path.depth:
            return self._reach(runtime.context, f"frame, {path.depth}"), path.parts
        self._uses.context |= not path.parts
        return "this", path.parts

    def _data(self, path: Path) -> tuple[str, tuple[str, ...]]:
        word, rest = path.parts[0] if path.parts else "", path.parts[1:]
        if word == "root":
            return self._reach(runtime.root, "run"), rest
        if word not in _LOOP_WORDS or rest:
            raise TemplateError(
                f"unknown {path.original}: expected @root, @index, @key, @first or @last", self._source, path.offset
            )
        return self._reach(_LOOP_WORDS[word], f"frame, {path.depth}"), ()

    def _reach(self, function: Callable[..., object], arguments: str) -> str:
        self._uses.context = True
        known = (function, arguments)
        if known not in self._known:
            self._known[known] = self._writer.assign(f"{self._writer.constant(function)}({arguments})")
        return self._known[known]

    def _step(self, name: str, part: str, known: tuple[object, ...]) -> str:
        if known not in self._known:
            key, constant = self._writer.constant(part), self._writer.constant
            line = f"{name}.get({key})"
            if name != "this" or self._scope.outer is not None:  # the template's own context always is an object
                line += f" if {self._is_dict(name)} else {constant(step)}({name}, {key})"
            self._known[known] = self._writer.assign(line)
        return self._known[known]

    def _is_dict(self, name: str) -> str:
        """The name that holds whether a value is a plain object; asked once for all the steps that start there."""
        known = ("is a dict", name)
        if known not in self._known:
            constant = self._writer.constant
            self._known[known] = self._writer.assign(f"{constant(type)}({name}) is {constant(dict)}")
        return self._known[known]

    def _secret(self, path: Path) -> str:
        parts = path.parts[2:] if path.data else path.parts[1:]
        if len(parts) != 1:
            raise TemplateError(
                "a secret is reached by its name alone: {{secrets.NAME}}; secrets cannot be listed, looked up or "
                "passed on together",
                self._source,
                path.offset,
            )
        self._uses.secrets.add(parts[0])
        line, column = self._source.place(path.offset)

        def secret(run: Run) -> str:
            value = step(run.secrets, parts[0])
            if not isinstance(value, str):
                raise RenderError(f"there is no secret {parts[0]!r} in this workspace", line=line, column=column)
            return value

        return self._writer.assign(f"{self._writer.constant(secret)}(run)")

    def paths_in(self, expression: Expression) -> list[PathUse]:
        """Every path in an expression."""
        if isinstance(expression, Path):
            return [] if self._scope.is_secret(expression) else [self._use(expression)]
        if isinstance(expression, Call):
            inner = [*expression.params, *expression.options.values()]
            return [use for value in inner for use in self.paths_in(value)]
        return []

    # Calls

    def _call(self, call: Call, *, notes: bool) -> str:
        helper = self.helper(call)
        notes = notes and not helper.asks
        names = [self.value(param, notes=notes) for param in call.params]
        try:
            kinds = helper.kinds(len(call.params))
            options = [(name, helper.option_kind(name)) for name in call.options]
        except Refusal as refusal:
            raise TemplateError(f"{helper.name} {refusal}", self._source, call.offset) from None
        kinds = [self._checked(helper, kind, value) for kind, value in zip(kinds, call.params, strict=True)]
        options = [(name, self._checked(helper, kind, call.options[name])) for name, kind in options]
        names += [self.value(value, notes=notes) for value in call.options.values()]
        bound = bind(helper, kinds, options, *self._source.place(call.offset))
        return self._writer.assign(f"{self._writer.constant(bound)}({', '.join(['run', *names])})")

    def helper(self, call: Call) -> Helper:
        """The helper that is called. Raises `TemplateError` where there is none of this name."""
        name = call.name.original
        helper = HELPERS.get(name) if call.name.is_name else None
        if helper is not None:
            return helper
        if name in BLOCK_NAMES:
            raise TemplateError(f"{name} is a block: {{{{#{name} …}}}} … {{{{/{name}}}}}", self._source, call.offset)
        similar = get_close_matches(name, HELPERS, 1)
        hint = f"did you mean {similar[0]}?" if similar else f"the helpers are {', '.join(sorted(HELPERS))}"
        raise TemplateError(f"there is no helper {name}; {hint}", self._source, call.offset)

    def _checked(self, helper: Helper, kind: Kind, value: Expression) -> Kind:
        """The kind as this value needs it, once it is known that the value can be one."""
        try:
            if isinstance(value, Literal):
                return read_literal(kind, value.value)
            if kind.literal:
                raise Refusal(f"expected {kind.name}, written in the template itself")
        except Refusal as refusal:
            raise TemplateError(f"{helper.name}: {refusal}", self._source, value.offset) from None
        return kind
