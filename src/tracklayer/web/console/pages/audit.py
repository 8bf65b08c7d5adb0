"""`/audit`: who changed what."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get

from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.rendering import render

PAGE = 50

KINDS = (
    ("destination", "Destinations"),
    ("secret", "Secrets"),
    ("key", "API keys"),
    ("dead_letter", "Dead letters"),
    ("replay", "Replays"),
    ("source", "Sources"),
    ("rejected", "Rejected payloads"),
    ("audience", "Audiences"),
    ("workspace", "Workspace rules"),
    ("person", "People"),
)
"""What actions begin with → the word for all of that kind."""


class AuditPages(Controller):
    """The trail."""

    path = "/audit"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def page(
        self,
        request: Request[Any, Any, Any],
        service: Service,
        actor: str = "",
        action: str = "",
        target: str = "",
        before: str = "",
    ) -> Response[str]:
        """Entries, newest first, those of an actor, an action or a kind of action, and a target where asked."""
        workspace_id = visitor(request).workspace_id
        wanted = {"actor": actor.strip(), "action": action.strip(), "target": target.strip()}
        found = await service.audit.page(
            workspace_id,
            limit=PAGE + 1,
            before=before or None,
            actor=wanted["actor"] or None,
            action=wanted["action"] or None,
            target=wanted["target"] or None,
        )
        kinds = [("", "Anything"), *KINDS]
        if wanted["action"] not in dict(kinds):
            kinds.append((wanted["action"], wanted["action"]))
        return render(
            request,
            "audit/list.html",
            entries=found[:PAGE],
            older=_address({**wanted, "before": found[PAGE - 1].id}) if len(found) > PAGE else None,
            newest=_address(wanted) if before else None,
            wanted=wanted,
            kinds=kinds,
            names={each.id: each.plan.config.name for each in service.destinations.all(workspace_id)},
        )


def _address(query: dict[str, str]) -> str:
    return "/audit?" + urlencode({name: value for name, value in query.items() if value})
