"""What answers look like: one struct for each thing, made from what the store and the catalog hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from tracklayer.catalog import Destination
from tracklayer.flow.engine import Engine
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import Consent, RateLimit, Retry, Success, Transport
from tracklayer.model.event import Json, event_fields
from tracklayer.model.moment import rfc3339
from tracklayer.model.records import ApiKey, SealedSecret, Suppression, VersionRecord
from tracklayer.model.work import Attempt, KeptRequest
from tracklayer.operate.draft import Change, changes, config_json, signing_view
from tracklayer.operate.explain import Explanation, Step
from tracklayer.store.history import StoredDelivery, StoredEvent
from tracklayer.web.api.parameters import write_cursor

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list, newest first; `next_cursor` asks for the next one, null after the last."""

    data: list[T]
    next_cursor: str | None = None


class DestinationView(msgspec.Struct, frozen=True, kw_only=True):
    """A destination at its current version; never a secret."""

    id: str
    name: str
    type: str
    status: str
    version: int
    transport: Transport
    signing: dict[str, Any] | None
    filter: dict[str, Any]
    template: str | None
    on_missing: str
    body_schema: dict[str, Any] | None
    retry: Retry
    success: Success | None
    rate_limit: RateLimit | None
    consent: Consent | None
    ordering: Literal["per_user"] | None
    created_at: str
    updated_at: str
    warnings: list[str] = msgspec.field(default_factory=list)


def destination_view(destination: Destination, now: float, warnings: Sequence[str] = ()) -> DestinationView:
    """A destination as it is at `now`, with what a person should know about it."""
    record, config = destination.record, destination.plan.config
    until = record.previous_until
    overlap = rfc3339(until) if until is not None and now < until else None
    return DestinationView(
        id=record.id,
        name=config.name,
        type=config.type,
        status=record.status.value,
        version=record.version,
        transport=config.transport,
        signing=signing_view(config, destination.signing_secret, overlap),
        filter=config.filter,
        template=config.template,
        on_missing=config.on_missing,
        body_schema=config.body_schema,
        retry=config.retry,
        success=config.success,
        rate_limit=config.rate_limit,
        consent=config.consent,
        ordering=config.ordering,
        created_at=rfc3339(record.created_at),
        updated_at=rfc3339(record.updated_at),
        warnings=list(warnings),
    )


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a destination, and what it changed of the one before (null for the first)."""

    version: int
    author: str
    note: str | None
    created_at: str
    config: dict[str, Any]
    changes: list[Change] | None


def version_view(version: VersionRecord, before: VersionRecord | None) -> VersionView:
    """A version with its configuration, beside the version before it."""
    return VersionView(
        version=version.version,
        author=version.author,
        note=version.note,
        created_at=rfc3339(version.created_at),
        config=config_json(version.config),
        changes=changes(config_json(before.config), config_json(version.config)) if before else None,
    )


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """The canonical event, and whether it was a test."""

    event_id: str
    event_name: str
    occurred_at: str
    received_at: str
    platform: str | None
    segment: list[str]
    user_data: dict[str, Any]
    properties: dict[str, Any]
    context: dict[str, Any]
    consent: dict[str, Any]
    test: bool


def event_view(stored: StoredEvent) -> EventView:
    """An event of the store."""
    return EventView(**event_fields(stored.event), test=stored.test)


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one destination, and where it stands."""

    id: str
    event_id: str
    event_name: str
    destination_id: str
    destination_version: int
    state: str
    reason: str | None
    code: int | None  # the last answer's status
    attempt_count: int
    test: bool
    created_at: str
    updated_at: str
    due_at: str | None  # of a pending one


def delivery_fields(delivery: StoredDelivery, engine: Engine) -> dict[str, Any]:
    """What every view of a delivery shows."""
    state = delivery.state
    if state is DeliveryState.PENDING and engine.is_sending(delivery.destination_id, delivery.id):
        state = DeliveryState.SENDING
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_name": delivery.event_name,
        "destination_id": delivery.destination_id,
        "destination_version": delivery.version,
        "state": state.value,
        "reason": delivery.reason,
        "code": delivery.status_code,
        "attempt_count": delivery.attempts,
        "test": delivery.test,
        "created_at": rfc3339(delivery.created_at),
        "updated_at": rfc3339(delivery.updated_at),
        "due_at": rfc3339(delivery.due_at) if delivery.state is DeliveryState.PENDING else None,
    }


