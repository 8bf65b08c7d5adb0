"""`/settings/account`: a person's own password, and where they are signed in."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Invalid, TooMany, TrackLayerError
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages.forms import problems_of
from tracklayer.web.console.rendering import render
from tracklayer.web.console.user_agent import browser_of
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]


class AccountPages(Controller):
    """The visitor's own."""

    path = "/settings/account"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def show(self, request: AnyRequest, service: Service) -> Response[str]:
        """Password and sessions."""
        return await _account(request, service)

    @post("/password", status_code=200)
    async def change_password(self, request: AnyRequest, service: Service) -> Response[str]:
        """Change the password, and end the other sessions."""
        who, form = visitor(request), await request.form()
        try:
            if form.get("new") != form.get("again"):
                raise Invalid("the two passwords are not the same", code="not_the_same", pointer="/again")
            await service.people.change_password(
                who.person.id, str(form.get("old", "")), str(form.get("new", "")), token=who.token
            )
        except (Invalid, TooMany) as error:
            return await _account(request, service, error=error)
        return await _account(request, service, changed=True)


async def _account(
    request: AnyRequest, service: Service, *, error: TrackLayerError | None = None, changed: bool = False
) -> Response[str]:
    who = visitor(request)
    sessions = await service.people.sessions(who.person.id)
    return render(
        request,
        "settings/account.html",
        status=status_of(error) if error else 200,
        person=who.person,
        sessions=[(each, browser_of(each.user_agent), each.hash == who.session.hash) for each in sessions],
        changed=changed,
        problems=problems_of(error),
    )
