"""`/healthz`, `/readyz`, `/metrics`, for the machines that watch; and `/v1/presets`, which belong to no workspace."""

from __future__ import annotations

from litestar import MediaType, Response, get
from prometheus_client import CONTENT_TYPE_LATEST

from tracklayer import __version__
from tracklayer.presets import Preset, presets
from tracklayer.service import Service
from tracklayer.web.api.views import Page
from tracklayer.web.auth import requires


@get("/v1/presets", tags=["destinations"], guards=[requires("destinations:read")])
async def all_presets() -> Page[Preset]:
    """Destinations to start from."""
    return Page(data=presets())


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
