"""White space around tags, as Handlebars.js treats it.

`~` takes all of it on its side. A block tag, an `{{else}}` or a comment that stands alone on its line takes the
whole line with it, so that a template can be laid out in lines without empty lines coming out.
"""

from __future__ import annotations

from tracklayer.template.lexer import BLANKS
from tracklayer.template.syntax import Block, Comment, Content, Mustache, Program, Statement, Strip

_INDENT = " \t"


class _Candidates:
    """What a tag would strip, and where it might stand alone on its line; only its parent can tell."""

    def __init__(self, strip: Strip, *, opening: bool = False, closing: bool = False, inline: bool = False) -> None:
        self.strip, self.opening, self.closing, self.inline = strip, opening, closing, inline


def strip_whitespace(root: Program) -> None:
    """Put into every `Content.value` what is left of it."""
    _program(root, is_root=True)


def _program(program: Program, *, is_root: bool = False) -> None:
    body = program.body
    for index, statement in enumerate(body):
        found = _candidates(statement)
        if found is None:
            continue
        line_before = _line_ends_before(body, index, is_root)
        line_after = _line_ends_after(body, index, is_root)
        if found.strip.right:
            _trim_start(_at(body, index + 1), everything=True)
        if found.strip.left:
            _trim_end(_at(body, index - 1), everything=True)
        if found.inline and line_before and line_after:
            _trim_start(_at(body, index + 1))
            _trim_end(_at(body, index - 1))
        if not isinstance(statement, Block):
            continue
        if found.opening and line_before:
            _trim_start(_first(statement.program or statement.inverse))
            _trim_end(_at(body, index - 1))
        if found.closing and line_after:
            _trim_start(_at(body, index + 1))
            _trim_end(_last(statement.inverse or statement.program))


def _candidates(statement: Statement) -> _Candidates | None:
    if isinstance(statement, Block):
        return _block(statement)
    if isinstance(statement, Mustache):
        return _Candidates(statement.strip)
    if isinstance(statement, Comment):
        return _Candidates(statement.strip, inline=True)
    return None


def _block(block: Block) -> _Candidates:
    for branch in (block.program, block.inverse):
        if branch is not None:
            _program(branch)
    program = block.program or block.inverse or Program()
    inverse = block.inverse if block.program else None
    first_inverse, last_inverse = _ends_of_chain(inverse)
    found = _Candidates(
        Strip(block.open_strip.left, block.close_strip.right),
        opening=_line_ends_after(program.body, -1, is_root=False),
        closing=_line_ends_before((first_inverse or program).body, len((first_inverse or program).body), is_root=False),
    )
    if block.open_strip.right:
        _trim_start(_first(program), everything=True)
    if inverse is None:
        if block.close_strip.left:
            _trim_end(_last(program), everything=True)
        return found
    if block.inverse_strip.left:
        _trim_end(_last(program), everything=True)
    if block.inverse_strip.right:
        _trim_start(_first(first_inverse), everything=True)
    if block.close_strip.left:
        _trim_end(_last(last_inverse), everything=True)
    body_of_inverse = first_inverse.body if first_inverse else []
    if _line_ends_before(program.body, len(program.body), is_root=False) and _line_ends_after(
        body_of_inverse, -1, is_root=False
    ):
        _trim_end(_last(program))
        _trim_start(_first(first_inverse))
    return found


def _ends_of_chain(inverse: Program | None) -> tuple[Program | None, Program | None]:
    """Of `{{else if a}} … {{else}} …` the branch after the first tag and the branch before `{{/if}}`."""
    if inverse is None or inverse.chain is None:
        return inverse, inverse
    last: Program | None = inverse
    while last is not None and last.chain is not None:
        last = last.chain.program
    return inverse.chain.program, last


def _line_ends_before(body: list[Statement], index: int, is_root: bool) -> bool:
    """Whether nothing but blanks stands between `index` and the line break before it (or the template's start)."""
    previous = _at(body, index - 1)
    if previous is None:
        return is_root
    if not isinstance(previous, Content):
        return False
    text = previous.original
    inked = len(text.rstrip(BLANKS))
    return "\n" in text[inked:] or (is_root and index < 2 and inked == 0)


def _line_ends_after(body: list[Statement], index: int, is_root: bool) -> bool:
    following = _at(body, index + 1)
    if following is None:
        return is_root
    if not isinstance(following, Content):
        return False
    text = following.original
    blank = len(text) - len(text.lstrip(BLANKS))
    return "\n" in text[:blank] or (is_root and index + 2 >= len(body) and blank == len(text))


def _trim_start(node: Statement | None, *, everything: bool = False) -> None:
    """Take white space (all of it, or up to the end of the line) from the start of a text."""
    if not isinstance(node, Content) or (node.trimmed_start and not everything):
        return
    if everything:
        left = node.value.lstrip(BLANKS)
    else:
        left = node.value.lstrip(_INDENT)
        left = left.removeprefix("\r\n") if left.startswith("\r\n") else left.removeprefix("\n")
    node.offset += len(node.value) - len(left)
    node.trimmed_start = left != node.value
    node.value = left


def _trim_end(node: Statement | None, *, everything: bool = False) -> None:
    if not isinstance(node, Content) or (node.trimmed_end and not everything):
        return
    left = node.value.rstrip(BLANKS if everything else _INDENT)
    node.trimmed_end = left != node.value
    node.value = left


def _at(body: list[Statement], index: int) -> Statement | None:
    return body[index] if 0 <= index < len(body) else None


def _first(program: Program | None) -> Statement | None:
    return _at(program.body, 0) if program else None


def _last(program: Program | None) -> Statement | None:
    return _at(program.body, len(program.body) - 1) if program else None
