"""`/v1/consent/test`: what consent makes of an event, for every destination, before anything is sent."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Controller, post

from tracklayer.errors import at
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.moment import rfc3339
from tracklayer.operate.explain import Explanation
from tracklayer.pipeline.consent import consent_now
from tracklayer.service import Service
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest


class ConsentTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as a source would send it."""

    event: dict[str, Any]


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """Where one category stands: `by` is event, gpc, profile, or default with the region (`default:EEA`)."""

    state: str
    by: str
    at: str | None


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of the event at one destination.

    `unrouted`: its filter does not match, or it is a draft. `redact`: it goes without `redacted`.
    """

    destination_id: str
    name: str
    status: str
    verdict: Literal["send", "redact", "suppress", "unrouted"]
    reason: str
    redacted: list[str]


class ConsentVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The user's consent, and what every destination makes of it."""

    event_name: str
    consent: dict[str, StandingView]
    destinations: list[VerdictView]


class ConsentController(Controller):
    """Consent."""

    path = "/v1/consent"
    tags = ("events",)

    @post("/test", guards=[requires("events:read")], status_code=200)
    async def test(self, request: ApiRequest, service: Service, data: ConsentTrial) -> ConsentVerdicts:
        """What every destination would do with this event. Nothing is stored, remembered or sent.

        With what is remembered of its user, and the workspace's defaults.
        """
        with at("event"):
            event, found = await service.explain.verdicts(caller(request.scope).workspace_id, data.event)
        standings = consent_now(event, {})
        return ConsentVerdicts(
            event_name=event.event_name,
            consent={
                category: StandingView(state=each.state, by=each.by, at=None if each.at is None else rfc3339(each.at))
                for category, each in standings.items()
            },
            destinations=[_verdict(each) for each in found],
        )


def _verdict(explanation: Explanation) -> VerdictView:
    destination, admission = explanation.destination, explanation.admission
    verdict: Literal["send", "redact", "suppress", "unrouted"] = "send"
    if not explanation.matched or destination.record.status is DestinationStatus.DRAFT:
        verdict = "unrouted"
    elif admission.stopped is not None:
        verdict = "suppress"
    elif admission.redacted is not None:
        verdict = "redact"
    return VerdictView(
        destination_id=destination.id,
        name=destination.plan.config.name,
        status=destination.record.status.value,
        verdict=verdict,
        reason=explanation.reason,
        redacted=list(admission.consent.redact) if verdict == "redact" else [],
    )
