"""`/settings/workspace`: who belongs to it, the rules for its events, what holds in it, how much room it takes."""

from __future__ import annotations

from typing import Any, NamedTuple

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Conflict, Invalid, PreconditionFailed, TrackLayerError
from tracklayer.operate.people import link_path
from tracklayer.operate.workspace_rules import mark_of
from tracklayer.service import Service
from tracklayer.settings import Settings, settings_table
from tracklayer.web.console.access import origin_of, signed_in, visitor
from tracklayer.web.console.pages.forms import placed_problems_of, problems_of
from tracklayer.web.console.pages.rules_form import ENRICHERS, RulesForm, form_of, rules_of, typed_form
from tracklayer.web.console.rendering import render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

LIMITS = (
    "request_limit",
    "event_limit",
    "batch_limit",
    "dedup_window",
    "destinations_limit",
    "filter_depth",
    "template_limit",
    "body_limit",
    "response_limit",
    "concurrency",
    "ingest_queue",
    "queue_bytes",
)
"""The settings that users of the product meet, in the order in which an event does."""


class Limit(NamedTuple):
    """A setting in force."""

    doc: str
    value: str
    variable: str
    is_default: bool


class Link(NamedTuple):
    """An invitation that was just made."""

    email: str
    url: str


class WorkspacePages(Controller):
    """The workspace and its people."""

    path = "/settings/workspace"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def show(self, request: AnyRequest, service: Service) -> Response[str]:
        """The whole page."""
        return await _workspace(request, service)

    @post("/rules", status_code=200)
    async def save_rules(self, request: AnyRequest, service: Service) -> Response[str]:
        """Replace the rules."""
        who, sent = visitor(request), await request.form()
        form, seen = typed_form(sent), str(sent.get("seen", "")) or None
        try:
            await service.workspaces.save_rules(who.workspace_id, rules_of(form), who.name, seen=seen)
        except (Invalid, PreconditionFailed) as error:
            return await _workspace(request, service, rules=form, seen=seen, rules_error=error)
        return see(request, "/settings/workspace?saved=rules#rules")

    @post("/invitations", status_code=200)
    async def invite(self, request: AnyRequest, service: Service) -> Response[str]:
        """Make a one-time link; this answer alone shows it."""
        who = visitor(request)
        email = str((await request.form()).get("email", "")).strip()
        try:
            token = await service.people.invite(who.workspace_id, email=email, author=who.name)
        except Invalid as error:
            return await _workspace(request, service, error=error, email=email)
        url = origin_of(request, service.settings) + link_path(token)
        return await _workspace(request, service, link=Link(email, url))

    @post("/people/{person_id:str}/remove", status_code=200)
    async def remove(self, request: AnyRequest, service: Service, person_id: str) -> Response[str]:
        """Take somebody out."""
        who = visitor(request)
        try:
            if person_id == who.person.id:
                raise Conflict("you cannot remove yourself: ask somebody else in this workspace", code="yourself")
            await service.people.remove(who.workspace_id, person_id, who.name)
        except Conflict as error:
            return await _workspace(request, service, error=error)
        return see(request, "/settings/workspace")


async def _workspace(
    request: AnyRequest,
    service: Service,
    *,
    error: TrackLayerError | None = None,
    email: str = "",
    link: Link | None = None,
    rules: RulesForm | None = None,
    seen: str | None = None,
    rules_error: Invalid | PreconditionFailed | None = None,
) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    refused = error or rules_error
    stale = isinstance(rules_error, PreconditionFailed)
    standing = service.workspaces.rules(workspace_id)
    return render(
        request,
        "settings/workspace.html",
        status=409 if stale else status_of(refused) if refused else 200,
        workspace=service.keys.workspace_of(workspace_id),
        people=await service.people.all(workspace_id),
        destinations=len(service.destinations.all(workspace_id)),
        limits=limits_in_force(service.settings),
        storage=await service.storage.facts(),
        email=email,
        link=link,
        problems=problems_of(error),
        rules=rules or form_of(standing),
        seen=seen or mark_of(standing),
        stale=stale,
        rule_problems={} if stale else placed_problems_of(rules_error),
        enrichers=ENRICHERS,
        saved=request.query_params.get("saved") == "rules",
    )


def limits_in_force(settings: Settings) -> list[Limit]:
    """What the operator has decided, or left as it is."""
    table = {entry.field: entry for entry in settings_table()}
    return [
        Limit(
            entry.setting.doc.replace("`", ""),
            entry.setting.kind.show(getattr(settings, entry.field)),
            entry.variable,
            getattr(settings, entry.field) == entry.default,
        )
        for entry in (table[name] for name in LIMITS)
    ]
