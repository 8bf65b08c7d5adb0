"""The filter language: which events a destination, a suppression or an audience wants.

A filter is a mapping. Its keys are ANDed; an empty filter matches every event.

    {"event_name": ["purchase", "refund_requested"],         any of a list; an empty list is no condition
     "platform": "shopify",                                  a scalar: equality
     "properties.items.0.price": {"$gte": 100, "$lt": 500},  a path (a number indexes a list); operators, ANDed
     "$or": [{…}, {…}], "$and": [{…}], "$not": {…}}          over whole filters, at most 8 deep

What the rules are where JSON leaves room:
- A path that leads nowhere and a null are the same: absent. `null` as an operand means absent, so `$ne`, `$nin` and
  `$not` hold for an absent value, `{"$exists": false}` is the same as `null`, and every other operator is false for it.
- Numbers compare by value (100 equals 100.00), texts by code point and case, booleans only with booleans. A comparison
  between kinds is false.
- A list in the event matches when any of its items does; each operator looks for its own item. `$ne` and `$nin` are the
  negations of `$eq` and `$in`: no item may equal. `$exists` sees the list itself, so an empty list exists.
- `$contains` is a part of a text, or an item of a list. An object equals nothing: name what is inside it by a path.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce

from tracklayer.model.event import Event, Json
from tracklayer.pipeline.operators import Check, Place, compile_checks, given, refused, show

ROOTS = Event.__struct_fields__  # a path that begins elsewhere could never match: a typing mistake
MAX_DEPTH = 8  # filters within filters, the outermost counted
MAX_KEYS = 100  # conditions of one filter
MAX_FILTERS = 100  # filters under one $and or $or
MAX_PATH = 256  # characters

_Fields = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class FilterStep:
    """One condition of a filter, held against one event."""

    path: str  # the dotted path, or `$and`, `$or`, `$not`
    matched: bool
    reason: str  # for people: "platform is 'web', expected one of 'shopify'"


@dataclass(frozen=True, slots=True)
class _Condition:
    """One key of a filter."""

    path: str
    test: Callable[[_Fields], bool]
    reason: Callable[[_Fields], str]
    names: frozenset[str] | None = None  # the only event names that can pass; None: any


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter; made by `compile_filter`."""

    event_names: frozenset[str] | None  # the event names that it can match at all; None: any
    _conditions: tuple[_Condition, ...]
    _test: Callable[[_Fields], bool]

    def matches(self, fields: _Fields) -> bool:
        """Whether the event with these `fields` (see `event_fields`) passes."""
        return self._test(fields)

    def explain(self, fields: _Fields) -> list[FilterStep]:
        """Every condition with its outcome and the reason; the filter matches when all of them do."""
        return [FilterStep(each.path, each.test(fields), each.reason(fields)) for each in self._conditions]


def compile_filter(spec: Mapping[str, Json], *, max_depth: int = MAX_DEPTH, roots: Collection[str] = ROOTS) -> Filter:
    """Compile `spec` once, for many events. A path may begin with one of `roots`.

    Raises `Invalid` with code `invalid_filter` and a pointer relative to the filter for what cannot be evaluated.
    """
    return _filter(spec, (), max_depth, roots)


def _filter(spec: Json, at: Place, depth: int, roots: Collection[str]) -> Filter:
    """`depth` is how many levels, this one counted, are left."""
    if not isinstance(spec, Mapping):
        raise refused(f"a filter is an object, not {given(spec)}", at)
    if depth < 1:
        raise refused("filters are nested deeper than TRACKLAYER_FILTER_DEPTH (8 unless set)", at)
    if len(spec) > MAX_KEYS:
        raise refused(f"{len(spec)} conditions are too many: expected at most {MAX_KEYS}", at)
    compiled = [_condition(key, value, at, depth, roots) for key, value in spec.items()]
    conditions = tuple(each for each in compiled if each is not None)
    return Filter(_in_all(each.names for each in conditions), conditions, _every([each.test for each in conditions]))


