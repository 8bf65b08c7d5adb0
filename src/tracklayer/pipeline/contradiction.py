"""What a filter can never find, known from the filter alone: for warnings, so only what is certain counts.

A filter is read as literals (one operator at one path, wanted or not) that must all hold, and choices, of each of which
one way must. It is a contradiction where the literals at one path leave no value, or every way of one choice is one.
Choices are held against the literals around them, not against each other.

Of a list each operator looks for its own item: `{"$gt": 10, "$lt": 5}` is met by `[12, 3]`. So it leaves lists, and is
a contradiction only at a path that has none. `$in` beside `$nin` of the same values leaves nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Flag, auto
from typing import NamedTuple

from tracklayer.model.event import Json
from tracklayer.pipeline.operators import Check, compile_checks

MOST = 50  # literals of one filter; one with more is not looked into: a warning must not hold events up

_EQUALITY = ("$eq", "$in", "$ne", "$nin")
_NOT = {"$gt": "$lte", "$gte": "$lt", "$lt": "$gte", "$lte": "$gt"}  # of values of the operand's kind
_SHOWN = 5  # literals of a contradiction


class Shape(Flag):
    """What can stand at a path."""

    ABSENT = auto()
    TEXT = auto()
    NUMBER = auto()
    TRUTH = auto()  # true or false
    OBJECT = auto()
    LIST = auto()


_ANY = ~Shape(0)
_SINGLE = ~Shape.LIST
_FEW: dict[Shape, list[Json]] = {Shape.ABSENT: [None], Shape.TRUTH: [True, False], Shape.OBJECT: [{}]}
"""The shapes of which these values stand for all: no operator looks into an object."""
_FIELDS = {
    **dict.fromkeys(("event_id", "event_name", "occurred_at", "received_at"), (Shape.TEXT, Shape.ABSENT)),
    "platform": (Shape.TEXT | Shape.ABSENT, Shape.ABSENT),
    "segment": (Shape.LIST, Shape.TEXT | Shape.ABSENT),
}
"""The shape of a field of the event, and of what is below it; every other one is an object with anything in it."""


class Literal(NamedTuple):
    """One operator at one path, and whether it must hold or must not."""

    path: str
    check: Check
    wanted: bool

    def holds(self, value: Json) -> bool:
        """Whether `value` at the path does as this asks."""
        return self.check.test(value) is self.wanted

    @property
    def is_of_every_item(self) -> bool:
        """Whether every item of a list must do as this asks; otherwise any one does."""
        return (self.check.operator in ("$ne", "$nin")) is self.wanted

    @property
    def words(self) -> str:
        """For people: "not one of 'a', 'b'"."""
        return self.check.expected if self.wanted else f"not {self.check.expected}"


class Reading(NamedTuple):
    """What must hold for a filter to match: all of `literals`, and of each choice one of its ways."""

    literals: tuple[Literal, ...] = ()
    choices: tuple[tuple[Reading, ...], ...] = ()


def read_filter(spec: Mapping[str, Json]) -> Reading:
    """The reading of a filter that `compile_filter` takes."""
    return _filter(spec, wanted=True)


def contradiction(reading: Reading) -> str | None:
    """Why no event can match; None where one can, or that is not known."""
    if _count(reading) > MOST:
        return None
    found = _contradiction(reading, ())
    if found is None:
        return None
    if not found:
        return "the filter under $not matches every event"
    return f"{found[0].path} would have to be {_all_words(found)}"


def wanted_of_lists(reading: Reading) -> Mapping[str, str]:
    """The paths at which only a list can match, where a single value could stand as well → what no such value is."""
    if _count(reading) > MOST:
        return {}
    found = {}
    for path, literals in _by_path(reading.literals, reading.literals):
        shapes = _shapes(path)
        if shapes & _SINGLE and shapes & _possible(literals) == Shape.LIST:
            found[path] = _all_words(literals)
    return found


def event_names(reading: Reading) -> set[str]:
    """Every name that is compared with `event_name`, at whatever depth."""
    compared = [
        each.check.operand for each in _every(reading) if each.path == "event_name" and each.check.operator in _EQUALITY
    ]
    listed = [each if isinstance(each, list) else [each] for each in compared]
    return {name for names in listed for name in names if isinstance(name, str)}


def _filter(spec: Mapping[str, Json], *, wanted: bool) -> Reading:
    return _join((_key(key, value, wanted=wanted) for key, value in spec.items()), every=wanted)


def _key(key: str, value: Json, *, wanted: bool) -> Reading:
    if key == "$not":
        return _filter(value, wanted=not wanted)
    if key in ("$and", "$or"):
        return _join((_filter(each, wanted=wanted) for each in value), every=(key == "$and") is wanted)
    literals = (Literal(key, check, wanted) for check in compile_checks(value, (key,)))
    return _join((Reading((literal,)) for literal in literals), every=wanted)


def _join(parts: Iterable[Reading], *, every: bool) -> Reading:
    """What holds where every one of `parts` does; or where any one does."""
    ways = tuple(parts)
    if not every and len(ways) != 1:
        return Reading(choices=(ways,))
    return Reading(
        tuple(literal for way in ways for literal in way.literals),
        tuple(choice for way in ways for choice in way.choices),
    )


def _every(reading: Reading) -> Iterable[Literal]:
    yield from reading.literals
    for choice in reading.choices:
        for way in choice:
            yield from _every(way)


def _count(reading: Reading) -> int:
    return sum(1 for _ in _every(reading))


def _contradiction(reading: Reading, around: tuple[Literal, ...]) -> Sequence[Literal] | None:
    """The literals that cannot hold together, those `around` the reading among them; none for an empty choice."""
    literals = (*around, *reading.literals)
    for path, those in _by_path(reading.literals, literals):
        if not _shapes(path) & _possible(those):
            return those
    for choice in reading.choices:
        found = [_contradiction(way, literals) for way in choice]
        if None not in found:
            return found[0] if found else ()
    return None


def _by_path(new: Sequence[Literal], literals: Sequence[Literal]) -> Iterable[tuple[str, list[Literal]]]:
    """Each path of the `new` literals, with all of `literals` there."""
    for path in dict.fromkeys(each.path for each in new):
        yield path, [each for each in literals if each.path == path]


def _shapes(path: str) -> Shape:
    root, _, below = path.partition(".")
    itself, inside = _FIELDS.get(root, (Shape.OBJECT, _ANY))
    return inside if below else itself


def _possible(literals: Sequence[Literal]) -> Shape:
    """The shapes of the values that could meet all of `literals`."""
    found = Shape.LIST if _can_be_list(literals) else Shape(0)
    for shape in _SINGLE:
        if _can_be(shape, literals):
            found |= shape
    return found


def _can_be_list(literals: Sequence[Literal]) -> bool:
    """Each literal that is wanted needs an item of its own, of which what is not wanted must not hold either."""
    if not all(each.holds([]) for each in literals if each.check.operator == "$exists"):
        return False
    of_items = [_of_item(each) for each in literals if each.check.operator != "$exists"]
    of_all = [each for each in of_items if each.is_of_every_item]
    of_one = [each for each in of_items if not each.is_of_every_item]
    return all(any(_can_be(shape, [each, *of_all]) for shape in _SINGLE) for each in of_one)


def _of_item(literal: Literal) -> Literal:
    """What a literal asks of a list's items: `$contains` looks for the item, not for a part of its text."""
    if literal.check.operator != "$contains":
        return literal
    (equal,) = compile_checks({"$eq": literal.check.operand}, (literal.path,))
    return literal._replace(check=equal)


