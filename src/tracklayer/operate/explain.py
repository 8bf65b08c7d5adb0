"""Why an event was, or was not, sent: every destination, step by step."""

from __future__ import annotations

import msgspec

from tracklayer.catalog import Catalog, Destination
from tracklayer.errors import NotFound
from tracklayer.flow.foreseeing import Foreseeing
from tracklayer.flow.routing import Admission, ConsentNow, admit
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.pipeline.consent import Remembered
from tracklayer.ports import Clock
from tracklayer.store import History
from tracklayer.store.history import StoredDelivery, StoredEvent


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One question on the way, its answer, and why."""

    step: str
    passed: bool
    reason: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One destination's part in an event's fate."""

    destination: Destination
    matched: bool
    reason: str
    steps: list[Step]
    delivery: StoredDelivery | None
    admission: Admission  # what the destination may have of the event


class Explain:
    """Explains from what is stored and what is configured now."""

    def __init__(
        self, catalog: Catalog, history: History, foreseeing: Foreseeing, consent_now: ConsentNow, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._foreseeing = foreseeing
        self._history = history
        self._consent_now = consent_now
        self._clock = clock

    async def event(self, workspace_id: str, event_id: str) -> tuple[StoredEvent, list[Explanation]]:
        """The event, and every destination of its workspace. Raises `NotFound`."""
        stored = await self._history.event(workspace_id, event_id)
        if stored is None:
            raise NotFound(f"there is no event {event_id!r} in this workspace")
        remembered = await self._consent_now(workspace_id, stored.event)
        deliveries = {each.destination_id: each for each in await self._history.deliveries_of(stored.pk)}
        now = self._clock.now()
        return stored, [
            _explain(destination, stored, remembered, deliveries.get(destination.id), now)
            for destination in self._catalog.tenant(workspace_id).destinations.values()
        ]

    async def verdicts(self, workspace_id: str, fields: dict[str, Json]) -> tuple[Event, list[Explanation]]:
        """What every destination would do with an event that is not stored, if it came in now; the event is canonical.

        With all that would be added to it. Nothing is stored or remembered. Raises `Invalid` with a pointer into
        `fields`.
        """
        now = self._clock.now()
        event = await self._foreseeing.event(workspace_id, fields, new_id=lambda: "unstored")
        return event, [
            _foretell(destination, event, now)
            for destination in self._catalog.tenant(workspace_id).destinations.values()
        ]


def _explain(
    destination: Destination,
    stored: StoredEvent,
    remembered: Remembered,
    delivery: StoredDelivery | None,
    now: float,
) -> Explanation:
    admission = admit(destination, stored.event, now, remembered)
    steps, matched = _steps(destination, stored.event, admission, stored.received_at, now)
    steps.append(_delivery_step(delivery))
    reason = steps[-1].reason if delivery else next((s.reason for s in steps if not s.passed), steps[-1].reason)
    return Explanation(
        destination=destination, matched=matched, reason=reason, steps=steps, delivery=delivery, admission=admission
    )


def _foretell(destination: Destination, event: Event, now: float) -> Explanation:
    admission = admit(destination, event, now)
    steps, matched = _steps(destination, event, admission, now, now)
    made = f"a delivery would be made and {admission.redacted or 'sent'}"
    reason = next((step.reason for step in steps if not step.passed), made)
    return Explanation(
        destination=destination, matched=matched, reason=reason, steps=steps, delivery=None, admission=admission
    )


def _steps(
    destination: Destination, event: Event, admission: Admission, received_at: float, now: float
) -> tuple[list[Step], bool]:
    """The questions that routing asks, and whether the filter matches."""
    steps = [_status_step(destination, received_at), *_filter_steps(destination, event)]
    matched = all(step.passed for step in steps if step.step.startswith("filter"))
    if matched:
        steps += [_consent_step(admission), _suppression_step(destination, event, now)]
    return steps, matched


def _status_step(destination: Destination, received_at: float) -> Step:
    status = destination.record.status
    if destination.record.created_at > received_at:
        return Step(step="status", passed=False, reason="the destination was created after the event was received")
    reasons = {
        DestinationStatus.ACTIVE: "the destination is active",
        DestinationStatus.PAUSED: "the destination is paused: its deliveries wait",
        DestinationStatus.DRAFT: "the destination is a draft: events are not routed to it",
    }
    return Step(step="status", passed=status is DestinationStatus.ACTIVE, reason=reasons[status])


def _filter_steps(destination: Destination, event: Event) -> list[Step]:
    found = destination.plan.filter.explain(event_fields(event))
    if not found:
        return [Step(step="filter", passed=True, reason="there is no filter: every event matches")]
    return [Step(step=f"filter {each.path}", passed=each.matched, reason=each.reason) for each in found]


def _consent_step(admission: Admission) -> Step:
    verdict = admission.consent
    reason = verdict.redaction or verdict.reason or "nothing is required that is missing"
    return Step(step="consent", passed=verdict.allowed, reason=reason)


def _suppression_step(destination: Destination, event: Event, now: float) -> Step:
    suppression = destination.suppression(event_fields(event), now)
    if suppression is None:
        return Step(step="suppression", passed=True, reason="no suppression covers this event")
    return Step(step="suppression", passed=False, reason=f"suppression {suppression.id}: {suppression.reason}")


def _delivery_step(delivery: StoredDelivery | None) -> Step:
    if delivery is None:
        return Step(step="delivery", passed=False, reason="no delivery was made")
    tail = f": {delivery.reason}" if delivery.reason else ""
    return Step(
        step="delivery",
        passed=delivery.state is DeliveryState.DELIVERED,
        reason=f"delivery {delivery.id} is {delivery.state.value} after {delivery.attempts} attempts{tail}",
    )
