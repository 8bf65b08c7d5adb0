"""Tokens into the tree (`syntax.py`), by the grammar of Handlebars.js 4 without partials, decorators and raw blocks."""

from __future__ import annotations

from decimal import Decimal

from tracklayer.template.contract import Limits
from tracklayer.template.errors import Source, TemplateError
from tracklayer.template.lexer import Kind, Token, tokenize
from tracklayer.template.syntax import (
    Block,
    Call,
    Comment,
    Content,
    Expression,
    Literal,
    Mustache,
    Path,
    Program,
    Statement,
    Strip,
)
from tracklayer.template.whitespace import strip_whitespace

_ENDS = (Kind.END, Kind.OPEN_END, Kind.INVERSE, Kind.OPEN_CHAIN)
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_HERE = ("this", ".", "..")


def parse(source: Source, limits: Limits) -> Program:
    """The tree of a template, its white space already controlled. Raises `TemplateError`."""
    parser = _Parser(source, limits.depth)
    program = parser.program(())
    end = parser.take()
    if end.kind is not Kind.END:
        what = "this closes a block that was not opened" if end.kind is Kind.OPEN_END else "{{else}} outside of a block"
        raise TemplateError(what, source, end.start)
    strip_whitespace(program)
    return program


class _Parser:
    def __init__(self, source: Source, depth: int) -> None:
        self._source = source
        self._tokens = tokenize(source)
        self._at = 0
        self._depth_left = self._depth = depth

    # The stream of tokens

    def take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _next_is(self, *kinds: Kind) -> bool:
        return self._tokens[self._at].kind in kinds

    def _expect(self, kind: Kind) -> Token:
        token = self.take()
        if token.kind is not kind:
            raise self._unexpected(token, str(kind))
        return token

    def _unexpected(self, token: Token, expected: str) -> TemplateError:
        found = token.kind if token.kind is Kind.END else self._source.text[token.start : token.end][:40]
        return TemplateError(f"unexpected {found}: expected {expected}", self._source, token.start)

    def _enter(self, offset: int) -> None:
        self._depth_left -= 1
        if self._depth_left < 0:
            raise TemplateError(f"more than {self._depth} levels inside each other", self._source, offset)

    # Statements

    def program(self, block_params: tuple[str, ...]) -> Program:
        body: list[Statement] = []
        while not self._next_is(*_ENDS):
            body.append(self._statement())
        return Program(body, block_params)

    def _statement(self) -> Statement:
        token = self.take()
        if token.kind is Kind.CONTENT:
            return Content(token.text, token.start)
        if token.kind is Kind.COMMENT:
            return Comment(Strip(token.strip_left, token.strip_right), token.start)
        if token.kind in (Kind.OPEN_BLOCK, Kind.OPEN_INVERSE):
            self._enter(token.start)
            block = self._block(token)
            self._depth_left += 1
            return block
        return self._mustache(token)

    def _mustache(self, opening: Token) -> Mustache:
        call = self._call()
        close = self._expect(Kind.CLOSE_RAW if opening.kind is Kind.OPEN_RAW else Kind.CLOSE)
        raw = opening.kind is Kind.OPEN_RAW or opening.text.endswith("&")
        strip = Strip(opening.strip_left, close.strip_right)
        return Mustache(call if call.params or call.options else call.name, raw, strip, opening.start)

    def _block(self, opening: Token) -> Block:
        call, params, strip = self._block_opening(opening)
        program: Program | None = self.program(params)
        inverse, inverse_strip = self._inverse(chains=opening.kind is Kind.OPEN_BLOCK)
        end = self._tokens[self._at].start
        close_strip = self._block_close(call.name, opening)
        if inverse is not None and inverse.chain is not None:
            inverse.chain.close_strip = close_strip
        if opening.kind is Kind.OPEN_INVERSE:
            program, inverse = inverse, program
        return Block(call, program, inverse, strip, inverse_strip, close_strip, opening.start, end)

    def _block_opening(self, opening: Token) -> tuple[Call, tuple[str, ...], Strip]:
        call = self._call()
        params: list[str] = []
        if self._next_is(Kind.OPEN_PARAMS):
            self.take()
            params.append(self._expect(Kind.NAME).text)
            while not self._next_is(Kind.CLOSE_PARAMS):
                params.append(self._expect(Kind.NAME).text)
            self.take()
        close = self._expect(Kind.CLOSE)
        return call, tuple(params), Strip(opening.strip_left, close.strip_right)

    def _inverse(self, *, chains: bool) -> tuple[Program | None, Strip]:
        """`{{else}} …`, or `{{else if …}} …` as a program that holds just that block."""
        if self._next_is(Kind.INVERSE):
            token = self.take()
            return self.program(()), Strip(token.strip_left, token.strip_right)
        if not (chains and self._next_is(Kind.OPEN_CHAIN)):
            return None, Strip()
        opening = self.take()
        self._enter(opening.start)
        call, params, strip = self._block_opening(opening)
        program = self.program(params)
        inverse, inverse_strip = self._inverse(chains=True)
        if inverse is not None and inverse.chain is not None:
            inverse.chain.close_strip = inverse_strip
        self._depth_left += 1
        end = self._tokens[self._at].start
        block = Block(call, program, inverse, strip, inverse_strip, inverse_strip, opening.start, end)
        return Program([block], chain=block), strip

    def _block_close(self, name: Path, opening: Token) -> Strip:
        closing = self.take()
        line, _ = self._source.place(opening.start)
        written = f"{opening.kind}{name.original}"
        if closing.kind is Kind.END:
            raise TemplateError(
                f"{written}}}}} is not closed: {{{{/{name.original}}}}} is missing", self._source, opening.start
            )
        if closing.kind is not Kind.OPEN_END:
            raise self._unexpected(closing, f"{{{{/{name.original}}}}} (only one {{{{else}}}} in a block)")
        closed = self._call()
        close = self._expect(Kind.CLOSE)
        if closed.name.original != name.original:
            raise TemplateError(
                f"{{{{/{closed.name.original}}}}} does not close {written}}}}} of line {line}",
                self._source,
                closing.start,
            )
        return Strip(closing.strip_left, close.strip_right)

    # Expressions

    def _call(self) -> Call:
        """A name with what it is applied to. A literal in the name's place is a path with that one part."""
        offset = self._tokens[self._at].start
        name = self._value()
        if isinstance(name, Literal):
            name = Path(name.original, 0, (name.original,), data=False, scoped=False, offset=name.offset)
        if not isinstance(name, Path):
            raise TemplateError("expected a helper or a path before the (", self._source, offset)
        params: list[Expression] = []
        options: dict[str, Expression] = {}
        while self._next_is(*_VALUES) and not self._is_option():
            params.append(self._value())
        while self._is_option():
            key = self.take()
            self.take()
            if key.text in options:
                raise TemplateError(f"{key.text}= is given twice", self._source, key.start)
            options[key.text] = self._value()
        if self._next_is(*_VALUES):
            raise self._unexpected(self.take(), "no further value after name=value")
        return Call(name, params, options, offset)

    def _is_option(self) -> bool:
        return self._next_is(Kind.NAME) and self._tokens[self._at + 1].kind is Kind.EQUALS

    def _value(self) -> Expression:
        token = self.take()
        written = self._source.text[token.start : token.end]
        match token.kind:
            case Kind.NAME | Kind.DATA:
                return self._path(token)
            case Kind.TEXT:
                return Literal(token.text, token.text, token.start)
            case Kind.NUMBER:
                return Literal(Decimal(written) if "." in written else int(written), written, token.start)
            case Kind.WORD:
                return Literal(_WORDS[written], written, token.start)
            case Kind.OPEN_PAREN:
                self._enter(token.start)
                call = self._call()
                self._expect(Kind.CLOSE_PAREN)
                self._depth_left += 1
                return call
        raise self._unexpected(token, "a path or a value")

    def _path(self, first: Token) -> Path:
        is_data = first.kind is Kind.DATA
        token = self._expect(Kind.NAME) if is_data else first
        original, depth, parts = "@" if is_data else "", 0, list[str]()
        while True:
            is_bracketed = self._source.text[token.start] == "["
            original += token.text
            if token.kind is Kind.NUMBER:
                parts.extend(token.text.split("."))  # the end of `a.0.1`
            elif is_bracketed or token.text not in _HERE:
                parts.append(token.text)
            elif parts:
                raise TemplateError(
                    f"{token.text} can only stand at the beginning of a path", self._source, token.start
                )
            elif token.text == "..":
                depth += 1
            if not self._next_is(Kind.SEPARATOR):
                break
            original += self.take().text
            token = self.take() if self._next_is(Kind.NUMBER, Kind.WORD) else self._expect(Kind.NAME)
        if len(parts) > self._depth:
            raise TemplateError(f"a path of more than {self._depth} steps", self._source, first.start)
        scoped = not is_data and (original.startswith(".") or original == "this" or original.startswith(_THIS))
        return Path(original, depth, tuple(parts), data=is_data, scoped=scoped, offset=first.start)


_VALUES = (Kind.NAME, Kind.DATA, Kind.TEXT, Kind.NUMBER, Kind.WORD, Kind.OPEN_PAREN)
_THIS = ("this.", "this/")
