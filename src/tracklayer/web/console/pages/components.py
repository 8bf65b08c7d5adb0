"""`/_components`: every part of the console on one page, in development."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get

from tracklayer.errors import NotFound
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in
from tracklayer.web.console.rendering import render


class ComponentsPage(Controller):
    """For those who build pages."""

    include_in_schema = False

    @get("/_components", guards=[signed_in])
    async def components(self, request: Request[Any, Any, Any], service: Service) -> Response[str]:
        """The parts, in every state."""
        if not service.settings.development:
            raise NotFound("There is no page /_components: it is there with TRACKLAYER_DEVELOPMENT=yes.")
        return render(request, "components.html", now=service.clock.now())
