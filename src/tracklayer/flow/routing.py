"""Which destinations an event goes to, and what keeps it from one: filter → consent → suppression."""

from __future__ import annotations

import msgspec

from tracklayer.catalog import Destination, Tenant
from tracklayer.model.event import Event, event_fields
from tracklayer.pipeline.consent import evaluate_consent


class Routed(msgspec.Struct, frozen=True):
    """One destination that the event matches; `suppressed` says why it is not sent all the same."""

    destination: Destination
    suppressed: str | None


def route(tenant: Tenant, event: Event, now: float) -> list[Routed]:
    """The destinations that want this event. Drafts are not in a workspace's routes; paused ones are."""
    matched = tenant.routes.route(event_fields(event))
    return [Routed(destination, stopped_by(destination, event, now)) for destination in matched]


def stopped_by(destination: Destination, event: Event, now: float) -> str | None:
    """The rule that keeps the event from this destination at `now`: consent, or an operator's suppression."""
    policy = destination.plan.config.consent
    if policy is not None:
        verdict = evaluate_consent(policy, event.consent)
        if not verdict.allowed:
            return f"consent: {verdict.reason}"
    if destination.suppressions:
        suppression = destination.suppression(event_fields(event), now)
        if suppression is not None:
            return f"suppression {suppression.id}: {suppression.reason}"
    return None
