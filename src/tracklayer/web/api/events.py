"""`/v1/events`: taking events in, and reading them back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from tracklayer.errors import NotFound, TrackLayerError
from tracklayer.model.event import Event
from tracklayer.model.moment import rfc3339
from tracklayer.model.work import Accepted
from tracklayer.service import Service
from tracklayer.sources.native import parse_batch, parse_event
from tracklayer.web.api.views import (
    LARGEST_PAGE,
    PAGE,
    DeliveryView,
    EventView,
    ExplanationView,
    Page,
    delivery_view,
    event_view,
    explanation_view,
    page,
    read_cursor,
)
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest
from tracklayer.web.problems import problem_fields

Limit = Annotated[int, Parameter(ge=1, le=LARGEST_PAGE, description="How many rows a page has at the most.")]


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event."""

    id: str
    received_at: str
    dedup_status: str


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event of a batch."""

    id: str | None
    status: str
    error: dict[str, Any] | None = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch; `results` is in the order of the request."""

    batch_id: str
    accepted: int
    duplicates: int
    rejected: int
    results: list[BatchItem]


class EventDetail(EventView, frozen=True, kw_only=True):
    """An event with its deliveries."""

    deliveries: list[DeliveryView]


class EventExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Every destination's part in an event's fate."""

    event_id: str
    destinations: list[ExplanationView]


class EventsController(Controller):
    """Events in and out."""

    path = "/v1/events"
    tags = ("events",)

    @post("/", status_code=200, guards=[requires("events:write")])
    async def accept(self, request: ApiRequest, service: Service) -> EventAnswer:
        """Take one event in; answered once it and its deliveries are durable."""
        body, now = await request.body(), service.clock.now()
        event = parse_event(body, now=now, new_id=service.ids.event_uuid, limits=service.input_limits)
        (answer,) = await service.ingest.accept(caller(request.scope).workspace_id, [event], now=now)
        return EventAnswer(id=event.event_id, received_at=rfc3339(answer.received_at), dedup_status=_word(answer))

    @post(
        "/batch",
        status_code=202,
        guards=[requires("events:write")],
        responses={202: ResponseSpec(BatchAnswer, description="Durable; see each item's own status.")},
    )
    async def accept_batch(self, request: ApiRequest, service: Service) -> BatchAnswer:
        """Take up to 500 events in; a bad one does not spoil the good ones."""
        body, now = await request.body(), service.clock.now()
        parsed = parse_batch(body, now=now, new_id=service.ids.event_uuid, limits=service.input_limits)
        events = [each for each in parsed if isinstance(each, Event)]
        workspace_id = caller(request.scope).workspace_id
        stored = iter(await service.ingest.accept(workspace_id, events, now=now) if events else [])
        results = [_item(each, stored) for each in parsed]
        statuses = [result.status for result in results]
        service.metrics.events.labels("rejected").inc(statuses.count("rejected"))
        return BatchAnswer(
            batch_id=service.ids.new("bat"),
            accepted=statuses.count("accepted"),
            duplicates=statuses.count("duplicate"),
            rejected=statuses.count("rejected"),
            results=results,
        )

    @get("/", guards=[requires("events:read")])
    async def all(
        self, request: ApiRequest, service: Service, limit: Limit = PAGE, cursor: str | None = None
    ) -> Page[EventView]:
        """Events, newest first."""
        workspace_id = caller(request.scope).workspace_id
        rows = await service.history.events(workspace_id, limit=limit + 1, before=read_cursor(cursor))
        return page([event_view(row) for row in rows], [row.pk for row in rows], limit)

    @get("/{event_id:str}", guards=[requires("events:read")])
    async def one(self, request: ApiRequest, service: Service, event_id: str) -> EventDetail:
        """One event with its deliveries."""
        stored = await service.history.event(caller(request.scope).workspace_id, event_id)
        if stored is None:
            raise NotFound(f"there is no event {event_id!r} in this workspace")
        deliveries = await service.history.deliveries_of(stored.pk)
        return EventDetail(
            **msgspec.structs.asdict(event_view(stored)),
            deliveries=[delivery_view(each, service.engine) for each in deliveries],
        )

    @get("/{event_id:str}/explain", guards=[requires("events:read")])
    async def explain(self, request: ApiRequest, service: Service, event_id: str) -> EventExplanation:
        """For every destination: matched or not, and why, step by step."""
        stored, explanations = await service.explain.event(caller(request.scope).workspace_id, event_id)
        return EventExplanation(
            event_id=stored.event.event_id,
            destinations=[explanation_view(each, service.engine) for each in explanations],
        )


def _word(answer: Accepted) -> str:
    return "duplicate" if answer.duplicate else "accepted"


def _item(parsed: Event | TrackLayerError, stored: Any) -> BatchItem:
    if isinstance(parsed, TrackLayerError):
        return BatchItem(id=None, status="rejected", error=problem_fields(parsed))
    return BatchItem(id=parsed.event_id, status=_word(next(stored)))
