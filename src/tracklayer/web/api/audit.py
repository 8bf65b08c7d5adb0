"""`/v1/audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import Parameter

from tracklayer.model.moment import rfc3339
from tracklayer.model.records import AuditEntry
from tracklayer.service import Service
from tracklayer.web.api.parameters import PAGE, Cursor, Limit, read_cursor
from tracklayer.web.api.views import Page, page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest

Actor = Annotated[str | None, Parameter(description="A person's e-mail, or the name of an API key.")]
Action = Annotated[str | None, Parameter(description="One action (`destination.paused`) or all of a kind.")]
Target = Annotated[str | None, Parameter(description="The id, or the name, of what was changed.")]


class AuditEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One change; `detail` says more, by the kind of action, and never the value of a secret."""

    id: str
    at: str
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


@get("/v1/audit", tags=["audit"], guards=[requires("admin")])
async def audit(
    request: ApiRequest,
    service: Service,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    actor: Actor = None,
    action: Action = None,
    target: Target = None,
) -> Page[AuditEntryView]:
    """What was changed, newest first."""
    entries = await service.audit.page(
        caller(request.scope).workspace_id,
        limit=limit + 1,
        before=read_cursor(cursor, "aud_"),
        actor=actor,
        action=action,
        target=target,
    )
    return page([_view(entry) for entry in entries], [entry.id for entry in entries], limit)


def _view(entry: AuditEntry) -> AuditEntryView:
    return AuditEntryView(
        id=entry.id,
        at=rfc3339(entry.at),
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        detail=entry.detail,
    )
