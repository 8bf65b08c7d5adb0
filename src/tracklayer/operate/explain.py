"""Why an event was, or was not, sent: every destination, step by step."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tracklayer.catalog import Catalog, Destination, Plan, stored_plan
from tracklayer.errors import NotFound
from tracklayer.flow.engine import Engine
from tracklayer.flow.foreseeing import Foreseeing
from tracklayer.flow.routing import Admission, ConsentNow, admit
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationConfig, DestinationStatus
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.moment import rfc3339
from tracklayer.operate.audit import Audit
from tracklayer.pipeline.consent import Remembered
from tracklayer.ports import Clock
from tracklayer.store import Configuration, History
from tracklayer.store.history import StoredDelivery, StoredEvent

_MANY = 100  # entries of the audit trail that are looked at


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
    """Explains from what is stored and what is configured now, or was when the event came."""

    def __init__(
        self,
        catalog: Catalog,
        configuration: Configuration,
        history: History,
        engine: Engine,
        foreseeing: Foreseeing,
        consent_now: ConsentNow,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._audit = audit
        self._catalog = catalog
        self._configuration = configuration
        self._engine = engine
        self._foreseeing = foreseeing
        self._history = history
        self._consent_now = consent_now
        self._clock = clock

    async def event(self, workspace_id: str, event_id: str) -> tuple[StoredEvent, list[Explanation]]:
        """The event, and every destination of its workspace, with those that had a delivery of it and are deleted.

        Raises `NotFound`.
        """
        stored = await self._history.event(workspace_id, event_id)
        if stored is None:
            raise NotFound(
                f"there is no event {event_id!r} in this workspace: if it was sent, /v1/rejected has what made no event"
            )
        remembered = await self._consent_now(workspace_id, stored.event)
        deliveries = {each.destination_id: each for each in await self._history.deliveries_of(stored.pk)}
        standing = self._catalog.tenant(workspace_id).destinations
        destinations = [*standing.values(), *await self._deleted(deliveries.keys() - standing.keys())]
        return stored, [await self._explain(each, stored, remembered, deliveries.get(each.id)) for each in destinations]

    async def _explain(
        self, destination: Destination, stored: StoredEvent, remembered: Remembered, delivery: StoredDelivery | None
    ) -> Explanation:
        """By the configuration of today. Where that does not tell what happened, by the version of when it did."""
        now = self._clock.now()
        held_until = self._engine.held_until(destination.id)
        found = _explain(destination, stored, remembered, delivery, now, held_until)
        if found.matched is (delivery is not None):
            return found
        if found.matched and await self._was_draft(destination, stored.received_at):
            return _of_a_draft(found)
        then = await self._as_it_was(destination, stored.received_at)
        if then is None:
            return found
        was = _explain(then, stored, remembered, delivery, now, held_until)
        version = Step(
            step="version",
            passed=True,
            reason=f"version {then.record.version} was in force when the event was received; "
            f"by now it is {destination.record.version}",
        )
        reason = was.reason if delivery else f"version {then.record.version}, in force then: {was.reason}"
        return msgspec.structs.replace(was, destination=destination, reason=reason, steps=[version, *was.steps])

    async def _was_draft(self, destination: Destination, at: float) -> bool:
        """Whether it was a draft at a moment and is none any more: the next change of its status since tells."""
        entries = await self._audit.page(destination.record.workspace_id, limit=_MANY, target=destination.id)
        before = [each.detail["before"] for each in entries if each.at > at and "before" in each.detail]
        return bool(before) and before[-1] == DestinationStatus.DRAFT.value

    async def _as_it_was(self, destination: Destination, at: float) -> Destination | None:
        """A destination with the configuration of a moment; None where it is today's, or is not known any more."""
        if not destination.record.created_at <= at < destination.record.updated_at:
            return None
        saved = await self._configuration.versions(destination.id)
        version = next((each for each in saved if each.created_at <= at), None)
        if version is None or version.version == destination.record.version:
            return None
        record = msgspec.structs.replace(destination.record, version=version.version, config=version.config)
        plan, why = self._read(version.config)
        return msgspec.structs.replace(destination, record=record, plan=plan, unusable=why)

    async def _deleted(self, ids: Iterable[str]) -> list[Destination]:
        found = [await self._configuration.destination(each) for each in sorted(ids)]
        old = [(record, *self._read(record.config)) for record in found if record is not None]
        return [
            Destination(record=record, plan=plan, signing_secret=None, previous_secret=None, unusable=why)
            for record, plan, why in old
        ]

    def _read(self, config: DestinationConfig) -> tuple[Plan, str | None]:
        """The plan of an old configuration, and why its filter cannot be read any more: nothing else decides here."""
        plan, why = stored_plan(config, self._catalog.limits)
        return plan, why if _is_of_filter(why) else None

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
    held_until: float | None,
) -> Explanation:
    admission = admit(destination, stored.event, now, remembered)
    steps, matched = _steps(destination, stored.event, admission, stored.received_at, now)
    waits = delivery is not None and delivery.state is DeliveryState.PENDING
    if waits and held_until is not None:
        steps.append(_hold_step(held_until))
    passed = all(step.passed for step in steps)
    steps.append(_delivery_step(delivery, passed, _waits_for(destination, delivery, now) if waits else None))
    reason = steps[-1].reason if delivery else next((s.reason for s in steps if not s.passed), steps[-1].reason)
    return Explanation(
        destination=destination, matched=matched, reason=reason, steps=steps, delivery=delivery, admission=admission
    )


