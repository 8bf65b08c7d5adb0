"""Helpers over numbers: exact decimals, so that 0.1 + 0.2 is 0.3 and 149.99 × 100 is 14999."""

from __future__ import annotations

from collections.abc import Callable
from decimal import (
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

from tracklayer.template.helper import COUNT, NUMBER, Helper, Refusal

_DIGITS = 1_000
_EXACT = Context(prec=_DIGITS, traps=[InvalidOperation, Overflow, Inexact])
_ROUNDING = Context(prec=_DIGITS, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_DIVISION = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, Overflow, DivisionByZero])


def _number(value: Decimal) -> Decimal:
    """The number as it is; a text that is a number becomes one, digit for digit."""
    return value


def _plain(value: Decimal) -> Decimal:
    """Without zeros at the end, and written out while that takes 30 digits or less."""
    value = value.normalize(_EXACT)
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent > 0 and value.adjusted() < 30:
        value = value.quantize(Decimal(1), context=_EXACT)
    return value if value else Decimal(0)


def _add(*values: Decimal) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _exactly(_EXACT.add, total, value)
    return total


def _subtract(left: Decimal, right: Decimal) -> Decimal:
    return _exactly(_EXACT.subtract, left, right)


def _multiply(*values: Decimal) -> Decimal:
    product = Decimal(1)
    for value in values:
        product = _exactly(_EXACT.multiply, product, value)
    return product


def _divide(left: Decimal, right: Decimal) -> Decimal:
    """To 28 significant digits."""
    if not right:
        raise Refusal("cannot divide by 0")
    return _exactly(_DIVISION.divide, left, right)


def _abs(value: Decimal) -> Decimal:
    return value.copy_abs()


def _round(value: Decimal, digits: int = 0) -> Decimal:
    """To `digits` digits after the point, halves away from zero; shows that many, so 149.9 to 2 is 149.90."""
    if not 0 <= digits <= 100:
        raise Refusal(f"expected 0 to 100 digits, got {digits}")
    try:
        rounded = value.quantize(Decimal(1).scaleb(-digits), context=_ROUNDING)
    except InvalidOperation:
        raise Refusal(f"a result of more than {_DIGITS} digits") from None
    return rounded if rounded else rounded.copy_abs()


def _exactly(operation: Callable[[Decimal, Decimal], Decimal], left: Decimal, right: Decimal) -> Decimal:
    """The result in its shortest form."""
    try:
        return _plain(operation(left, right))
    except (InvalidOperation, Overflow, Inexact):
        raise Refusal(f"a result of more than {_DIGITS} digits") from None


NUMBER_HELPERS = (
    Helper("number", _number, (NUMBER,)),
    Helper("round", _round, (NUMBER,), (COUNT,)),
    Helper("add", _add, (NUMBER, NUMBER), rest=NUMBER),
    Helper("subtract", _subtract, (NUMBER, NUMBER)),
    Helper("multiply", _multiply, (NUMBER, NUMBER), rest=NUMBER),
    Helper("divide", _divide, (NUMBER, NUMBER)),
    Helper("abs", _abs, (NUMBER,)),
)
