"""What a filter asks of one value: `$eq`, `$in`, `$gte` … compiled to tests. `filter.py` documents the language."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json

MAX_VALUES = 1000  # values of one list

Place = tuple[str | int, ...]  # the way from the filter's root to the part at hand
Test = Callable[[Json], bool]

_NUMBERS: tuple[type, ...] = (int, Decimal, float)  # by exact type, which keeps bool out
_KINDS: tuple[tuple[type, ...], ...] = (_NUMBERS, (str,), (bool,), (type(None),))
_SCALARS = frozenset(kind for kinds in _KINDS for kind in kinds)
_SHOWN = 5  # items of a list in a reason, before "…"
_CLIP = 80  # characters of one value in a reason


@dataclass(frozen=True, slots=True)
class Check:
    """One operator with its operand: a test of an event's whole value (None: absent)."""

    test: Test
    expected: str  # for people: "at least 100"
    operator: str
    operand: Json  # as it is compared: a float is a decimal by now

    @property
    def values(self) -> list[Json] | None:
        """What `$eq` and `$in` look for: nothing else can pass. None for any other operator."""
        if self.operator == "$eq":
            return [self.operand]
        return self.operand if self.operator == "$in" else None

    @property
    def texts(self) -> frozenset[str] | None:
        """The only texts that can pass; None: not known."""
        return None if self.values is None else _texts(self.values)


def compile_checks(value: Json, at: Place) -> list[Check]:
    """The checks that stand at one key of a filter, all to be met; none for an empty list or object.

    Raises `Invalid` for an unknown operator and for an operand that its operator cannot take.
    """
    if isinstance(value, Mapping):
        return [_compile_operator(name, operand, at) for name, operand in value.items()]
    if isinstance(value, list):
        return [_one_of(value, at)] if value else []
    return [_equal(value, at)]


def refused(detail: str, at: Place) -> Invalid:
    """The error for the part of a filter that stands at `at`."""
    return Invalid(detail, code="invalid_filter", pointer=pointer(*at))


def show(value: Json) -> str:
    """`value` for people, clipped."""
    if isinstance(value, list):
        return f"[{_show_all(value)}]"
    return _show_one(value)


def given(operand: Json) -> str:
    """An operand for people, clipped: in a filter null is null, in an event it is absent."""
    return "null" if operand is None else show(operand)


def _compile_operator(name: Json, operand: Json, at: Place) -> Check:
    if name not in _OPERATORS:
        hint = "" if str(name).startswith("$") else f"; a nested value is named by a path: {at[-1]}.{name}"
        raise refused(f"{show(name)} is no operator: expected one of {', '.join(_OPERATORS)}{hint}", (*at, str(name)))
    return _OPERATORS[name](operand, (*at, name))


def _equal(operand: Json, at: Place) -> Check:
    value = _scalar(operand, at)
    return Check(_any_of([value]), show(value), "$eq", value)


def _one_of(operand: Json, at: Place) -> Check:
    values = _values(operand, at)
    return Check(_any_of(values), f"one of {_show_all(values)}", "$in", values)


def _not_equal(operand: Json, at: Place) -> Check:
    value = _scalar(operand, at)
    return Check(_negated(_any_of([value])), f"anything but {show(value)}", "$ne", value)


def _none_of(operand: Json, at: Place) -> Check:
    values = _values(operand, at)
    return Check(_negated(_any_of(values)), f"none of {_show_all(values)}", "$nin", values)


def _exists(operand: Json, at: Place) -> Check:
    if not isinstance(operand, bool):
        raise refused(f"$exists takes true or false, not {given(operand)}", at)
    return Check(lambda value: (value is not None) is operand, "a value" if operand else "no value", "$exists", operand)


def _contains(operand: Json, at: Place) -> Check:
    wanted = _scalar(operand, at)
    if wanted is None:
        raise refused("$contains takes a text, a number, true or false, not null", at)
    is_item = _equal_to([wanted])

    def test(value: Json) -> bool:
        if isinstance(value, list):
            return any(map(is_item, value))
        return isinstance(value, str) and isinstance(wanted, str) and wanted in value

    return Check(test, f"{show(wanted)} in it", "$contains", wanted)