def _condition(key: Json, value: Json, at: Place, depth: int, roots: Collection[str]) -> _Condition | None:
    """The condition of one key; None where it asks for nothing (an empty list)."""
    if not isinstance(key, str):
        raise refused(f"{show(key)} is not a path: expected a text such as properties.value", at)
    here = (*at, key)
    if key in ("$and", "$or"):
        filters = _filters(value, here, depth, roots)
        return _and(filters) if key == "$and" else _or(filters)
    if key == "$not":
        return _not(_filter(value, here, depth - 1, roots))
    if key.startswith("$"):
        raise refused(f"{show(key)} is unknown: expected a path, $and, $or or $not", here)
    if len(key) > MAX_PATH or not all(key.split(".")):
        expected = f"expected names joined by dots, at most {MAX_PATH} characters"
        raise refused(f"{show(key)} is not a path: {expected}", here)
    root = key.partition(".")[0]
    if root not in roots:
        likely = get_close_matches(root, roots, 1)
        raise refused(f"{show(root)} is no field of an event{f': did you mean {likely[0]}?' if likely else ''}", here)
    checks = compile_checks(value, here)
    return _value_condition(key, checks) if checks else None


def _filters(value: Json, at: Place, depth: int, roots: Collection[str]) -> list[Filter]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FILTERS:
        raise refused(f"{at[-1]} takes a list of 1 to {MAX_FILTERS} filters, not {given(value)}", at)
    return [_filter(each, (*at, index), depth - 1, roots) for index, each in enumerate(value)]


def _value_condition(path: str, checks: list[Check]) -> _Condition:
    get, test = _getter(path), _every([check.test for check in checks])
    root, _, below = path.partition(".")

    def reason(fields: _Fields) -> str:
        value = get(fields)
        failed = [check.expected for check in checks if not check.test(value)]
        if failed:
            return f"{path} is {show(value)}, expected {' and '.join(failed)}"
        return f"{path} is {show(value)}: {' and '.join(check.expected for check in checks)}"

    names = _in_all(check.texts for check in checks) if path == "event_name" else None
    matches = (lambda fields: test(get(fields))) if below else (lambda fields: test(fields.get(root)))  # a call less
    return _Condition(path, matches, reason, names)


def _getter(path: str) -> Callable[[_Fields], Json]:
    """Reads what stands at `path`; None where it leads nowhere."""
    first, *parts = path.split(".")
    if not parts:
        return lambda fields: fields.get(first)
    steps = [(part, int(part) if part.isascii() and part.isdigit() else None) for part in parts]

    def get(fields: _Fields) -> Json:
        value = fields.get(first)
        for key, index in steps:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and index is not None and index < len(value):
                value = value[index]
            else:
                return None
        return value

    return get


def _and(filters: list[Filter]) -> _Condition:
    def reason(fields: _Fields) -> str:
        for number, each in enumerate(filters, start=1):
            if not each.matches(fields):
                return f"filter {number} of {len(filters)} does not match: {_why_not(each, fields)}"
        return f"all {len(filters)} filters match"

    names = _in_all(each.event_names for each in filters)
    return _Condition("$and", _every([each.matches for each in filters]), reason, names)


def _or(filters: list[Filter]) -> _Condition:
    def reason(fields: _Fields) -> str:
        for number, each in enumerate(filters, start=1):
            if each.matches(fields):
                return f"filter {number} of {len(filters)} matches"
        return f"none of {len(filters)} filters matches: {'; '.join(_why_not(each, fields) for each in filters)}"

    known = [each.event_names for each in filters if each.event_names is not None]
    names = frozenset[str]().union(*known) if len(known) == len(filters) else None
    return _Condition("$or", lambda fields: any(each.matches(fields) for each in filters), reason, names)


def _not(inner: Filter) -> _Condition:
    def reason(fields: _Fields) -> str:
        if inner.matches(fields):
            return "the filter under $not matches"
        return f"the filter under $not does not match: {_why_not(inner, fields)}"

    return _Condition("$not", lambda fields: not inner.matches(fields), reason)


def _every(tests: list[Callable[[Json], bool]]) -> Callable[[Json], bool]:
    if len(tests) == 1:
        return tests[0]

    def every(value: Json) -> bool:
        for test in tests:  # noqa: SIM110 (`all` over a generator takes twice the time, and every event comes here)
            if not test(value):
                return False
        return True

    return every


def _in_all(known: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """The names that every one of `known` allows; None, which is any, restricts nothing."""
    restricting = [names for names in known if names is not None]
    return reduce(operator.and_, restricting) if restricting else None


def _why_not(inner: Filter, fields: _Fields) -> str:
    return next(step.reason for step in inner.explain(fields) if not step.matched)
