"""Template text into tokens, by the rules of Handlebars.js 4 (its lexer's order of rules decides what wins).

One rule is gentler: `{{x}}}` closes at the first `}}`, so that `{"a": {{x}}}` needs no space.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from tracklayer.template.errors import Source, TemplateError

BLANKS = " \t\n\x0b\x0c\r\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
"""JavaScript's white space, which is not Python's."""

SPACE = f"[{BLANKS}]"


class Kind(StrEnum):
    """The kinds of tokens; a value is how an error message calls it."""

    CONTENT = "text"
    COMMENT = "a comment"
    OPEN = "{{"
    OPEN_RAW = "{{{"
    OPEN_BLOCK = "{{#"
    OPEN_INVERSE = "{{^"
    OPEN_CHAIN = "{{else …"
    INVERSE = "{{else}}"
    OPEN_END = "{{/"
    CLOSE = "}}"
    CLOSE_RAW = "}}}"
    OPEN_PAREN = "("
    CLOSE_PAREN = ")"
    EQUALS = "="
    DATA = "@"
    SEPARATOR = "a separator"
    NAME = "a name"
    TEXT = "a text"
    NUMBER = "a number"
    WORD = "true, false, null or undefined"
    OPEN_PARAMS = "as |"
    CLOSE_PARAMS = "|"
    END = "the end of the template"


class Token(NamedTuple):
    """A piece of the source; `text` is its meaning, `source[start:end]` how it was written."""

    kind: Kind
    text: str
    start: int
    end: int
    strip_left: bool = False
    strip_right: bool = False


_REFUSED = (
    (re.compile(r"\{\{\{\{"), "raw blocks {{{{…}}}} are not part of this language; write \\{{ for a literal {{"),
    (re.compile(r"\{\{~?#?>"), "partials are not part of this language: a template is one text"),
    (re.compile(r"\{\{~?#?\*"), "decorators and inline partials are not part of this language"),
)
_LONG_COMMENT = re.compile(r"\{\{~?!--.*?--~?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{\{~?!.*?\}\}", re.DOTALL)
_INVERSE = re.compile(rf"\{{\{{~?(?:\^{SPACE}*|{SPACE}*else{SPACE}*)~?\}}\}}")
_OPENERS = (
    (Kind.OPEN_BLOCK, re.compile(r"\{\{~?#")),
    (Kind.OPEN_END, re.compile(r"\{\{~?/")),
    (Kind.OPEN_INVERSE, re.compile(r"\{\{~?\^")),
    (Kind.OPEN_CHAIN, re.compile(rf"\{{\{{~?{SPACE}*else\b")),
    (Kind.OPEN_RAW, re.compile(r"\{\{~?\{")),
    (Kind.OPEN, re.compile(r"\{\{~?&?")),
)

_LOOKAHEAD = rf"(?=[=~}}/.)|\]]|{SPACE})"
_LITERAL_LOOKAHEAD = rf"(?=[~}})\]]|{SPACE})"
_NAME = re.compile(rf"""(?:(?!{SPACE})[^!"#%-,./;->@\[-^`{{-~])+""")
_INSIDE = (
    (None, re.compile(rf"{SPACE}+")),
    (Kind.OPEN_PAREN, re.compile(r"\(")),
    (Kind.CLOSE_PAREN, re.compile(r"\)")),
    (Kind.EQUALS, re.compile(r"=")),
    (Kind.NAME, re.compile(rf"\.\.|\.{_LOOKAHEAD}")),
    (Kind.SEPARATOR, re.compile(r"[/.]")),
    (Kind.TEXT, re.compile(r'"(?:\\"|[^"])*"' + r"|'(?:\\'|[^'])*'")),
    (Kind.DATA, re.compile(r"@")),
    (Kind.WORD, re.compile(rf"(?:true|false|null|undefined){_LITERAL_LOOKAHEAD}")),
    (Kind.NUMBER, re.compile(rf"-?[0-9]+(?:\.[0-9]+)?{_LITERAL_LOOKAHEAD}")),
    (Kind.OPEN_PARAMS, re.compile(rf"as{SPACE}+\|")),
    (Kind.CLOSE_PARAMS, re.compile(r"\|")),
    (Kind.NAME, re.compile(_NAME.pattern + _LOOKAHEAD)),
    (Kind.NAME, re.compile(r"\[(?:\\\]|[^\]])*\]")),
)
_CLOSERS = {Kind.CLOSE: re.compile(r"~?\}\}"), Kind.CLOSE_RAW: re.compile(r"\}~?\}\}")}
_ESCAPED_END = re.compile(r"(?=\\{0,2}\{\{)|\Z")


def tokenize(source: Source) -> list[Token]:
    """The tokens of a template, the last one `END`. Raises `TemplateError`."""
    text, at = source.text, 0
    tokens: list[Token] = []
    while (opening := text.find("{{", at)) >= 0:
        content = text[at:opening]
        is_escaped = content.endswith("\\") and not content.endswith("\\\\")
        if content.endswith("\\"):
            content = content[:-1]
        if content:
            tokens.append(Token(Kind.CONTENT, content, at, opening))
        if is_escaped:
            at = _end_of_escaped(text, opening)
            tokens.append(Token(Kind.CONTENT, text[opening:at], opening, at))
        else:
            at = _tag(source, opening, tokens)
    if at < len(text):
        tokens.append(Token(Kind.CONTENT, text[at:], at, len(text)))
    tokens.append(Token(Kind.END, "", len(text), len(text)))
    return tokens


def _end_of_escaped(text: str, opening: int) -> int:
    """After an escaped `{{` everything up to the next mustache stands for itself."""
    match = _ESCAPED_END.search(text, opening + 2)
    return match.start() if match else len(text)


def _tag(source: Source, opening: int, tokens: list[Token]) -> int:
    """Read the tag at `opening`; the offset behind it."""
    text = source.text
    for pattern, message in _REFUSED:
        if pattern.match(text, opening):
            raise TemplateError(message, source, opening)
    strip_left = text.startswith("~", opening + 2)
    match, kind = _INVERSE.match(text, opening), Kind.INVERSE
    if text.startswith("!", opening + 2 + strip_left):
        kind = Kind.COMMENT
        is_long = text.startswith("!--", opening + 2 + strip_left)
        match = (_LONG_COMMENT if is_long else _COMMENT).match(text, opening)
        if match is None:
            raise TemplateError(f"this comment has no end: expected {'--' * is_long}}}}}", source, opening)
    if match is None:
        return _expression(source, opening, tokens)
    tokens.append(Token(kind, match[0], opening, match.end(), strip_left, text[match.end() - 3] == "~"))
    return match.end()


def _expression(source: Source, opening: int, tokens: list[Token]) -> int:
    text = source.text
    kind, match = next((kind, match) for kind, pattern in _OPENERS if (match := pattern.match(text, opening)))
    tokens.append(Token(kind, match[0], opening, match.end(), "~" in match[0]))
    close = Kind.CLOSE_RAW if kind is Kind.OPEN_RAW else Kind.CLOSE
    at = match.end()
    while not (closing := _CLOSERS[close].match(text, at)):
        at = _inside(source, at, opening, close, tokens)
    tokens.append(Token(close, closing[0], at, closing.end(), strip_right="~" in closing[0]))
    return closing.end()


def _inside(source: Source, at: int, opening: int, close: Kind, tokens: list[Token]) -> int:
    """Read one token between the braces; the offset behind it."""
    text = source.text
    for kind, pattern in _INSIDE:
        match = pattern.match(text, at)
        if match:
            if kind is not None:
                tokens.append(Token(kind, _meaning(kind, match[0]), at, match.end()))
            return match.end()
    name = _NAME.match(text, at)
    at = name.end() if name else at
    if text.startswith("{{", at) or not _CLOSERS[close].search(text, at):
        raise TemplateError(f"this tag is not closed: {close} is missing", source, opening)
    if text[at] in "\"'":
        raise TemplateError(f"this text has no closing {text[at]}", source, at)
    raise TemplateError(f"unexpected {text[at]!r} in a tag: expected a path, a value or {close}", source, at)


def _meaning(kind: Kind, written: str) -> str:
    if kind is Kind.TEXT:
        quote = written[0]
        return written[1:-1].replace("\\" + quote, quote)
    if kind is Kind.NAME and written.startswith("["):
        return re.sub(r"\\([\\\]])", r"\1", written[1:-1])
    return written
