"""`/settings/consent`: which destinations would have an event, which without some fields, which not at all, and why."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.moment import parse_rfc3339
from tracklayer.operate.as_told import consent_source, without_known_consent
from tracklayer.operate.explain import Explanation
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages.forms import read_object
from tracklayer.web.console.rendering import render
from tracklayer.web.console.words import pretty, sentence
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

SAMPLE: dict[str, Json] = {
    "event_name": "purchase",
    "user_data": {"external_id": "u_1001", "email": "kim@example.com", "country": "DE"},
    "properties": {"value": 49.9, "currency": "EUR"},
    "context": {"page": {"url": "https://shop.example.com/checkout"}},
    "consent": {"analytics_storage": "granted", "ad_storage": "denied"},
}
"""What stands in the form before anything is typed."""

_BY = {"event": "the event", "gpc": "Global Privacy Control", "profile": "what is remembered of the user"}


class Standing(NamedTuple):
    """Where one category stands, in words."""

    category: str
    state: str
    by: str
    at: float | None  # unix seconds, when it was said


class Verdict(NamedTuple):
    """What one destination would have."""

    destination_id: str
    name: str
    badge: Literal["delivered", "draft", "suppressed", "paused", "skipped"]
    word: str
    told: Explanation

    @property
    def reason(self) -> str:
        """Why; a redaction is why, although nothing keeps the event back."""
        return self.told.admission.redacted or self.told.reason if self.word == "redacted" else self.told.reason


class ConsentPages(Controller):
    """The tester."""

    path = "/settings/consent"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def show(self, request: AnyRequest, service: Service, event: str = "") -> Response[str]:
        """A sample to begin with; with `event`, a stored one as its sender told it, and what would come of it now."""
        if not event:
            return _page(request, pretty(SAMPLE))
        stored = await service.history.event(visitor(request).workspace_id, event)
        if stored is None:
            return _page(request, pretty(SAMPLE), error=Invalid(f"there is no event {event[:100]!r}"))
        return await _tried(request, service, pretty(without_known_consent(stored.event)))

    @post("/", status_code=200)
    async def test(self, request: AnyRequest, service: Service) -> Response[str]:
        """What every destination would do with the event. Nothing is stored, and nothing remembered."""
        return await _tried(request, service, str((await request.form()).get("event", "")))


async def _tried(request: AnyRequest, service: Service, text: str) -> Response[str]:
    try:
        fields = read_object(text, 'an event is an object, such as {"event_name": "purchase"}')
        event, told = await service.explain.verdicts(visitor(request).workspace_id, fields)
    except Invalid as error:
        return _page(request, text, error=error)
    return _page(request, text, event=event, verdicts=[_verdict(each) for each in told])


def _page(
    request: AnyRequest,
    text: str,
    *,
    error: TrackLayerError | None = None,
    event: Event | None = None,
    verdicts: list[Verdict] | None = None,
) -> Response[str]:
    return render(
        request,
        "settings/consent.html",
        status=status_of(error) if error else 200,
        text=text,
        problem=_problem(error),
        event=event,
        event_text=pretty(event_fields(event)) if event else "",
        standings=_standings(event) if event else [],
        verdicts=verdicts or [],
    )


def _problem(error: TrackLayerError | None) -> str | None:
    if error is None:
        return None
    return f"At {error.pointer}: {sentence(error.detail)}" if error.pointer else sentence(error.detail)


def _standings(event: Event) -> list[Standing]:
    found = []
    for category, state in sorted(event.consent.items()):
        by, at = consent_source(event, category)
        kind, _, region = by.partition(":")
        words = f"the default for {'every region' if region == '*' else region}" if region else _BY.get(kind, by)
        found.append(Standing(category, str(state), words, None if at is None else parse_rfc3339(at)))
    return found


def _verdict(told: Explanation) -> Verdict:
    """The filter has the first word, then consent and suppressions, then whether it sends at all."""
    status = told.destination.record.status
    badge, word = _outcome(told, status)
    return Verdict(told.destination.id, told.destination.plan.config.name, badge, word, told)


def _outcome(
    told: Explanation, status: DestinationStatus
) -> tuple[Literal["delivered", "draft", "suppressed", "paused", "skipped"], str]:
    if not told.matched:
        return "skipped", "not routed"
    if status is DestinationStatus.DRAFT:
        return "skipped", "draft"
    if told.admission.stopped is not None:
        return "suppressed", "suppressed"
    if told.admission.redacted:
        return "draft", "redacted"
    return ("paused", "waits") if status is DestinationStatus.PAUSED else ("delivered", "sent")
