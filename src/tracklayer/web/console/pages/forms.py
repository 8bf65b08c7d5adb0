"""What the forms of several pages share: JSON as it was typed, the version that was seen, where an error belongs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.identity import is_id
from tracklayer.model.event import Json, decode_json
from tracklayer.web.console.words import sentence

_DIGITS = 9  # of a version; more may not even fit its column
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def problems_of(error: TrackLayerError | None) -> dict[str, str]:
    """The field at fault → what to say there; under "" what belongs to no field."""
    if error is None:
        return {}
    return {(error.pointer or "").strip("/").partition("/")[0]: sentence(error.detail)}


def placed_problems_of(error: TrackLayerError | None) -> dict[str, str]:
    """As `problems_of`, for fields that hold JSON: what is said begins with the place in the field."""
    if error is None:
        return {}
    field, _, place = (error.pointer or "").strip("/").partition("/")
    return {field: f"At /{place}: {sentence(error.detail)}" if place else sentence(error.detail)}


def version_seen(form: Mapping[str, object], field: str) -> int | None:
    """The version that a form was made from; None where it does not say."""
    text = str(form.get(field, ""))
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def id_drawn(form: Mapping[str, object], prefix: str) -> str | None:
    """The id that a form's page has drawn for what the form makes, so that a form that is sent twice makes one."""
    text = str(form.get("new_id", ""))
    return text if is_id(text, prefix) else None


def number_seen(form: Mapping[str, object], field: str) -> float | None:
    """The number that a page has put into a hidden field: a moment, a count; None where it does not say."""
    text = str(form.get(field, ""))
    return float(text) if _NUMBER.fullmatch(text) else None


def read_json(text: str) -> Json:
    """JSON with exact decimals. Raises `ValueError` (`json.JSONDecodeError` with the place, where it is known)."""
    try:
        return decode_json(text)
    except (msgspec.DecodeError, RecursionError, ArithmeticError, UnicodeError) as error:
        with suppress(RecursionError):
            json.loads(text)  # says it with line and column
        raise ValueError(str(error)) from error


def read_object(text: str, expected: str) -> dict[str, Json]:
    """A JSON object as it was typed; nothing is an empty one. Raises `Invalid`, which says what was `expected`."""
    if not text.strip():
        return {}
    try:
        value = read_json(text)
    except ValueError as error:
        raise Invalid(f"this is not JSON: {error}", pointer="") from error
    if not isinstance(value, dict):
        raise Invalid(f"{expected}.", pointer="")
    return value