def _can_be(shape: Shape, literals: Sequence[Literal]) -> bool:
    """Whether a value of this shape, no list, could meet all of `literals`."""
    only = [values for each in literals if (values := _only(each)) is not None]
    if shape in _FEW:
        candidates = _FEW[shape]
    elif only:
        candidates = [value for value in min(only, key=len) if _shape_of(value) is shape]
    else:
        return _is_in_bounds(shape, literals)
    return any(all(each.holds(value) for each in literals) for value in candidates)


def _only(literal: Literal) -> list[Json] | None:
    """The only single values that can meet a literal; None where there is no end of them."""
    operator, operand, wanted = literal.check.operator, literal.check.operand, literal.wanted
    if operator == ("$eq" if wanted else "$ne"):
        return [operand]
    return operand if operator == ("$in" if wanted else "$nin") else None


def _is_in_bounds(shape: Shape, literals: Sequence[Literal]) -> bool:
    """The same for numbers and texts of which no end could meet each literal alone."""
    lower: list[Json] = []
    upper: list[Json] = []
    for _, check, wanted in literals:
        if check.operator == "$exists" and check.operand is not wanted:
            return False
        if check.operator in ("$exists", *_EQUALITY):
            continue
        if _shape_of(check.operand) is not shape:
            if wanted:
                return False
        elif check.operator in _NOT:
            operator = check.operator if wanted else _NOT[check.operator]
            (lower if operator in ("$gt", "$gte") else upper).append(check.operand)
    if not lower or not upper:
        return True
    least, most = max(lower), min(upper)
    return bool(least < most) or (least == most and all(each.holds(least) for each in literals))


def _shape_of(value: Json) -> Shape:
    """The shape of a scalar."""
    if value is None:
        return Shape.ABSENT
    if isinstance(value, str):
        return Shape.TEXT
    return Shape.TRUTH if isinstance(value, bool) else Shape.NUMBER


def _all_words(literals: Sequence[Literal]) -> str:
    words = list(dict.fromkeys(each.words for each in literals))
    return " and ".join([*words[:_SHOWN], *(["…"] if len(words) > _SHOWN else [])])
