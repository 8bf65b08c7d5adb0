"""What event values mean in a template: how a step of a path, a text, a truth and JSON are made of them.

Values are JSON values: None, bool, int, Decimal, str, list, dict. A float is survived; NaN and the infinities, which
JSON does not have, count as null. A path step reaches the keys of objects, the indexes of lists, and `length` of lists
and texts: never an attribute of a Python object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import TypeGuard, cast

import msgspec

from tracklayer.model.event import encode_json
from tracklayer.template.errors import RenderError

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_SURROGATE = re.compile("[\ud800-\udfff]")

quote = encode_basestring
"""A text as a JSON string. Lone surrogates stay; `json_safe` takes them out of a finished body."""


def step(value: object, key: str) -> object:
    """What `key` leads to from `value`; None where it leads nowhere."""
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list | tuple):
        if key == "length":
            return len(value)
        if _INDEX.fullmatch(key) and int(key) < len(value):
            return cast("object", value[int(key)])
        return None
    return len(value) if key == "length" and isinstance(value, str) else None


def is_true(value: object) -> bool:
    """As `{{#if}}` sees it: null, false, 0, NaN, "" and the empty list are false; an empty object is true."""
    if isinstance(value, Mapping):
        return True
    if isinstance(value, Decimal) and value.is_nan():
        return False
    return bool(value) and value == value


def is_empty(value: object) -> bool:
    """As `{{#with}}` sees it: like false, but 0 is something."""
    return not is_true(value) and not is_zero(value)


def is_zero(value: object) -> bool:
    """The number 0."""
    return is_number(value) and not value


def is_number(value: object) -> TypeGuard[int | Decimal | float]:
    """An int, a Decimal or a float, and not a bool."""
    return isinstance(value, int | Decimal | float) and not isinstance(value, bool)


def text_of(value: object) -> str:
    """The value as text: null is empty, a list is its items joined by `,`, an object is its JSON."""
    is_plain = value.is_finite() if type(value) is Decimal else type(value) is float and math.isfinite(value)
    if is_plain or isinstance(value, str):  # by far the most frequent values come first
        return str(value)
    if value is None or isinstance(value, bool):
        return "" if value is None else "true" if value else "false"
    if is_number(value):
        return number_text(value) or ""
    if isinstance(value, list | tuple):
        return ",".join([text_of(item) for item in value])
    return json_text(value)


def number_text(value: int | Decimal | float) -> str | None:
    """A number digit for digit; None where JSON has no such number."""
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:  # over 4,300 digits
            return f"{Decimal(value):f}"
    is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    return str(value) if is_finite else None


def json_text(value: object, indent: int = 0) -> str:
    """The value as JSON: compact, or with `indent` spaces a level. Raises `RenderError` for what is no JSON value.

    Raises `RecursionError` for one that is nested too deeply.
    """
    try:
        encoded = encode_json(value)
    except (msgspec.EncodeError, TypeError, ValueError):
        encoded = None  # a lone surrogate, a number of more than 4,300 digits, or not JSON at all
    if encoded is None or b"NaN" in encoded or b"Infinity" in encoded:
        encoded = _spell(value).encode("utf-8", "surrogatepass")
    if indent:
        encoded = msgspec.json.format(encoded, indent=indent)
    return encoded.decode("utf-8", "surrogatepass")


def _spell(value: object) -> str:
    """JSON the slow way, for what the encoder refuses or writes wrongly."""
    if value is None or isinstance(value, bool):
        return text_of(value) or "null"
    if isinstance(value, str):
        return quote(value)
    if is_number(value):
        return number_text(value) or "null"
    if isinstance(value, list | tuple):
        return f"[{','.join([_spell(item) for item in value])}]"
    if isinstance(value, Mapping):
        return f"{{{','.join([f'{quote(text_of(key))}:{_spell(item)}' for key, item in value.items()])}}}"
    raise RenderError(f"a {type(value).__name__} is not a JSON value")


def json_safe(text: str) -> str:
    """A finished JSON body, every lone surrogate as its escape; such a text can be encoded as UTF-8."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def scrub(text: str) -> str:
    """A text with U+FFFD for every lone surrogate; such a text can be encoded as UTF-8."""
    return _SURROGATE.sub("\ufffd", text)
