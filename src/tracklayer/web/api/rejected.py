"""`/v1/rejected`: what was sent in vain."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import Parameter

from tracklayer.model.event import Json, decode_json
from tracklayer.model.moment import rfc3339
from tracklayer.service import Service
from tracklayer.store.rejected import RejectedRecord
from tracklayer.web.api.parameters import PAGE, Cursor, Limit, read_cursor
from tracklayer.web.api.views import Page, page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest

OfSource = Annotated[str | None, Parameter(description="The id of a source; what it sent only.")]


class RejectedView(msgspec.Struct, frozen=True, kw_only=True):
    """A payload that made no event, and why. `pointer` is a place in it, or in the event that it would have made."""

    id: str
    source_id: str | None  # null: the native API
    received_at: str
    code: str
    detail: str
    pointer: str | None
    about: dict[str, Json]  # its type, Shopify's topic and shop; `withheld`: why it is not kept whole


class RejectedDetail(RejectedView, frozen=True, kw_only=True):
    """With the payload: JSON where it is such, else a text."""

    payload: Any


class ReingestedView(msgspec.Struct, frozen=True, kw_only=True):
    """What came of taking it in again; `dedup_status` as `POST /v1/events` answers it."""

    event_id: str
    dedup_status: str


class RejectedController(Controller):
    """Rejected payloads."""

    path = "/v1/rejected"
    tags = ("sources",)

    @get("/", guards=[requires("events:read")])
    async def all(
        self,
        request: ApiRequest,
        service: Service,
        limit: Limit = PAGE,
        cursor: Cursor = None,
        source_id: OfSource = None,
    ) -> Page[RejectedView]:
        """What was rejected, newest first, without the payloads."""
        rows = await service.rejected.page(
            caller(request.scope).workspace_id,
            limit=limit + 1,
            before=read_cursor(cursor, "rej_"),
            source_id=source_id,
        )
        return page([RejectedView(**_fields(each)) for each in rows], [each.id for each in rows], limit)

    @get("/{rejected_id:str}", guards=[requires("events:read")])
    async def one(self, request: ApiRequest, service: Service, rejected_id: str) -> RejectedDetail:
        """One with its payload."""
        record = await service.rejected.get(caller(request.scope).workspace_id, rejected_id)
        return RejectedDetail(**_fields(record), payload=_payload(record.payload))

    @post("/{rejected_id:str}/reingest", guards=[requires("events:write")], status_code=200)
    async def reingest(self, request: ApiRequest, service: Service, rejected_id: str) -> ReingestedView:
        """Take it in by today's mapping and rules; refused with what is still wrong, as an event would be."""
        key = caller(request.scope)
        made = await service.rejected.reingest(key.workspace_id, rejected_id, author=key.name)
        return ReingestedView(event_id=made.event_id, dedup_status="duplicate" if made.duplicate else "accepted")

    @delete("/{rejected_id:str}", guards=[requires("events:write")])
    async def discard(self, request: ApiRequest, service: Service, rejected_id: str) -> None:
        """Let it go."""
        key = caller(request.scope)
        await service.rejected.discard(key.workspace_id, rejected_id, author=key.name)


def _fields(record: RejectedRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "source_id": record.source_id,
        "received_at": rfc3339(record.received_at),
        "code": record.code,
        "detail": record.detail,
        "pointer": record.pointer,
        "about": record.about,
    }


def _payload(raw: bytes) -> Json:
    try:
        return decode_json(raw)
    except (ValueError, ArithmeticError, RecursionError):
        return raw.decode(errors="replace")
