"""What the forms of several pages share: JSON as it was typed, the version that was seen, where an error belongs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from tracklayer.errors import TrackLayerError
from tracklayer.model.event import Json, decode_json
from tracklayer.web.console.words import sentence

_DIGITS = 9  # of a version; more may not even fit its column


def problems_of(error: TrackLayerError | None) -> dict[str, str]:
    """The field at fault → what to say there; under "" what belongs to no field."""
    if error is None:
        return {}
    return {(error.pointer or "").strip("/").partition("/")[0]: sentence(error.detail)}


def version_seen(form: Mapping[str, object], field: str) -> int | None:
    """The version that a form was made from; None where it does not say."""
    text = str(form.get(field, ""))
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def read_json(text: str) -> Json:
    """JSON with exact decimals. Raises `ValueError` (`json.JSONDecodeError` with the place, where it is known)."""
    try:
        return decode_json(text)
    except (msgspec.DecodeError, RecursionError, ArithmeticError, UnicodeError) as error:
        with suppress(RecursionError):
            json.loads(text)  # says it with line and column
        raise ValueError(str(error)) from error
