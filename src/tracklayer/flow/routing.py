"""Which destinations an event goes to, and what keeps it, or a part of it, from one: filter → consent → suppression.

Asked when an event comes in, and again before each attempt: what was allowed then may be forbidden by now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from tracklayer.catalog import Destination, Tenant
from tracklayer.model.event import Event, event_fields
from tracklayer.model.work import Work
from tracklayer.pipeline.consent import ConsentVerdict, Remembered, consent_now, evaluate_consent
from tracklayer.pipeline.redaction import redact

ConsentNow: TypeAlias = Callable[[str, Event], Awaitable[Remembered]]
"""(workspace id, event) → what is remembered by now of its user's consent. Raises `Unavailable`."""

NOTHING: Remembered = MappingProxyType({})
FREE = ConsentVerdict(True)  # of a destination without a policy


class Routed(msgspec.Struct, frozen=True):
    """One destination that the event matches; `suppressed` says why it is not sent all the same."""

    destination: Destination
    suppressed: str | None


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination may have of an event."""

    event: Event  # as the destination may see it
    consent: ConsentVerdict
    stopped: str | None = None  # the rule that keeps all of it back

    @property
    def redacted(self) -> str | None:
        """What the event goes without, and why; None: it goes as it is, or not at all."""
        return self.consent.redaction if self.stopped is None else None

    def of(self, work: Work) -> Work:
        """The delivery as it may be sent. A body that was kept has all the fields, so a redacted one is made anew."""
        return msgspec.structs.replace(work, event=self.event, kept=None) if self.redacted else work


def route(tenant: Tenant, event: Event, now: float) -> list[Routed]:
    """The destinations that want this event. Drafts are not in a workspace's routes; paused ones are.

    What is remembered of the user stands on the event by now.
    """
    matched = tenant.routes.route(event_fields(event))
    return [Routed(destination, admit(destination, event, now).stopped) for destination in matched]


async def remembered_for(destination: Destination, event: Event, consent_now: ConsentNow) -> Remembered:
    """What is remembered by now of an event's user; asked only where it decides anything."""
    return await consent_now(destination.record.workspace_id, event) if destination.asks_for_consent else NOTHING


def admit(destination: Destination, event: Event, now: float, remembered: Remembered = NOTHING) -> Admission:
    """What this destination may have of an event at `now`, with what is `remembered` of its user's consent.

    Consent is asked before the operator's suppressions, which see the whole event all the same.
    """
    consent, left = _consented(destination, event, remembered)
    stopped = None if consent.allowed else f"consent: {consent.reason}"
    if stopped is None and destination.suppressions:
        suppression = destination.suppression(event_fields(event), now)
        if suppression is not None:
            stopped = f"suppression {suppression.id}: {suppression.reason}"
    return Admission(event=left, consent=consent, stopped=stopped)


def _consented(destination: Destination, event: Event, remembered: Remembered) -> tuple[ConsentVerdict, Event]:
    """What consent says, and the event without what must not be sent.

    The filter must match what is left: a field that a destination must not know must not decide what it gets either.
    """
    policy = destination.plan.config.consent
    if policy is None:
        return FREE, event
    verdict = evaluate_consent(policy, consent_now(event, remembered))
    if not verdict.redact:
        return verdict, event
    left = redact(event, destination.plan.redaction)
    matches = destination.plan.filter.matches
    if matches(event_fields(event)) and not matches(event_fields(left)):
        reason = f"{verdict.reason}; the filter does not match without {', '.join(verdict.redact)}"
        return ConsentVerdict(False, reason), left
    return verdict, left


def user_of(event: Event) -> str | None:
    """Whose event it is, for the order of a user's events; None: nobody's, and no order holds."""
    for field in ("external_id", "anonymous_id", "email_hash", "phone_hash", "email", "phone"):
        value = event.user_data.get(field)
        if type(value) is str and value:
            return f"{field}:{value}"
    return None
