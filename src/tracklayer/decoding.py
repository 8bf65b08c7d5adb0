"""JSON into typed structs, with errors that point at the place."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

import msgspec
from msgspec.inspect import (
    DictType,
    EnumType,
    ListType,
    LiteralType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from tracklayer.errors import Invalid, Malformed, pointer
from tracklayer.model.event import decode_json, encode_json

KEYS_TRIED = 50  # of an object of which one value is wrong

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(?:unknown|required) field `([^`]*)`")
_NO_MEMBER = "Invalid enum value "
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[(\.\.\.)\]|(^key in )")


_HALF_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def why_no_json(raw: bytes, error: msgspec.DecodeError) -> str:
    """What is wrong with bytes that are no JSON. Half of a surrogate pair (JavaScript, a text that was cut in the
    middle of an emoji) looks to the decoder like an end that came too early.
    """
    half = _HALF_PAIR.search(raw)
    if half is not None:
        return f"{half[0].decode()} is half of a surrogate pair, and no character (byte {half.start()})"
    problem = str(error)
    return f"{problem} (byte {len(raw)})" if "truncated" in problem else problem


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
        raise _invalid(str(error), raw, kind) from error
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not valid JSON: {why_no_json(raw, error)}", pointer="") from error
    except (ArithmeticError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not usable JSON: {error}", pointer="") from error


def check_keys(raw: bytes) -> None:
    """Refuse JSON in which one object has a key twice, where `decode_as` lets the last value count without a word.

    It reads the bytes once more, in Python's own way: not for the events of a busy shop. Raises `Invalid`, its pointer
    to the key, and `Malformed` for what is nested too deeply, or no UTF-8, to be read so.
    """
    repeated: list[tuple[dict[str, Any], str]] = []

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            times = Counter(name for name, _ in pairs)
            repeated.append((fields, next(name for name in times if times[name] > 1)))
        return fields

    try:
        document = json.loads(raw, object_pairs_hook=read, parse_int=str, parse_float=str)
    except (RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not usable JSON: {error}", pointer="") from error
    if repeated:
        holder, key = repeated[-1]  # of objects in each other the outer one comes last, and so is there in any case
        raise Invalid(
            f"the key {key[:100]!r} stands twice in one object",
            code="duplicate_key",
            pointer=pointer(*_place_of(holder, document), key),
        )


def _place_of(wanted: object, document: Any) -> tuple[str | int, ...]:
    """The way to the very object `wanted`, which is in `document`."""
    left: list[tuple[Any, tuple[str | int, ...]]] = [(document, ())]
    while True:
        value, place = left.pop()
        if value is wanted:
            return place
        if isinstance(value, dict):
            left += [(each, (*place, key)) for key, each in value.items()]
        elif isinstance(value, list):
            left += [(each, (*place, index)) for index, each in enumerate(value)]


def _invalid(message: str, raw: bytes, kind: Any) -> Invalid:
    """msgspec says `Object contains unknown field `x` - at `$.transport``; we say `/transport/x`."""
    match = _PLACE.match(message)
    what, path = (match["what"], match["path"] or "$") if match else (message, "$")
    steps: list[str] = []
    for name, index, any_key, _ in _STEP.findall(path):
        step = _key_at(steps, message, raw, kind) if any_key else name or index
        if step is None:
            break
        steps.append(step)
    field = _FIELD.search(what)
    if field:
        steps.append(field[1])
    if what.startswith(_NO_MEMBER) and (choices := _choices(type_info(kind), steps)):
        what = f"{what.removeprefix(_NO_MEMBER)} is none of the values: expected {' or '.join(choices)}"
    code = "unknown_field" if "unknown field" in what else "missing_field" if "required field" in what else "wrong_type"
    return Invalid(what, code=code, pointer=pointer(*steps))


def _choices(info: Type, steps: Sequence[str]) -> list[str]:
    """The values that a type allows at a place inside of it, where they are few."""
    if isinstance(info, UnionType):
        return [choice for each in info.types for choice in _choices(each, steps)]
    if steps:
        return [choice for inner in _inside(info, steps[0]) for choice in _choices(inner, steps[1:])]
    if isinstance(info, EnumType):
        return [str(each.value) for each in info.cls]
    return [str(each) for each in info.values] if isinstance(info, LiteralType) else []


def _inside(info: Type, name: str) -> list[Type]:
    """The type of what stands at `name`."""
    if isinstance(info, StructType):
        return [each.type for each in info.fields if each.encode_name == name]
    if isinstance(info, DictType):
        return [info.value_type]
    return [info.item_type] if isinstance(info, ListType | VarTupleType) else []


def _key_at(steps: Sequence[str], message: str, raw: bytes, kind: Any) -> str | None:
    """The key that is wrong in the object at `steps`, which msgspec does not tell: where it is alone, the words are the
    same. None where it is not among the first keys.
    """
    try:
        document = holder = decode_json(raw)
    except (msgspec.DecodeError, ArithmeticError, RecursionError):  # it is wrong in another place, too
        return None
    for step in steps:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    decode = msgspec.json.Decoder(kind, float_hook=Decimal).decode
    for key in islice(holder, KEYS_TRIED):
        try:
            decode(encode_json(_with(document, steps, {key: holder[key]})))
        except (msgspec.DecodeError, ArithmeticError) as error:
            if str(error) == message:
                return str(key)
    return None


def _with(value: Any, steps: Sequence[str], inner: Any) -> Any:
    """`value` with `inner` at `steps`."""
    if not steps:
        return inner
    step, rest = steps[0], steps[1:]
    if isinstance(value, list):
        return [_with(each, rest, inner) if str(index) == step else each for index, each in enumerate(value)]
    return {**value, step: _with(value[step], rest, inner)}
