"""`/v1/events`: reading events back. Taking them in is `web/ingest_app.py`."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote

import msgspec
from litestar import Controller, get
from litestar.params import Parameter

from tracklayer.errors import NotFound
from tracklayer.service import Service
from tracklayer.web.api.parameters import PAGE, Cursor, Limit, read_cursor, write_cursor
from tracklayer.web.api.views import (
    DeliveryView,
    EventView,
    ExplanationView,
    Page,
    delivery_view,
    event_view,
    explanation_view,
)
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest

User = Annotated[str | None, Parameter(description="An external_id, anonymous_id, e-mail address or phone, whole.")]


EVENTS = "/v1/events/"


def path_with_exact_ids(raw_path: bytes) -> str:
    """A path in which `%2F` and `%25` are still encoded: routing would take the slash of an id for the path's own."""
    kept = re.sub("%(?=25|2[Ff])", "%25", raw_path.decode("latin-1").partition("?")[0])
    return unquote(kept)


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
        self,
        request: ApiRequest,
        service: Service,
        limit: Limit = PAGE,
        cursor: Cursor = None,
        event_name: str | None = None,
        user: User = None,
    ) -> Page[EventView]:
        """Events, newest first. With filters a page may be short, or empty, while others follow."""
        found = await service.search.events(
            caller(request.scope).workspace_id,
            event_name=event_name,
            user=user,
            limit=limit,
            before=read_cursor(cursor, "evt_"),
        )
        after = None if found.next is None else write_cursor(found.next)
        return Page(data=[event_view(each) for each in found.events], next_cursor=after)

    @get("/{event_id:str}", guards=[requires("events:read")])
    async def one(self, request: ApiRequest, service: Service, event_id: str) -> EventDetail:
        """One event with its deliveries."""
        event_id = unquote(event_id)
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
        stored, explanations = await service.explain.event(caller(request.scope).workspace_id, unquote(event_id))
        return EventExplanation(
            event_id=stored.event.event_id,
            destinations=[explanation_view(each, service.engine) for each in explanations],
        )
