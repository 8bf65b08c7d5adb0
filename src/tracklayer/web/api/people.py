"""`/v1/people`: who may use the console. Joining, signing in and out are the console's own."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, get, post

from tracklayer.model.moment import rfc3339
from tracklayer.operate.people import link_path
from tracklayer.service import Service
from tracklayer.web.api.views import Page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest, ApiResponse


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """A person."""

    id: str
    email: str
    created_at: str


class InvitationDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite; without an e-mail, whoever has the link says it."""

    email: str | None = None


class InvitationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, in this answer only."""

    email: str | None
    url: str
    expires_at: str


class PeopleController(Controller):
    """People."""

    path = "/v1/people"
    tags = ("people",)
    guards = (requires("admin"),)

    @get("/")
    async def all(self, request: ApiRequest, service: Service) -> Page[PersonView]:
        """Everybody who may sign in to this workspace, oldest first."""
        found = await service.people.all(caller(request.scope).workspace_id)
        return Page(
            data=[PersonView(id=each.id, email=each.email, created_at=rfc3339(each.created_at)) for each in found]
        )

    @post("/invitations")
    async def invite(
        self, request: ApiRequest, service: Service, data: InvitationDraft | None = None
    ) -> Response[InvitationAnswer]:
        """Make a link by which one person may join within a day."""
        key = caller(request.scope)
        token = await service.people.invite(key.workspace_id, email=data.email if data else None, author=key.name)
        invitation = await service.people.invitation(token)
        answer = InvitationAnswer(
            email=invitation.email,
            url=(service.settings.public_url or str(request.base_url).rstrip("/")) + link_path(token),
            expires_at=rfc3339(invitation.expires_at),
        )
        return ApiResponse(answer, status_code=201, headers={"Cache-Control": "no-store"})
