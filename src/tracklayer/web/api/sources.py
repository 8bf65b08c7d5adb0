"""`/v1/sources`: who may send what. Where they send to is `web/source_app.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post

from tracklayer.model.event import Json
from tracklayer.model.moment import rfc3339
from tracklayer.operate.source_counting import DAY
from tracklayer.operate.sources import Source
from tracklayer.service import Service
from tracklayer.store.sources import SourceType
from tracklayer.web.api.views import Page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest, ApiResponse


class SourceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source to be made; `settings` are its type's, `settings.secret` what the sender of webhooks signs with."""

    type: str
    name: str
    settings: dict[str, Any] = {}


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; `settings` are replaced as a whole."""

    name: str | None = None
    enabled: bool | None = None
    settings: dict[str, Any] | None = None


class KeyDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new secret of the sender's; without it one is made here."""

    secret: str | None = None


class DayView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what came on one day (UTC)."""

    day: str
    accepted: int
    duplicate: int
    rejected: int


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """A source. `key` is the write key or the shared secret, in the answer that makes it only."""

    id: str
    type: SourceType
    name: str
    enabled: bool
    key_hint: str
    url: str
    settings: dict[str, Json]
    created_at: str
    updated_at: str
    days: list[DayView]
    key: str | None = None


class SourcesController(Controller):
    """Sources."""

    path = "/v1/sources"
    tags = ("sources",)

    @get("/", guards=[requires("destinations:read")])
    async def all(self, request: ApiRequest, service: Service) -> Page[SourceView]:
        """Every source, oldest first, with its counts of the last 30 days."""
        sources = service.sources.all(caller(request.scope).workspace_id)
        return Page(data=await _views(request, service, sources))

    @post("/", guards=[requires("destinations:write")])
    async def create(self, request: ApiRequest, service: Service, data: SourceDraft) -> Response[SourceView]:
        """Make a source; this answer is the only one that shows its key."""
        by = caller(request.scope)
        source, key = await service.sources.create(
            by.workspace_id, type=data.type, name=data.name, settings=data.settings, author=by.name
        )
        return await _with_key(request, service, source, key, status=201)

    @get("/{source_id:str}", guards=[requires("destinations:read")])
    async def one(self, request: ApiRequest, service: Service, source_id: str) -> SourceView:
        """One source."""
        return await _view(request, service, service.sources.get(caller(request.scope).workspace_id, source_id))

    @patch("/{source_id:str}", guards=[requires("destinations:write")])
    async def change(self, request: ApiRequest, service: Service, source_id: str, data: SourceChange) -> SourceView:
        """Rename it, switch it on or off, change its settings."""
        by = caller(request.scope)
        changed = await service.sources.change(
            by.workspace_id, source_id, **msgspec.structs.asdict(data), author=by.name
        )
        return await _view(request, service, changed)

    @post("/{source_id:str}/rotate-key", guards=[requires("destinations:write")], status_code=200)
    async def rotate(
        self, request: ApiRequest, service: Service, source_id: str, data: KeyDraft | None = None
    ) -> Response[SourceView]:
        """Replace its key or secret at once; this answer is the only one that shows a new one."""
        by = caller(request.scope)
        secret = data.secret if data else None
        source, key = await service.sources.rotate(by.workspace_id, source_id, secret=secret, author=by.name)
        return await _with_key(request, service, source, key, status=200)

    @delete("/{source_id:str}", guards=[requires("destinations:write")])
    async def remove(self, request: ApiRequest, service: Service, source_id: str) -> None:
        """Forget a source at once; its events stay."""
        by = caller(request.scope)
        await service.sources.remove(by.workspace_id, source_id, author=by.name)


async def _with_key(
    request: ApiRequest, service: Service, source: Source, key: str | None, *, status: int
) -> Response[SourceView]:
    view = msgspec.structs.replace(await _view(request, service, source), key=key)
    return ApiResponse(view, status_code=status, headers={"Cache-Control": "no-store"})


async def _view(request: ApiRequest, service: Service, source: Source) -> SourceView:
    (view,) = await _views(request, service, [source])
    return view


async def _views(request: ApiRequest, service: Service, sources: list[Source]) -> list[SourceView]:
    base = service.settings.public_url or str(request.base_url).rstrip("/")
    counts = await service.sources.counts(sources)
    return [
        SourceView(
            id=source.id,
            type=source.record.type,
            name=source.record.name,
            enabled=source.record.enabled,
            key_hint=source.record.hint,
            url=base if source.record.type == "segment" else f"{base}/v1/sources/{source.id}/ingest",
            settings=source.record.settings,
            created_at=rfc3339(source.record.created_at),
            updated_at=rfc3339(source.record.updated_at),
            days=[
                DayView(day=datetime.fromtimestamp(day * DAY, UTC).date().isoformat(), **of_day)
                for day, of_day in sorted(counts[source.id].items())
            ],
        )
        for source in sources
    ]
