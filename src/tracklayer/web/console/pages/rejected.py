"""`/rejected`: what was sent in vain, why, and what to do about it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import NotFound, TrackLayerError
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.rendering import is_fragment, render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

SHOWN = 50  # rows of a page
_KEY = re.compile(r"(rej|src)_[0-9a-z]{1,40}")


class RejectedPages(Controller):
    """The list and one rejected payload."""

    path = "/rejected"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service, source_id: str = "", before: str = "") -> Response[str]:
        """What was rejected, newest first; with `source_id` what this source sent only."""
        if any(given and not _KEY.fullmatch(given) for given in (source_id, before)):
            raise NotFound("There is no such page of rejected payloads: begin with the newest.")
        workspace_id = visitor(request).workspace_id
        rows = await service.rejected.page(
            workspace_id, limit=SHOWN + 1, before=before or None, source_id=source_id or None
        )
        shown, asked = rows[:SHOWN], {"source_id": source_id} if source_id else {}
        return render(
            request,
            "rejected/list.html",
            rows=shown,
            names=_names(service, workspace_id),
            source_id=source_id,
            first=f"/rejected?{urlencode(asked)}" if before else None,
            older=f"/rejected?{urlencode(asked | {'before': shown[-1].id})}" if len(rows) > SHOWN else None,
        )

    @get("/{rejected_id:str}")
    async def one(self, request: AnyRequest, service: Service, rejected_id: str) -> Response[str]:
        """One with its payload."""
        return await _show(request, service, rejected_id)

    @post("/{rejected_id:str}/reingest", status_code=200)
    async def reingest(self, request: AnyRequest, service: Service, rejected_id: str) -> Response[str]:
        """Take it in by today's mapping and rules, and go to its event; or say what is still wrong."""
        who = visitor(request)
        try:
            made = await service.rejected.reingest(who.workspace_id, rejected_id, author=who.name)
        except NotFound:
            raise
        except TrackLayerError as error:
            return await _show(request, service, rejected_id, error=error)
        return see(request, "/events?" + urlencode({"id": made.event_id}))

    @post("/{rejected_id:str}/discard", status_code=200)
    async def discard(self, request: AnyRequest, service: Service, rejected_id: str) -> Response[str]:
        """Let it go."""
        who = visitor(request)
        await service.rejected.discard(who.workspace_id, rejected_id, author=who.name)
        return see(request, "/rejected")


async def _show(
    request: AnyRequest, service: Service, rejected_id: str, *, error: TrackLayerError | None = None
) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    record = await service.rejected.get(workspace_id, rejected_id)
    beside = is_fragment(request) and request.headers.get("hx-target") == "drawer"
    return render(
        request,
        "rejected/drawer.html" if beside else "rejected/one.html",
        status=status_of(error) if error else 200,
        record=record,
        payload=record.payload.decode(errors="backslashreplace"),
        names=_names(service, workspace_id),
        error=error,
    )


def _names(service: Service, workspace_id: str) -> dict[str, str]:
    return {source.id: source.record.name for source in service.sources.all(workspace_id)}
