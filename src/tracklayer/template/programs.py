"""Programs and blocks into functions: literal text, what mustaches write, and calls of the blocks in `runtime.py`."""

from __future__ import annotations

from collections.abc import Callable

from tracklayer.template import runtime
from tracklayer.template.blocks import BlockKind, block_kind
from tracklayer.template.contract import Escape, OnMissing
from tracklayer.template.errors import RenderError, Source, TemplateError
from tracklayer.template.expressions import Expressions, Uses
from tracklayer.template.helpers import HELPERS, JSON_HELPER
from tracklayer.template.outputs import Fast, or_else, writing
from tracklayer.template.positions import Positions, Where
from tracklayer.template.runtime import Branch, Run
from tracklayer.template.scopes import Scope
from tracklayer.template.syntax import Block, Call, Comment, Content, Expression, Literal, Mustache, Path, Program
from tracklayer.template.values import quote
from tracklayer.template.writer import FunctionWriter

_PIECE = 32  # texts, mustaches and blocks in one function
_BLOCK_PARAMS = {BlockKind.EACH: 2, BlockKind.LIST: 2, BlockKind.WITH: 1}
_OPTIONS = {BlockKind.IF: ("includeZero",), BlockKind.UNLESS: ("includeZero",), BlockKind.LIST: ("separator",)}