def delivery_view(delivery: StoredDelivery, engine: Engine) -> DeliveryView:
    """A row of a list."""
    return DeliveryView(**delivery_fields(delivery, engine))


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it went out, secrets masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


def request_view(kept: KeptRequest | None) -> RequestView | None:
    """A kept request."""
    if kept is None:
        return None
    body = None if kept.body is None else kept.body.decode(errors="replace")
    return RequestView(method=kept.method, url=kept.url, headers=dict(kept.headers), body=body)


class ResponseView(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver answered."""

    status: int
    headers: dict[str, str]
    body: str
    truncated: bool = False


def response_view(attempt: Attempt | None) -> ResponseView | None:
    """The answer of an attempt, None where there was none."""
    if attempt is None or attempt.status_code is None:
        return None
    record = attempt.record
    return ResponseView(
        status=attempt.status_code, headers=dict(record.headers), body=record.body, truncated=record.truncated
    )


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """Why there was no answer, or nothing to send."""

    kind: str
    detail: str


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request made for a delivery."""

    number: int
    destination_version: int
    started_at: str
    latency_ms: float
    outcome: str
    rule: str
    status: int | None
    error: ErrorView | None
    response: ResponseView | None
    timings: dict[str, float | None]


def attempt_view(attempt: Attempt) -> AttemptView:
    """An attempt with its answer."""
    timings = attempt.record.timings
    error = ErrorView(kind=attempt.error_kind, detail=attempt.error or "") if attempt.error_kind else None
    return AttemptView(
        number=attempt.number,
        destination_version=attempt.version,
        started_at=rfc3339(attempt.started_at),
        latency_ms=round(timings.total_ms, 3),
        outcome=attempt.action,
        rule=attempt.rule,
        status=attempt.status_code,
        error=error,
        response=response_view(attempt),
        timings=msgspec.structs.asdict(timings),
    )


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its value."""

    name: str
    hint: str
    created_at: str
    updated_at: str
    used_by: list[str]


def secret_view(secret: SealedSecret, used_by: list[str]) -> SecretView:
    """A secret's name and hint."""
    return SecretView(
        name=secret.name,
        hint=secret.hint,
        created_at=rfc3339(secret.created_at),
        updated_at=rfc3339(secret.updated_at),
        used_by=used_by,
    )


class KeyView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An API key; `key` itself only in the answer that made it."""

    id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: str
    key: str | None = None


def key_view(record: ApiKey, key: str | None = None) -> KeyView:
    """A key's record."""
    return KeyView(
        id=record.id,
        name=record.name,
        hint=record.hint,
        scopes=sorted(record.scopes),
        created_at=rfc3339(record.created_at),
        key=key,
    )


class SuppressionView(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's rule that keeps events from a destination."""

    id: str
    destination_id: str
    filter: dict[str, Any]
    reason: str
    author: str
    created_at: str
    until: str | None


def suppression_view(record: Suppression) -> SuppressionView:
    """A suppression."""
    return SuppressionView(
        id=record.id,
        destination_id=record.destination_id,
        filter=record.filter,
        reason=record.reason,
        author=record.author,
        created_at=rfc3339(record.created_at),
        until=None if record.until is None else rfc3339(record.until),
    )


class ExplanationView(msgspec.Struct, frozen=True, kw_only=True):
    """One destination's part in an event's fate."""

    destination_id: str
    name: str
    status: str
    version: int
    matched: bool
    reason: str
    steps: list[Step]
    delivery: DeliveryView | None


def explanation_view(explanation: Explanation, engine: Engine) -> ExplanationView:
    """An explanation."""
    destination, delivery = explanation.destination, explanation.delivery
    return ExplanationView(
        destination_id=destination.id,
        name=destination.plan.config.name,
        status=destination.record.status.value,
        version=destination.record.version,
        matched=explanation.matched,
        reason=explanation.reason,
        steps=explanation.steps,
        delivery=delivery_view(delivery, engine) if delivery else None,
    )


def page(rows: list[T], keys: list[str], limit: int) -> Page[T]:
    """A page of at most `limit` rows out of up to one more, which tells that there is a next one."""
    more = len(rows) > limit
    return Page(data=rows[:limit], next_cursor=write_cursor(keys[limit - 1]) if more else None)


def event_json(stored: StoredEvent) -> dict[str, Json]:
    """An event as plain values."""
    return {**event_fields(stored.event), "test": stored.test}
