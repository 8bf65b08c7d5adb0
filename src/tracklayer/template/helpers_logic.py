"""Helpers that choose and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tracklayer.template.helper import ANY, SOMETHING, TEXT_OR_NULL, Helper, Refusal, shown, to_number
from tracklayer.template.values import is_number, is_true, is_zero, step, text_of


def _lookup(value: object, key: object) -> object:
    """What a key that is only known when rendering leads to; false and 0 lead to themselves, as in Handlebars."""
    return value if value is False or is_zero(value) else step(value, text_of(key))


def _coalesce(*values: object) -> object:
    """The first value that is neither null nor an empty text, or the last one."""
    return next((value for value in values if value is not None and value != ""), values[-1])


def _and(*values: object) -> object:
    """The first value that is false, or the last one."""
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: object) -> object:
    """The first value that is true, or the last one."""
    return next((value for value in values if is_true(value)), values[-1])


def _not(value: object) -> bool:
    return not is_true(value)


def equal(left: object, right: object) -> bool:
    """Same kind and same content; numbers by value, so 1 equals 1.0 and not "1"."""
    if is_number(left) and is_number(right):
        return left == right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    return type(left) is type(right) and left == right


def _not_equal(left: object, right: object) -> bool:
    return not equal(left, right)


def _ordered(holds: Callable[[int], bool]) -> Callable[[object, object], bool]:
    """A comparison; with null nothing is greater or less."""

    def compare(left: object, right: object) -> bool:
        if left is None or right is None:
            return False
        return holds(order(left, right))

    return compare


def order(left: object, right: object) -> int:
    """-1, 0 or 1. Two texts compare by their characters; where one is a number, the other must be or read as one."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if not (is_number(left) or is_number(right)):
        raise Refusal(f"expected two numbers or two texts, got {shown(left)} and {shown(right)}")
    first, second = to_number(left), to_number(right)
    return (first > second) - (first < second)


def _contains(value: object, wanted: object) -> bool:
    """A text in a text, an item in a list, a key in an object; nothing is in null."""
    if isinstance(value, list | tuple):
        return any(equal(item, wanted) for item in value)
    if isinstance(value, Mapping):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, str):
        return text_of(wanted) in value
    if value is None:
        return False
    raise Refusal(f"expected a text, a list or an object, got {shown(value)}")


def _starts_with(value: str, start: str) -> bool:
    return value.startswith(start)


def _ends_with(value: str, end: str) -> bool:
    return value.endswith(end)


_TWO = (ANY, ANY)

LOGIC_HELPERS = (
    Helper("lookup", _lookup, _TWO),
    Helper("default", _coalesce, _TWO, asks=True),
    Helper("coalesce", _coalesce, (ANY,), rest=ANY, asks=True),
    Helper("and", _and, _TWO, rest=ANY, asks=True, is_predicate=True),
    Helper("or", _or, _TWO, rest=ANY, asks=True, is_predicate=True),
    Helper("not", _not, (ANY,), asks=True, is_predicate=True),
    Helper("eq", equal, _TWO, asks=True, is_predicate=True),
    Helper("ne", _not_equal, _TWO, asks=True, is_predicate=True),
    Helper("gt", _ordered(lambda sign: sign > 0), _TWO, asks=True, is_predicate=True),
    Helper("gte", _ordered(lambda sign: sign >= 0), _TWO, asks=True, is_predicate=True),
    Helper("lt", _ordered(lambda sign: sign < 0), _TWO, asks=True, is_predicate=True),
    Helper("lte", _ordered(lambda sign: sign <= 0), _TWO, asks=True, is_predicate=True),
    Helper("contains", _contains, (ANY, SOMETHING), asks=True, is_predicate=True),
    Helper("startsWith", _starts_with, (TEXT_OR_NULL, TEXT_OR_NULL), asks=True, is_predicate=True),
    Helper("endsWith", _ends_with, (TEXT_OR_NULL, TEXT_OR_NULL), asks=True, is_predicate=True),
)
