"""Coming and going: the first person's setup, invitations, signing in and out."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Invalid, TooMany, TrackLayerError, Unauthorized
from tracklayer.service import Service
from tracklayer.web.console.access import (
    SESSION_COOKIE,
    address_of,
    ended_cookie,
    find_visitor,
    session_cookie,
    signed_in,
    visitor,
)
from tracklayer.web.console.pages.forms import problems_of
from tracklayer.web.console.rendering import inside, render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]


class SessionPages(Controller):
    """Pages without the frame."""

    include_in_schema = False

    @get("/setup/{token:str}")
    async def invited(self, request: AnyRequest, service: Service, token: str) -> Response[str]:
        """Who has a one-time link chooses a password here."""
        invitation = await service.people.invitation(token)
        return render(request, "session/setup.html", email=invitation.email, given="", problems={})

    @post("/setup/{token:str}", status_code=200)
    async def join(self, request: AnyRequest, service: Service, token: str) -> Response[str]:
        """Take the invitation up, and be signed in."""
        form = await request.form()
        invitation = await service.people.invitation(token)
        email = invitation.email or str(form.get("email", ""))
        try:
            if form.get("password") != form.get("again"):
                raise Invalid("The two passwords are not the same.", pointer="/again")
            _, session = await service.people.accept_invitation(
                token, email, str(form.get("password", "")), address_of(request), _user_agent(request)
            )
        except Invalid as error:
            return render(
                request,
                "session/setup.html",
                status=422,
                email=invitation.email,
                given=email,
                problems=problems_of(error),
            )
        return await _signed_in(request, service, session, "/settings/destinations")

    @get("/sign-in")
    async def sign_in_page(self, request: AnyRequest, next: str = "/") -> Response[str]:
        """The form; somebody who is signed in goes on."""
        if await find_visitor(request) is not None:
            return see(request, inside(next))
        return render(request, "session/sign_in.html", next=inside(next), email="", problem=None)

    @post("/sign-in", status_code=200)
    async def sign_in(self, request: AnyRequest, service: Service) -> Response[str]:
        """Open a session."""
        form = await request.form()
        email, wanted = str(form.get("email", "")), inside(str(form.get("next", "/")))
        try:
            _, session = await service.people.sign_in(
                email, str(form.get("password", "")), address_of(request), _user_agent(request)
            )
        except (Unauthorized, Invalid, TooMany) as error:
            return _refused(request, error, email, wanted)
        return await _signed_in(request, service, session, wanted)

    @post("/sign-out", status_code=200, guards=[signed_in])
    async def sign_out(self, request: AnyRequest, service: Service) -> Response[str]:
        """End this session."""
        await service.people.sign_out(visitor(request).token)
        return _signed_out(request)

    @post("/sign-out-everywhere", status_code=200, guards=[signed_in])
    async def sign_out_everywhere(self, request: AnyRequest, service: Service) -> Response[str]:
        """End every session of this person."""
        await service.people.sign_out_everywhere(visitor(request).person.id)
        return _signed_out(request)


async def _signed_in(request: AnyRequest, service: Service, token: str, path: str) -> Response[str]:
    before = request.cookies.get(SESSION_COOKIE)
    if before:  # nobody could end the session of a cookie that is replaced
        await service.people.sign_out(before)
    answer = see(request, path)
    answer.cookies.append(session_cookie(token, service.settings))
    return answer


def _signed_out(request: AnyRequest) -> Response[str]:
    answer = see(request, "/sign-in")
    answer.cookies.append(ended_cookie())
    return answer


def _refused(request: AnyRequest, error: TrackLayerError, email: str, wanted: str) -> Response[str]:
    return render(
        request, "session/sign_in.html", status=status_of(error), next=wanted, email=email, problem=error.detail
    )


def _user_agent(request: AnyRequest) -> str:
    return request.headers.get("user-agent", "")[:300]
