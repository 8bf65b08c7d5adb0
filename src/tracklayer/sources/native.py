"""The native API's bodies: one event, or `{"events": […]}`, from bytes to canonical events."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tracklayer.errors import Invalid, TooLarge, TrackLayerError, pointer
from tracklayer.model.event import Event, Json, encode_json
from tracklayer.model.rules import DEFAULT_RULES, WorkspaceRules
from tracklayer.pipeline.normalize import normalize
from tracklayer.sources.body import Unreadable, read_batch_json, read_json


class InputLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is taken at once. The size of a whole request is the server's to limit."""

    event_bytes: int = 256 * 1024  # an event's JSON: as sent when it comes alone, written compactly in a batch
    batch_events: int = 500


class Rejected(msgspec.Struct, frozen=True):
    """An item of a batch that is no event: the id that it gives itself, where it has one, and what is wrong."""

    event_id: str | None
    error: TrackLayerError
    item: Json


def parse_event(
    raw: bytes, *, now: float, new_id: Callable[[], str], limits: InputLimits, rules: WorkspaceRules = DEFAULT_RULES
) -> Event:
    """The body of `POST /v1/events` as a canonical event. Raises `Malformed`, `TooLarge` or `Invalid`."""
    return normalize(read_event(raw, limits), now=now, new_id=new_id, rules=rules)


def parse_batch(
    raw: bytes, *, now: float, new_id: Callable[[], str], limits: InputLimits, rules: WorkspaceRules = DEFAULT_RULES
) -> list[Event | Rejected]:
    """The body of `POST /v1/events/batch`: for each item its event, or why it is none (pointer into the whole body).

    Raises `Malformed`, `TooLarge` or `Invalid` only for what is wrong with the batch itself.
    """
    items = read_batch(raw, limits)
    may_be_too_large = len(raw) > limits.event_bytes  # a part is not longer than the whole
    results: list[Event | Rejected] = []
    for index, item in enumerate(items):
        try:
            if isinstance(item, Unreadable):
                raise item.error
            event = normalize(item, now=now, new_id=new_id, rules=rules)
            if may_be_too_large:
                _check_size(len(encode_json(item)), limits)
        except TrackLayerError as error:
            # Without its traceback, which would hold on to this frame and so to the whole batch.
            error.under(pointer("events", index)).with_traceback(None)
            results.append(Rejected(_event_id(item), error, item))
        else:
            results.append(event)
    return results


def _event_id(item: Json) -> str | None:
    found = item.get("event_id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


def read_event(raw: bytes, limits: InputLimits) -> Json:
    """The one event of a body, decoded. Raises `Malformed` and `TooLarge`."""
    _check_size(len(raw), limits)
    return read_json(raw)


def read_batch(raw: bytes, limits: InputLimits) -> list[Json]:
    """The items of a batch, decoded and counted, not yet looked at; `Unreadable` where one is no JSON.

    Raises `Malformed`, `TooLarge` and `Invalid`.
    """
    body = read_batch_json(raw, "events")
    if not isinstance(body, dict):
        raise Invalid('a batch is an object: expected {"events": […]}', code="invalid_type", pointer="")
    for name in body:
        if name != "events":
            raise Invalid(
                f'"{name[:40]}" is not a field of a batch: expected only events',
                code="unknown_field",
                pointer=pointer(name),
            )
    if "events" not in body:
        raise Invalid("events is missing: expected a list of events", code="required", pointer="/events")
    items = body["events"]
    if not isinstance(items, list):
        raise Invalid("events is not a list: expected a list of events", code="invalid_type", pointer="/events")
    if len(items) > limits.batch_events:
        raise TooLarge(
            f"the batch has {len(items)} events: expected at most {limits.batch_events}",
            code="too_many",
            pointer="/events",
        )
    return items


def _check_size(size: int, limits: InputLimits) -> None:
    if size > limits.event_bytes:
        raise TooLarge(f"the event has {size} bytes: expected at most {limits.event_bytes}", pointer="")
