"""The rows that accepting and settling write, as the statements of `store.queue` take them."""

from __future__ import annotations

from tracklayer.model.event import encode_json
from tracklayer.model.work import Acceptance, NewDelivery, Settlement
from tracklayer.store.search import user_keys


def event_row(item: Acceptance) -> dict[str, object]:
    return {
        "workspace_id": item.workspace_id,
        "pk": item.pk,
        "event_id": item.event.event_id,
        "event_name": item.event.event_name,
        "received_at": item.received_at,
        "test": item.test,
        "body": item.body,
    }


def user_rows(item: Acceptance) -> list[dict[str, object]]:
    of = {"workspace_id": item.workspace_id, "event_pk": item.pk}
    return [{"user_key": key, **of} for key in user_keys(item.event)]


def delivery_row(item: Acceptance, new: NewDelivery, worker: str) -> dict[str, object]:
    leased = new.lease_until is not None
    return {
        "id": new.id,
        "workspace_id": item.workspace_id,
        "destination_id": new.destination_id,
        "event_pk": item.pk,
        "event_id": item.event.event_id,
        "event_name": item.event.event_name,
        "state": new.state.value,
        "reason": new.reason,
        "test": item.test,
        "as_sent": False,
        "version": new.version,
        "attempts": 0,
        "retries": 0,
        "status_code": None,
        "cause": None,
        "created_at": item.received_at,
        "updated_at": item.received_at,
        "due_at": item.received_at,
        "available_at": new.lease_until if leased else item.received_at,
        "lease_owner": worker if leased else None,
        "order_key": new.order_key,
        "position": None,
    }


def settlement_row(item: Settlement) -> dict[str, object]:
    return {
        "of": item.delivery_id,
        "new_state": item.state.value,
        "new_reason": item.reason,
        "new_version": item.version,
        "new_attempts": item.attempts,
        "new_retries": item.retries,
        "new_status_code": item.attempt.status_code if item.attempt else None,
        "new_cause": item.attempt.cause if item.attempt else None,
        "now": item.now,
        "new_due_at": item.due_at,
    }


def attempt_row(item: Settlement) -> dict[str, object]:
    attempt = item.attempt
    assert attempt is not None  # noqa: S101 (the caller filters)
    return {
        "delivery_id": item.delivery_id,
        "number": attempt.number,
        "version": attempt.version,
        "started_at": attempt.started_at,
        "action": attempt.action,
        "rule": attempt.rule,
        "status_code": attempt.status_code,
        "error_kind": attempt.error_kind,
        "error": attempt.error,
        "record": encode_json(attempt.record),
    }


def kept_row(item: Settlement) -> dict[str, object]:
    kept = item.kept
    assert kept is not None  # noqa: S101 (the caller filters)
    return {
        "delivery_id": item.delivery_id,
        "version": kept.version,
        "method": kept.method,
        "url": kept.url,
        "headers": encode_json(kept.headers),
        "body": kept.body,
        "sealed": kept.sealed,
    }
