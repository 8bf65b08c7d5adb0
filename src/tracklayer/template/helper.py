"""What a helper is: a plain function, the kinds of values that it takes, and how a call of it is checked.

A helper gets and returns JSON values. Null in means null out: a helper is not called when a value that it needs is
null, unless the kind says that it takes null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from tracklayer.template.values import is_number, text_of

LONGEST_TEXT = 1_048_576
"""Characters that a helper may return: a bound on what one call can make of small input."""


_NO_NUMBER = Decimal("NaN")


class Refusal(Exception):
    """A helper cannot do this; the message says why and what it expects."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of parameter: how a value is read as one. `read` raises `Refusal`."""

    name: str
    read: Callable[[object], object]
    takes_null: bool = False
    literal: bool = False  # must stand in the template itself


@dataclass(frozen=True, slots=True)
class Helper:
    """A function that templates may call."""

    name: str
    function: Callable[..., object]
    takes: tuple[Kind, ...]
    may_take: tuple[Kind, ...] = ()  # after those that it takes
    rest: Kind | None = None  # any number more
    options: Mapping[str, Kind] = field(default_factory=dict)
    is_predicate: bool = False  # true or false, or as good: can be a block, like `{{#eq a b}} … {{/eq}}`
    asks: bool = False  # a missing value is a question to it, not a fault: it is not reported
    steps: int = 1  # what a call costs beside its values: one for some microseconds
    keeps_items: bool = False  # gives items of its first value: paths inside of `{{#each (sort a.b)}}` are known

    def kinds(self, count: int) -> list[Kind]:
        """The kinds of `count` values. Raises `Refusal` where it does not take that many."""
        kinds = [*self.takes, *self.may_take]
        if self.rest is not None:
            kinds.extend([self.rest] * (count - len(kinds)))
        if not len(self.takes) <= count <= len(kinds):
            raise Refusal(f"takes {self._wanted()}, got {count}")
        return kinds[:count]

    def option_kind(self, name: str) -> Kind:
        """The kind of the option `name`. Raises `Refusal` where there is none."""
        if name not in self.options:
            known = ", ".join(f"{option}=" for option in self.options) or "none"
            raise Refusal(f"has no option {name}= (its options: {known})")
        return self.options[name]

    def _wanted(self) -> str:
        least, most = len(self.takes), len(self.takes) + len(self.may_take)
        if self.rest is not None:
            return f"{least} or more values"
        return f"{least} to {most} values" if most > least else f"{least} value{'s' * (least != 1)}"


def shown(value: object) -> str:
    """A value as an error message calls it: kind and, where it is short, content."""
    if isinstance(value, str):
        return f'the text "{value[:40]}"' if len(value) <= 40 else "a long text"
    if isinstance(value, bool) or value is None:
        return text_of(value) or "null"
    if is_number(value):
        return f"the number {text_of(value)[:40]}"
    return "a list" if isinstance(value, list | tuple) else "an object" if isinstance(value, Mapping) else "no JSON"


def _text(value: object) -> object:
    if isinstance(value, list | tuple | Mapping):
        raise Refusal(f"expected a text, got {shown(value)}")
    return text_of(value)


def to_number(value: object) -> Decimal:
    """A number, or a text that is one (shops send prices as texts). Raises `Refusal`."""
    number = _NO_NUMBER
    if isinstance(value, str) and value.strip().isascii() and "_" not in value:
        try:
            number = Decimal(value.strip())
        except InvalidOperation:
            number = _NO_NUMBER
    elif is_number(value):
        number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise Refusal(f"expected a number, got {shown(value)}")
    return number


def _count(value: object) -> object:
    number = to_number(value)
    if not -LONGEST_TEXT <= number <= LONGEST_TEXT or number != number.to_integral_value():
        raise Refusal(f"expected a whole number up to {LONGEST_TEXT}, got {shown(value)}")
    return int(number)


def _list(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise Refusal(f"expected a list, got {shown(value)}")
    return value


def _object(value: object) -> object:
    if not isinstance(value, Mapping):
        raise Refusal(f"expected an object, got {shown(value)}")
    return value


def _text_or_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else _text(value)


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise Refusal(f"expected true or false, got {shown(value)}")
    return value


ANY = Kind("any value", lambda value: value, takes_null=True)
SOMETHING = Kind("any value but null", lambda value: value)
TEXT = Kind("a text", _text)
TEXT_OR_NULL = Kind("a text", _text, takes_null=True)
NUMBER = Kind("a number", to_number)
COUNT = Kind("a whole number", _count)
LIST = Kind("a list", _list)
OBJECT = Kind("an object", _object)
OBJECT_OR_NULL = Kind("an object", lambda value: {} if value is None else _object(value), takes_null=True)
TEXT_OR_LIST = Kind("a text or a list", _text_or_list)
FLAG = Kind("true or false", _flag, literal=True)


def choice(*names: str) -> Kind:
    """One of these texts, written in the template."""

    def read(value: object) -> object:
        if value not in names:
            raise Refusal(f"expected one of {', '.join(names)}, got {shown(value)}")
        return value

    return Kind(f"one of {', '.join(names)}", read, literal=True)