class Programs:
    """Compiles the programs of one template."""

    def __init__(self, source: Source, escape: Escape, on_missing: OnMissing, positions: Positions, uses: Uses) -> None:
        self._source = source
        self._escape = escape
        self._on_missing: OnMissing = on_missing
        self._positions = positions
        self._uses = uses

    def compile(self, program: Program | None, scope: Scope) -> Branch:
        """The function of a program whose context is `scope`."""
        parts = self._parts(program) if program is not None else []
        pieces = [self._piece(parts[at : at + _PIECE], scope) for at in range(0, len(parts), _PIECE)]
        if not pieces:
            return runtime.nothing
        return pieces[0] if len(pieces) == 1 else runtime.Pieces(pieces)

    def _parts(self, program: Program) -> list[str | Mustache | Block]:
        """The statements, the quotes taken off around the mustaches that write theirs themselves."""
        parts: list[str | Mustache | Block] = []
        after_alone = False
        for statement in program.body:
            if isinstance(statement, Comment):
                continue
            if isinstance(statement, Content):
                text = statement.value[1:] if after_alone else statement.value
                parts.append(text)
            elif isinstance(statement, Mustache) and statement in self._positions.alone:
                parts[-1] = str(parts[-1])[:-1]
                parts.append(statement)
            else:
                parts.append(statement)
            after_alone = statement in self._positions.alone
        return [part for part in parts if part != ""]

    def _piece(self, parts: list[str | Mustache | Block], scope: Scope) -> Branch:
        writer = FunctionWriter()
        expressions = Expressions(self._source, self._uses, writer, scope)
        names = []
        for part in parts:
            if isinstance(part, str):
                names.append(writer.constant(part))
            elif isinstance(part, Mustache):
                names.append(self._mustache(part, writer, expressions))
            else:
                names.append(self._block(part, writer, expressions, scope))
        return writer.finish(names)

    # Mustaches

    def _mustache(self, mustache: Mustache, writer: FunctionWriter, expressions: Expressions) -> str:
        expression = mustache.expression
        # A branch that no round of its loop can take, such as {{#if @first}}{{#unless @first}}, has no place in JSON.
        unplaced = Where.VALUE if self._escape is Escape.JSON else Where.PLAIN
        written = writing(
            self._positions.where.get(mustache, unplaced),
            self._escape,
            self._on_missing,
            alone=mustache in self._positions.alone,
            raw=mustache.raw,
            is_json_text=isinstance(expression, Call) and expression.name.original == JSON_HELPER.name,
        )
        output = written.output
        if isinstance(expression, Call):
            output = or_else(output, self._report(expression, expressions))
        value, constant = expressions.value(expression), writer.constant
        slow = f"{constant(output)}(run, {value})"
        if written.fast is Fast.NO:
            return writer.assign(slow)
        fast = written.fast.value.format(value=value, quote=constant(quote) if "quote" in written.fast.value else "")
        return writer.assign(f"{fast} if {constant(type)}({value}) is {constant(str)} else {slow}")

    def _report(self, call: Call, expressions: Expressions) -> Callable[[Run], None]:
        """What to do when a helper gave nothing: where it is one that asks, its paths are missing after all."""
        uses = expressions.paths_in(call) if expressions.helper(call).asks else []
        line, column = self._source.place(call.offset)

        def report(run: Run) -> None:
            for use in uses:
                run.missing[use] = None
            if self._on_missing == "fail" and not run.missing:  # all paths are there, and still
                raise RenderError(f"{call.name.original} gives nothing for this event", line=line, column=column)

        return report

    # Blocks

    def _block(self, block: Block, writer: FunctionWriter, expressions: Expressions, scope: Scope) -> str:
        kind = block_kind(block.call)
        self._check_block(block, kind)
        self._uses.context = True
        arguments = ["run", "frame", "this"]
        if kind is BlockKind.SECTION:
            arguments.append(expressions.value(block.call.name, notes=False))
        elif kind is BlockKind.PREDICATE:
            arguments.append(expressions.value(block.call, notes=False))
        else:
            asks = kind in (BlockKind.IF, BlockKind.UNLESS) or block.inverse is not None
            arguments.append(expressions.value(block.call.params[0], notes=not asks))
            if "includeZero" in block.call.options:
                arguments.append(expressions.value(block.call.options["includeZero"], notes=False))
        made = writer.constant(self._made(block, kind, scope))
        return writer.assign(f"{made}({', '.join(arguments)})")

    def _made(self, block: Block, kind: BlockKind, scope: Scope) -> Callable[..., str]:
        """The block with its branches compiled."""
        otherwise = self.compile(block.inverse, scope)
        if kind in (BlockKind.IF, BlockKind.PREDICATE, BlockKind.UNLESS):
            then = self.compile(block.program, scope)
            return runtime.If(otherwise, then) if kind is BlockKind.UNLESS else runtime.If(then, otherwise)
        base = None if kind is BlockKind.SECTION else _base(block.call.params[0], scope)
        if kind is not BlockKind.WITH and base is not None:
            base = f"{base}.*" if base else "*"
        params = block.program.block_params if block.program else ()
        then = self.compile(block.program, Scope(base, params, scope))
        if kind is BlockKind.WITH:
            return runtime.With(then, otherwise)
        cost = 1 + (block.end - block.offset >> runtime.SIZE_OF_A_STEP)
        if kind is BlockKind.SECTION:
            return runtime.Section(then, otherwise, cost)
        return runtime.Each(then, otherwise, cost, self._separator(block) if kind is BlockKind.LIST else None)

    def _separator(self, block: Block) -> str:
        given = block.call.options.get("separator")
        if given is None:
            return ","
        if not (isinstance(given, Literal) and isinstance(given.value, str)):
            raise TemplateError("separator= must be a text in the template", self._source, given.offset)
        if block in self._positions.lists:
            raise TemplateError("only a comma can stand between JSON values", self._source, given.offset)
        return quote(given.value)[1:-1] if self._escape is Escape.JSON else given.value

    def _check_block(self, block: Block, kind: BlockKind) -> None:
        call, name = block.call, block.call.name.original
        if kind is BlockKind.SECTION and (call.params or call.options):
            what = f"{name} is a helper, not a block" if name in HELPERS else f"there is no block {name}"
            raise TemplateError(f"{what}; the blocks are if, unless, each, list, with", self._source, call.offset)
        if kind not in (BlockKind.SECTION, BlockKind.PREDICATE):
            if len(call.params) != 1:
                got = len(call.params)
                raise TemplateError(f"{{{{#{name}}}}} takes 1 value, got {got}", self._source, call.offset)
            for option, value in call.options.items():
                if option not in _OPTIONS.get(kind, ()):
                    raise TemplateError(f"{{{{#{name}}}}} has no option {option}=", self._source, value.offset)
        params = block.program.block_params if block.program else ()
        if len(params) > _BLOCK_PARAMS.get(kind, 0) or "secrets" in params:
            taken = _BLOCK_PARAMS.get(kind, 0)
            problem = "a block parameter cannot be called secrets" if "secrets" in params else f"takes {taken}"
            raise TemplateError(f"{{{{#{name}}}}}: block parameters: {problem}", self._source, call.offset)


def _base(expression: Expression, scope: Scope) -> str | None:
    """Where in the event the items of a block come from."""
    if isinstance(expression, Path):
        return scope.dotted(expression)
    if isinstance(expression, Call):
        helper = HELPERS.get(expression.name.original)
        if helper is not None and helper.keeps_items:
            return _base(expression.params[0], scope)
    return None
