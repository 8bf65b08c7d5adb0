"""Reading what a newer release has saved, while both work on one database, or after a step back.

What this code knows of it is read; that there was more is said, and whoever reads decides what to do without.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.inspect import StructType, Type, UnionType, type_info

from tracklayer.model.event import decode_json, encode_json

T = TypeVar("T")


def read_known(decoder: msgspec.json.Decoder[T], raw: bytes) -> tuple[T, str | None]:
    """What `raw` says, and what of it this code does not know (None: it knows all).

    Raises `msgspec.ValidationError` where it cannot be read even without the fields that are unknown.
    """
    try:
        return decoder.decode(raw), None
    except msgspec.ValidationError as error:
        known = _known(decode_json(raw), type_info(decoder.type))
        return decoder.decode(encode_json(known)), str(error)


def _known(value: Any, kind: Type) -> Any:
    """`value` without the fields that the structs of `kind` do not have."""
    if isinstance(kind, UnionType):
        kind = next((each for each in kind.types if isinstance(each, StructType)), kind)
    if not (isinstance(kind, StructType) and isinstance(value, dict)):
        return value
    fields = {field.encode_name: field.type for field in kind.fields}
    return {name: _known(each, fields[name]) for name, each in value.items() if name in fields}
