"""What is told of an attempt: its counts, and its one wide log line."""

from __future__ import annotations

import structlog

from tracklayer.flow.attempt import Attempted
from tracklayer.flow.counting import Counting
from tracklayer.metrics import Metrics
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Settlement, Work

log = structlog.get_logger("tracklayer.engine")


def report(metrics: Metrics, counting: Counting, work: Work, attempted: Attempted, settlement: Settlement) -> None:
    """Count an attempt of live traffic, and log it."""
    counters = metrics.of(work.destination_id)
    seconds = attempted.finished_at - attempted.started_at
    counters.attempt_seconds.observe(seconds)
    if settlement.state is DeliveryState.DELIVERED:
        action = "delivered"
        counters.delivered += 1
        counters.delivery_seconds.observe(max(0.0, attempted.finished_at - work.created_at))
    elif settlement.state is DeliveryState.PENDING:
        action = "retry"
        counters.retried += 1
    else:
        action = "dead"
        counters.dead += 1
    counting.attempt(work.destination_id, action, attempted.result, seconds, attempted.finished_at)
    log_attempt(work, attempted, settlement)


def report_suppressed(metrics: Metrics, counting: Counting, destination_id: str, at: float) -> None:
    """Count a delivery that a rule kept from being sent."""
    metrics.of(destination_id).suppressed += 1
    counting.suppressed(destination_id, at)


def log_attempt(work: Work, attempted: Attempted, settlement: Settlement) -> None:
    """Write an attempt's one wide log line; a synthetic test's too."""
    attempt = settlement.attempt
    assert attempt is not None  # noqa: S101 (an attempt was made)
    log.info(
        "attempt",
        delivery_id=work.delivery_id,
        event_id=work.event.event_id,
        event_name=work.event.event_name,
        destination_id=work.destination_id,
        version=attempt.version,
        attempt=attempt.number,
        state=settlement.state.value,
        status=attempt.status_code,
        error=attempt.error,
        rule=attempt.rule,
        latency_ms=round((attempted.finished_at - attempted.started_at) * 1000, 3),
        due_at=settlement.due_at if settlement.state is DeliveryState.PENDING else None,
        test=work.test,
    )
