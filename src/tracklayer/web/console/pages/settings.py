"""`/settings/api-keys` and `/settings/secrets`: what programs call with, and what requests carry."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Conflict, Invalid, TrackLayerError
from tracklayer.model.records import ApiKey
from tracklayer.service import Service
from tracklayer.web.console.access import origin_of, signed_in, visitor
from tracklayer.web.console.examples import example_call
from tracklayer.web.console.pages.forms import id_drawn, problems_of
from tracklayer.web.console.rendering import inside, render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

SCOPES = (
    ("events:write", "Sends events. All that a shop or an app needs."),
    ("events:read", "Reads events and deliveries, with the requests as they were sent."),
    ("destinations:read", "Reads destinations, and the names of secrets."),
    ("destinations:write", "Changes destinations and secrets, replays and discards dead letters."),
    ("admin", "All of the above, and makes API keys, invites people, reads the audit."),
)
"""Scope → what a program may do with it."""


class ApiKeyPages(Controller):
    """API keys."""

    path = "/settings/api-keys"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service) -> Response[str]:
        """Every key, and a form for one more."""
        return _api_keys(request, service)

    @post("/", status_code=200)
    async def make(self, request: AnyRequest, service: Service) -> Response[str]:
        """Make a key; this answer alone shows it."""
        who, form = visitor(request), await request.form()
        name, scopes = str(form.get("name", "")).strip(), [str(each) for each in form.getall("scopes", [])]
        try:
            made = await service.keys.create(
                who.workspace_id, name=name, scopes=scopes, author=who.name, key_id=id_drawn(form, "key")
            )
        except (Invalid, Conflict) as error:
            return _api_keys(request, service, error=error, name=name, scopes=scopes)
        return _api_keys(request, service, made=made)

    @post("/{key_id:str}/revoke", status_code=200)
    async def revoke(self, request: AnyRequest, service: Service, key_id: str) -> Response[str]:
        """End a key at once."""
        who = visitor(request)
        try:
            await service.keys.remove(who.workspace_id, key_id, author=who.name)
        except Conflict as error:
            return _api_keys(request, service, error=error)
        return see(request, "/settings/api-keys")


class SecretPages(Controller):
    """Secrets: they go in, and never come out here again."""

    path = "/settings/secrets"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service, name: str = "") -> Response[str]:
        """Every secret by name, and a form that sets one (`name`); `return` is the page to go back to."""
        return _secrets(request, service, name=name, back=request.query_params.get("return", ""))

    @post("/", status_code=200)
    async def put(self, request: AnyRequest, service: Service) -> Response[str]:
        """Set or replace a secret."""
        who, form = visitor(request), await request.form()
        name, back = str(form.get("name", "")).strip(), str(form.get("return", ""))
        try:
            await service.secrets.put(who.workspace_id, name, str(form.get("value", "")), author=who.name)
        except Invalid as error:
            return _secrets(request, service, error=error, name=name, back=back)
        return see(request, inside(back, "/settings/secrets"))

    @post("/{name:str}/delete", status_code=200)
    async def remove(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Forget a secret that nothing uses."""
        who = visitor(request)
        try:
            await service.secrets.remove(who.workspace_id, name, author=who.name)
        except Conflict as error:
            return _secrets(request, service, error=error, refused=name)
        return see(request, "/settings/secrets")


def _api_keys(
    request: AnyRequest,
    service: Service,
    *,
    error: TrackLayerError | None = None,
    made: tuple[ApiKey, str] | None = None,
    name: str = "",
    scopes: list[str] | None = None,
) -> Response[str]:
    keys = service.keys.all(visitor(request).workspace_id)
    origin = origin_of(request, service.settings)
    return render(
        request,
        "settings/api_keys.html",
        status=status_of(error) if error else 200,
        api_keys=keys,
        admin_keys=sum("admin" in key.scopes for key in keys),
        scopes=SCOPES,
        chosen=["events:write"] if scopes is None else scopes,
        name=name,
        new_id=service.ids.new("key"),
        made=made,
        example=example_call(origin, made[1], made[0].scopes) if made else None,
        problems=problems_of(error),
    )


def _secrets(
    request: AnyRequest,
    service: Service,
    *,
    error: TrackLayerError | None = None,
    refused: str = "",
    name: str = "",
    back: str = "",
) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    known, missing = service.secrets.all(workspace_id), service.secrets.missing(workspace_id)
    problems = problems_of(error)
    if error is not None and error.code == "invalid_name":  # the API has the name in its path, and so no pointer
        problems = {"name": problems[""]}
    return render(
        request,
        "settings/secrets.html",
        status=status_of(error) if error else 200,
        secrets=known,
        missing=missing,
        users={each: service.secrets.users(workspace_id, each) for each in [*(one.name for one in known), *missing]},
        names={each.id: each.plan.config.name for each in service.destinations.all(workspace_id)},
        refused=refused,
        name=name,
        back=inside(back, ""),
        problems=problems,
    )
