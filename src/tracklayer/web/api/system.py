"""`/healthz`, `/readyz`, `/metrics`, for the machines that watch; and what belongs to no workspace."""

from __future__ import annotations

from typing import Any

from litestar import MediaType, Response, get
from prometheus_client import CONTENT_TYPE_LATEST

from tracklayer import __version__
from tracklayer.model.event_reference import event_schema
from tracklayer.presets import Preset, presets
from tracklayer.service import Service
from tracklayer.web.api.views import Page
from tracklayer.web.auth import requires


@get("/v1/presets", tags=["destinations"], guards=[requires("destinations:read")])
async def all_presets() -> Page[Preset]:
    """Destinations to start from."""
    return Page(data=presets())


@get("/v1/schemas/event.json", tags=["system"], media_type="application/schema+json")
async def event_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the canonical event, for everybody."""
    return event_schema()


@get("/healthz", tags=["system"])
async def healthz() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok", "version": __version__}


@get("/readyz", tags=["system"])
async def readyz(service: Service) -> dict[str, str]:
    """The store commits and deliveries flow; 503 with the reason where not."""
    await service.check()
    return {"status": "ready"}


@get("/metrics", media_type=MediaType.TEXT, tags=["system"])
async def metrics(service: Service) -> Response[bytes]:
    """Everything that is counted and measured, in Prometheus' text format."""
    return Response(await service.exposition(), media_type=CONTENT_TYPE_LATEST)
