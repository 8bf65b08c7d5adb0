"""Where in a JSON body every mustache stands, and the proof that whatever the event holds the body stays JSON.

The analysis runs the grammar (`json_shape.py`) over all ways through a template at once. It carries the set of places
where the body can be; a text must fit all of them. A loop is followed until its set no longer grows, apart for the
first and the last round where the template asks for `@first` or `@last`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from tracklayer.template.blocks import BlockKind, block_kind
from tracklayer.template.errors import Source, TemplateError
from tracklayer.template.json_shape import (
    END,
    KEYS,
    START,
    STRINGS,
    VALUES,
    Misfit,
    Phase,
    State,
    after_value,
    scan,
)
from tracklayer.template.syntax import Block, Call, Content, Expression, Mustache, Path, Program

States = frozenset[State]


class Where(Enum):
    """What a mustache stands in."""

    VALUE = "at a value"
    KEY = "at a key"
    STRING = "inside a string"
    KEY_STRING = "inside a key"
    PLAIN = "in a text that is not JSON"


@dataclass(frozen=True, slots=True)
class Positions:
    """What was found out of a JSON template; nothing of any other."""

    where: dict[Mustache, Where] = field(default_factory=dict)
    alone: set[Mustache] = field(default_factory=set)  # all that is in their quotes
    lists: set[Block] = field(default_factory=set)  # `{{#list}}` between brackets, where only a comma can separate


class Round(NamedTuple):
    """What is known of `@first` and `@last`; None: both can be."""

    first: bool | None = None
    last: bool | None = None


_ANY_ROUND = Round()
_ROUND_PATHS = (("first",), ("last",), ("index",))
_LIST_HINT = "{{#list}} … {{/list}} puts commas between the items, and only there"


def locate(program: Program, source: Source) -> Positions:
    """Every mustache's place. Raises `TemplateError` where some event would make the body invalid."""
    analysis = _Analysis(source)
    for state in analysis.walk(program, frozenset((START,)), _ANY_ROUND):
        if state != END:
            raise TemplateError(
                f"the body is not complete: the template ends {state}"
                + (f", with {state.open} still open" if state.open else ""),
                source,
                len(source.text),
            )
    return analysis.found


