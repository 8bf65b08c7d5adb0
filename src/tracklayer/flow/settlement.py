"""From an attempt to the delivery's next state: delivered, pending until its next due time, or dead."""

from __future__ import annotations

from tracklayer.catalog import Destination
from tracklayer.delivery.retry import next_due
from tracklayer.flow.attempt import Attempted, Attempter
from tracklayer.model.delivery import DeliveryState, Failure, Response
from tracklayer.model.work import Attempt, AttemptRecord, Settlement, Work
from tracklayer.ports import Rng

LONGEST_DETAIL = 300  # characters
BODY_OF_A_SUCCESS = 2048  # characters of a delivered answer's body that are kept; of a failed one, all that was read


def settle(
    work: Work,
    destination: Destination,
    attempted: Attempted,
    attempter: Attempter,
    rng: Rng,
    *,
    note: str | None = None,
) -> Settlement:
    """What to write after an attempt of live traffic; `note` is to be known of what was sent."""
    verdict = attempted.verdict
    due_at = attempted.finished_at
    retries = work.retries
    reason = None
    state = DeliveryState.DELIVERED
    if verdict.action != "delivered":
        state, reason = DeliveryState.DEAD, _because(attempted)
    if verdict.action == "retry":
        due = next_due(destination.plan.retry, work.retries, attempted.finished_at, rng, verdict.retry_after)
        if due is None:
            reason = f"gave up after {attempted.number} attempts: {verdict.rule}"
        else:
            state, due_at, retries = DeliveryState.PENDING, due, work.retries + 1
    reason = "; ".join(filter(None, (reason, note))) or None
    return _settlement(work, destination, attempted, attempter, state, reason, due_at, retries)


def _because(attempted: Attempted) -> str:
    """The rule that made a delivery dead; of what could not even be sent with what was wrong."""
    result, rule = attempted.result, attempted.verdict.rule
    if isinstance(result, Failure) and result.kind in ("render", "validate"):
        return f"{rule}: {result.detail[:LONGEST_DETAIL]}"
    return rule


def settle_test(
    work: Work, destination: Destination, attempted: Attempted, attempter: Attempter, *, note: str | None = None
) -> Settlement:
    """What to write after a synthetic test's one attempt: delivered, or dead at once."""
    verdict = attempted.verdict
    delivered = verdict.action == "delivered"
    state = DeliveryState.DELIVERED if delivered else DeliveryState.DEAD
    reason = note if delivered else "; ".join(filter(None, (f"a test is not retried: {_because(attempted)}", note)))
    return _settlement(work, destination, attempted, attempter, state, reason, attempted.finished_at, 0)


def stopped(work: Work, destination: Destination, rule: str, now: float) -> Settlement:
    """What to write when a rule keeps the delivery from being sent."""
    return Settlement(
        delivery_id=work.delivery_id,
        state=DeliveryState.SUPPRESSED,
        reason=rule,
        version=destination.record.version,
        attempts=work.attempts,
        retries=work.retries,
        now=now,
        due_at=now,
    )


def _settlement(
    work: Work,
    destination: Destination,
    attempted: Attempted,
    attempter: Attempter,
    state: DeliveryState,
    reason: str | None,
    due_at: float,
    retries: int,
) -> Settlement:
    keeps = state is not DeliveryState.DELIVERED or work.test
    kept = attempter.keep(attempted.prepared, attempted.started_at) if keeps and attempted.prepared else None
    return Settlement(
        delivery_id=work.delivery_id,
        state=state,
        reason=reason,
        version=destination.record.version,
        attempts=attempted.number,
        retries=retries,
        now=attempted.finished_at,
        due_at=due_at,
        attempt=_attempt(destination, attempted),
        kept=kept,
    )


def _attempt(destination: Destination, attempted: Attempted) -> Attempt:
    result, verdict = attempted.result, attempted.verdict
    failure = result if isinstance(result, Failure) else None
    return Attempt(
        number=attempted.number,
        version=destination.record.version,
        started_at=attempted.started_at,
        action=verdict.action,
        rule=verdict.rule,
        status_code=None if failure else result.status,  # type: ignore[union-attr]
        error_kind=failure.kind if failure else None,
        error=failure.detail if failure else None,
        record=_record(result, verdict.action == "delivered"),
    )


def _record(result: Response | Failure, delivered: bool) -> AttemptRecord:
    if isinstance(result, Failure):
        return AttemptRecord(timings=result.timings)
    body = result.body.decode(errors="replace")
    return AttemptRecord(
        timings=result.timings,
        headers=result.headers,
        body=body[:BODY_OF_A_SUCCESS] if delivered else body,
        truncated=result.truncated or (delivered and len(body) > BODY_OF_A_SUCCESS),
    )
