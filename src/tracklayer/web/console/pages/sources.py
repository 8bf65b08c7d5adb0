"""`/settings/sources`: where events come from."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get

from tracklayer.service import Service
from tracklayer.web.console.access import origin_of, signed_in
from tracklayer.web.console.examples import KEY_FROM_ENVIRONMENT, example_call
from tracklayer.web.console.rendering import render


class SourcePages(Controller):
    """The native API."""

    path = "/settings/sources"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: Request[Any, Any, Any], service: Service) -> Response[str]:
        """What came in since the server started, and how to send."""
        origin = origin_of(request, service.settings)
        return render(
            request,
            "settings/sources.html",
            origin=origin,
            example=example_call(origin, KEY_FROM_ENVIRONMENT, ("events:write",)),
            counts=service.metrics.events,
            started_at=service.started_at,
            settings=service.settings,
        )