class _Analysis:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.found = Positions()
        self._known: dict[tuple[Program, States, Round], States] = {}
        self._seen_each = False

    def walk(self, program: Program | None, states: States, turn: Round) -> States:
        """Where the body can be after `program`, when it can be at any of `states` before it."""
        if program is None:
            return states
        key = (program, states, turn)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._program(program, states, turn)
        return known

    def _program(self, program: Program, states: States, turn: Round) -> States:
        opened_last = False  # the text before ends with the " of a string
        for index, statement in enumerate(program.body):
            if isinstance(statement, Content):
                states, opened_last = self._content(statement, states)
                continue
            if isinstance(statement, Mustache):
                states = self._mustache(statement, states)
                if opened_last and not statement.raw and _begins_with_quote(program, index + 1):
                    self.found.alone.add(statement)
            elif isinstance(statement, Block):
                states = self._block(statement, states, turn)
            opened_last = False
        return states

    def _content(self, content: Content, states: States) -> tuple[States, bool]:
        after, opened_last = set(), bool(content.value)
        for state in states:
            try:
                result = scan(state, content.value)
            except Misfit as misfit:
                raise self._misfit(content.offset + misfit.offset, misfit.message, state) from None
            after.add(result.state)
            opened_last &= result.opened_at == len(content.value) - 1
        return frozenset(after), opened_last

    def _misfit(self, offset: int, message: str, state: State) -> TemplateError:
        from_loop = self._seen_each and state.phase in (Phase.AFTER, Phase.VALUE, Phase.KEY)
        return TemplateError(f"{message}; {_LIST_HINT}" if from_loop else message, self._source, offset)

    def _mustache(self, mustache: Mustache, states: States) -> States:
        after, places = set(), {self._where(mustache, state) for state in states}
        places.add(self.found.where.get(mustache, next(iter(places))))
        if len(places) > 1:
            both = " and ".join(sorted(place.value for place in places))
            raise TemplateError(
                f"this stands in different places in different cases: {both}", self._source, mustache.offset
            )
        place = places.pop()
        if place is Where.KEY and mustache.raw:
            raise TemplateError(
                "unescaped text can stand at a value or inside quotes, not at a key", self._source, mustache.offset
            )
        self.found.where[mustache] = place
        for state in states:
            after.add(
                after_value(state)
                if place is Where.VALUE
                else State(state.open, Phase.COLON)
                if place is Where.KEY
                else state
            )
        return frozenset(after)

    def _where(self, mustache: Mustache, state: State) -> Where:
        if state.phase in STRINGS:
            return Where.STRING if state.phase is Phase.TEXT else Where.KEY_STRING
        if state.phase in VALUES:
            return Where.VALUE
        if state.phase in KEYS:
            return Where.KEY
        message = ": is missing before this value"
        if state.phase is Phase.AFTER:
            message = "a comma is missing before this value" if state.open else "the body ends before this value"
        raise self._misfit(mustache.offset, message, state)

    # Blocks

    def _block(self, block: Block, states: States, turn: Round) -> States:
        kind = block_kind(block.call)
        if kind is BlockKind.LIST:
            after = self._list(block, states)
        elif kind is BlockKind.EACH:
            after = self._loop(block, states)
        elif kind is BlockKind.SECTION:  # over no list, `@first` and the like are those of the loop around it
            after = self._loop(block, states) | self.walk(block.program, states, turn)
        elif kind is BlockKind.WITH:
            after = self.walk(block.program, states, turn) | self.walk(block.inverse, states, turn)
        else:
            truth = _truth(block, kind, turn)
            after = frozenset()
            if truth is not False:
                after |= self.walk(block.program, states, turn)
            if truth is not True:
                after |= self.walk(block.inverse, states, turn)
        self._check_agreement(block, after)
        return after

    def _loop(self, block: Block, states: States) -> States:
        """No round, one, or several; each round begins where the one before it ended."""
        self._seen_each = True
        asks = block.program is not None and _asks_for_round(block.program)

        def go(states: States, *, first: bool, last: bool) -> States:
            after = self.walk(block.program, states, Round(first, last) if asks else _ANY_ROUND)
            self._check_balance(block, states, after)
            return after

        middle = go(states, first=True, last=False)
        while (grown := middle | go(middle, first=False, last=False)) != middle:
            middle = grown
        only = go(states, first=True, last=True)
        return self.walk(block.inverse, states, _ANY_ROUND) | only | go(middle, first=False, last=True)

    def _list(self, block: Block, states: States) -> States:
        """Every round begins at a fresh item, or at its end if it rendered nothing."""
        starts = frozenset(self._item_start(block, state) for state in states)
        rounds = self.walk(block.program, starts, _ANY_ROUND)
        self._check_balance(block, starts, rounds)
        if not rounds <= starts | {State(state.open, Phase.AFTER) for state in starts}:
            worst = next(state for state in rounds if state not in starts and state.phase is not Phase.AFTER)
            raise TemplateError(
                f"an item of {{{{#list}}}} must be whole, and {{{{#list}}}} puts the commas: this ends {worst}",
                self._source,
                block.offset,
            )
        filled = frozenset(state for state in rounds if state.phase is Phase.AFTER)
        return self.walk(block.inverse, states, _ANY_ROUND) | filled

    def _item_start(self, block: Block, state: State) -> State:
        if state.phase in STRINGS:
            return state
        self.found.lists.add(block)
        if state.phase in VALUES and state.open.endswith("["):
            return State(state.open, Phase.ITEM)
        if state.phase in KEYS:
            return State(state.open, Phase.ITEM_KEY)
        raise TemplateError(
            f"{{{{#list}}}} can stand in [ ], in {{ }} or inside a string, not {state}", self._source, block.offset
        )

    def _check_balance(self, block: Block, before: States, after: States) -> None:
        """A round must leave open what was open before it, no more and no less."""
        opened = {state.open for state in before}
        for state in after:
            if state.open not in opened:
                raise TemplateError(
                    f"a round of {{{{#{block.call.name.original}}}}} must close what it opens, and only that: "
                    f"it begins with {min(opened) or 'nothing'} open and ends with {state.open or 'nothing'} open",
                    self._source,
                    block.offset,
                )

    def _check_agreement(self, block: Block, after: States) -> None:
        """All ways through a block must lead to places from which the body can go on alike."""
        states = sorted(after, key=lambda state: (len(state.open), str(state)))
        are_strings = {state.phase in STRINGS for state in states}
        agree = len({state.open for state in states}) == 1 and (
            len(states) == 1
            if are_strings == {True}
            else are_strings == {False} and bool(set.intersection(*(set(state.phase.value) for state in states)))
        )
        if not agree:
            ways = ", or ".join(dict.fromkeys(_describe(state) for state in states))
            raise TemplateError(
                f"every branch must leave the body at the same place; after this block it can be {ways}"
                + (f"; {_LIST_HINT}" if self._seen_each else ""),
                self._source,
                block.offset,
            )


def _describe(state: State) -> str:
    return f"{state} in {state.open}" if state.open else str(state)


def _begins_with_quote(program: Program, index: int) -> bool:
    following = program.body[index] if index < len(program.body) else None
    return isinstance(following, Content) and following.value.startswith('"')


def _truth(block: Block, kind: BlockKind, turn: Round) -> bool | None:
    """What a condition on `@first`, `@last` or `@index` comes to in this round; None for all others."""
    call = block.call
    if kind not in (BlockKind.IF, BlockKind.UNLESS) or len(call.params) != 1 or call.options:
        return None
    truth = _truth_of(call.params[0], turn)
    return truth if truth is None or kind is BlockKind.IF else not truth


def _truth_of(expression: Expression, turn: Round) -> bool | None:
    if isinstance(expression, Call):
        if expression.name.original != "not" or len(expression.params) != 1:
            return None
        truth = _truth_of(expression.params[0], turn)
        return None if truth is None else not truth
    if not (isinstance(expression, Path) and expression.data) or expression.depth:
        return None
    is_not_first = None if turn.first is None else not turn.first
    word = expression.parts[0] if len(expression.parts) == 1 else ""
    return {"first": turn.first, "last": turn.last, "index": is_not_first}.get(word)


def _asks_for_round(program: Program) -> bool:
    """Whether a condition in `program` looks at the round that it is in."""
    for statement in program.body:
        if isinstance(statement, Block):
            if any(_names_round(param) for param in statement.call.params):
                return True
            if any(branch and _asks_for_round(branch) for branch in (statement.program, statement.inverse)):
                return True
    return False


def _names_round(expression: Expression) -> bool:
    if isinstance(expression, Call):
        return any(_names_round(param) for param in expression.params)
    return isinstance(expression, Path) and expression.data and expression.parts[-1:] in _ROUND_PATHS
