"""`/v1/events`: reading events back. Taking them in is `web/ingest_app.py`."""

from __future__ import annotations

import msgspec
from litestar import Controller, get

from tracklayer.errors import NotFound
from tracklayer.service import Service
from tracklayer.web.api.parameters import PAGE, Cursor, Limit, read_cursor
from tracklayer.web.api.views import (
    DeliveryView,
    EventView,
    ExplanationView,
    Page,
    delivery_view,
    event_view,
    explanation_view,
    page,
)
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest


class EventDetail(EventView, frozen=True, kw_only=True):
    """An event with its deliveries."""

    deliveries: list[DeliveryView]


class EventExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Every destination's part in an event's fate."""

    event_id: str
    destinations: list[ExplanationView]


class EventsController(Controller):
    """Events."""

    path = "/v1/events"
    tags = ("events",)

    @get("/", guards=[requires("events:read")])
    async def all(
        self, request: ApiRequest, service: Service, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Page[EventView]:
        """Events, newest first."""
        workspace_id = caller(request.scope).workspace_id
        rows = await service.history.events(workspace_id, limit=limit + 1, before=read_cursor(cursor, "evt_"))
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