def _ordered(compare: Callable[[Json, Json], bool], phrase: str) -> Callable[[Json, Place], Check]:
    def build(operand: Json, at: Place) -> Check:
        limit = _scalar(operand, at)
        kinds = next(kinds for kinds in _KINDS if type(limit) in kinds)
        if kinds not in (_NUMBERS, (str,)):
            raise refused(f"{at[-1]} takes a number or a text, not {given(operand)}", at)
        test = _over_items(lambda value: type(value) in kinds and compare(value, limit))
        return Check(test, phrase + show(limit), str(at[-1]), limit)

    return build


def _part(holds: Callable[[str, str], bool], phrase: str) -> Callable[[Json, Place], Check]:
    def build(operand: Json, at: Place) -> Check:
        if not isinstance(operand, str):
            raise refused(f"{at[-1]} takes a text, not {given(operand)}", at)
        test = _over_items(lambda value: isinstance(value, str) and holds(value, operand))
        return Check(test, phrase + show(operand), str(at[-1]), operand)

    return build


_OPERATORS: dict[str, Callable[[Json, Place], Check]] = {
    "$eq": _equal,
    "$ne": _not_equal,
    "$in": _one_of,
    "$nin": _none_of,
    "$gt": _ordered(operator.gt, "more than "),
    "$gte": _ordered(operator.ge, "at least "),
    "$lt": _ordered(operator.lt, "less than "),
    "$lte": _ordered(operator.le, "at most "),
    "$exists": _exists,
    "$prefix": _part(str.startswith, "a text that starts with "),
    "$suffix": _part(str.endswith, "a text that ends with "),
    "$contains": _contains,
}


def _scalar(operand: Json, at: Place) -> Json:
    """`operand`, a float as the decimal that it was written as: YAML's 149.9 then equals an event's 149.90."""
    value = Decimal(str(operand)) if type(operand) is float else operand
    if type(value) not in _SCALARS or (isinstance(value, Decimal) and not value.is_finite()):
        raise refused(f"{show(operand)} cannot be compared: expected a text, a number, true, false or null", at)
    return value


def _values(operand: Json, at: Place) -> list[Json]:
    if not isinstance(operand, list):
        raise refused(f"{at[-1]} takes a list of values, not {given(operand)}", at)
    if not 1 <= len(operand) <= MAX_VALUES:
        raise refused(f"{at[-1]} has {len(operand)} values: expected 1 to {MAX_VALUES}", at)
    return [_scalar(each, (*at, index)) for index, each in enumerate(operand)]


def _equal_to(values: list[Json]) -> Test:
    members: dict[type, Container[Json]] = {}
    for kinds in _KINDS:
        members |= dict.fromkeys(kinds, frozenset(value for value in values if type(value) in kinds))
    return lambda value: value in members.get(type(value), ())


def _any_of(values: list[Json]) -> Test:
    """Whether a value, or an item of it, is one of `values`."""
    texts = _texts(values)
    if not all(isinstance(value, str) for value in values):
        return _over_items(_equal_to(values))

    def test(value: Json) -> bool:  # in one step, for this is what filters mostly ask
        if type(value) is str:
            return value in texts
        return type(value) is list and any(type(item) is str and item in texts for item in value)

    return test


def _over_items(test: Test) -> Test:
    return lambda value: any(map(test, value)) if isinstance(value, list) else test(value)


def _negated(test: Test) -> Test:
    return lambda value: not test(value)


def _texts(values: list[Json]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))


def _show_one(value: Json) -> str:
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, Mapping)):
        return "a list" if isinstance(value, list) else "an object"
    text = str(value) if type(value) in _NUMBERS else repr(value)
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"


def _show_all(values: list[Json]) -> str:
    more = f", … ({len(values)} in all)" if len(values) > _SHOWN else ""
    return ", ".join(_show_one(value) for value in values[:_SHOWN]) + more