def _of_a_draft(found: Explanation) -> Explanation:
    reason = "the destination was a draft when the event was received: events were not routed to it"
    first, *others, last = found.steps
    status = msgspec.structs.replace(first, passed=False, reason=reason)
    made = msgspec.structs.replace(last, reason="no delivery was made")
    return msgspec.structs.replace(found, reason=reason, steps=[status, *others, made])


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
    if destination.record.deleted_at is not None:
        when = rfc3339(destination.record.deleted_at)
        return Step(step="status", passed=False, reason=f"the destination was deleted at {when}")
    if destination.record.created_at > received_at:
        return Step(step="status", passed=False, reason="the destination was created after the event was received")
    if destination.unusable is not None and not _is_of_filter(destination.unusable):
        reason = f"the destination cannot be used, and its deliveries wait: {destination.unusable}"
        return Step(step="status", passed=False, reason=reason)
    reasons = {
        DestinationStatus.ACTIVE: "the destination is active",
        DestinationStatus.PAUSED: "the destination is paused: its deliveries wait",
        DestinationStatus.DRAFT: "the destination is a draft: events are not routed to it",
    }
    return Step(step="status", passed=status is DestinationStatus.ACTIVE, reason=reasons[status])


def _is_of_filter(why: str | None) -> bool:
    return why is not None and why.startswith("/filter")


def _filter_steps(destination: Destination, event: Event) -> list[Step]:
    if _is_of_filter(destination.unusable):
        return [Step(step="filter", passed=True, reason=f"it cannot be read any more: {destination.unusable}")]
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


def _hold_step(until: float) -> Step:
    reason = (
        f"the receiver asked to wait (Retry-After): nothing is sent before {rfc3339(until)}, "
        "unless the destination is paused and resumed"
    )
    return Step(step="hold", passed=False, reason=reason)


def _waits_for(destination: Destination, delivery: StoredDelivery | None, now: float) -> str:
    """What a delivery that is pending and allowed waits for."""
    if destination.record.status is DestinationStatus.PAUSED:
        return "it waits until the destination is resumed"
    if destination.unusable is not None and not _is_of_filter(destination.unusable):
        return "it waits until the destination is saved otherwise"
    if delivery is not None and delivery.due_at > now:
        return f"its next attempt is due at {rfc3339(delivery.due_at)}"
    limit, config = destination.plan.limit, destination.plan.config
    turns = [f" under the rate limit of {limit.rate:g} a second"] if limit is not None else []
    if config.ordering is not None:
        turns.append(" behind the earlier events of its user")
    return f"it waits for its turn{' and'.join(turns)}"


def _delivery_step(delivery: StoredDelivery | None, passed: bool, waits_for: str | None) -> Step:
    if delivery is None:
        why = ": the destination was a draft then, or stood otherwise (its audit trail tells)" if passed else ""
        return Step(step="delivery", passed=False, reason=f"no delivery was made{why}")
    told = "; ".join(filter(None, (delivery.reason, waits_for)))
    attempts = f"{delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
    return Step(
        step="delivery",
        passed=delivery.state is DeliveryState.DELIVERED,
        reason=f"delivery {delivery.id} is {delivery.state.value} after {attempts}" + (f": {told}" if told else ""),
    )
