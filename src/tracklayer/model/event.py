"""The canonical event: the record of one business action, the same for every destination."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any
"""A JSON value: None, bool, int, Decimal, str, list or dict with string keys.

Numbers with a fraction are `Decimal`, never `float`, so that 149.90 stays 149.90 from source to receiver.
"""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One canonical event; every field is present, empty where nothing is known."""

    event_id: str  # the caller's; the idempotency key within a workspace
    event_name: str  # canonical name: "purchase", "refund_requested"
    occurred_at: str  # RFC 3339, UTC, "Z"
    received_at: str  # RFC 3339, UTC, "Z"
    platform: str | None = None  # where it happened: "shopify", "web"
    segment: list[str] = msgspec.field(default_factory=list)  # names of the audiences that the user belongs to
    user_data: dict[str, Json] = msgspec.field(default_factory=dict)
    properties: dict[str, Json] = msgspec.field(default_factory=dict)
    context: dict[str, Json] = msgspec.field(default_factory=dict)  # `extra` keeps unknown top-level fields
    consent: dict[str, Json] = msgspec.field(default_factory=dict)  # category → "granted" | "denied"


_decode_event = msgspec.json.Decoder(Event, float_hook=Decimal).decode
_decode_any = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def decode_json(raw: bytes | str) -> Json:
    """Parse JSON with exact decimals. Raises `msgspec.DecodeError` or `RecursionError`."""
    return _decode_any(raw)


def encode_json(value: object) -> bytes:
    """Write JSON (compact, UTF-8) with decimals as numbers, digit for digit."""
    return _encode(value)


def event_from_json(raw: bytes) -> Event:
    """The event that `event_to_json` wrote."""
    return _decode_event(raw)


def event_to_json(event: Event) -> bytes:
    """The canonical event as JSON: what is stored, and what a destination without a template receives."""
    return _encode(event)


def event_fields(event: Event) -> dict[str, Json]:
    """The event as the mapping that filters and templates see (its values are shared, not copied)."""
    return msgspec.structs.asdict(event)
