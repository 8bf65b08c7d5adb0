"""JSON into typed structs, with errors that point at the place."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from tracklayer.errors import Invalid, Malformed, pointer

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(?:unknown|required) field `([^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[(\.\.\.)\]|(^key in )")


def decode_object(raw: bytes) -> dict[str, Any]:
    """A JSON object, its numbers exact. Raises `Malformed`, or `Invalid` where it is something else."""
    return decode_as(raw, dict[str, Any])


def decode_as(raw: bytes, kind: type[T]) -> T:
    """JSON as a `kind`; numbers with a fraction are `Decimal` wherever the kind says no more than "JSON".

    Raises `Malformed` for bad JSON and `Invalid`, with a pointer, for a value of another shape.
    """
    try:
        return msgspec.json.Decoder(kind, float_hook=Decimal).decode(raw)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not valid JSON: {error}", pointer="") from error
    except (ArithmeticError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not usable JSON: {error}", pointer="") from error


def _invalid(message: str) -> Invalid:
    """msgspec says `Object contains unknown field `x` - at `$.transport``; we say `/transport/x`."""
    match = _PLACE.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    steps: list[str] = []
    for name, index, any_key, _ in _STEP.findall(path):
        if any_key:
            break
        steps.append(name or index)
    field = _FIELD.search(what)
    if field:
        steps.append(field[1])
    code = "unknown_field" if "unknown field" in what else "missing_field" if "required field" in what else "wrong_type"
    return Invalid(what, code=code, pointer=pointer(*steps))
