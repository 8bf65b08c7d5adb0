"""Who looks: the session behind a cookie. What a page may load: the security headers."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from tracklayer.errors import Unauthorized
from tracklayer.model.records import Person, Session
from tracklayer.settings import Settings

SESSION_COOKIE = "tl_session"
SESSION_AGE = 30 * 86_400  # seconds; the session itself ends earlier when it is idle

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and by which session; `token` is the cookie's."""

    person: Person
    session: Session
    token: str

    @property
    def workspace_id(self) -> str:
        """The workspace that this person belongs to."""
        return self.person.workspace_id

    @property
    def name(self) -> str:
        """Who is the author of what this visitor does."""
        return self.person.email


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard that lets people with a session pass, and puts the `Visitor` where `visitor` finds it.

    Raises `Unauthorized`, which the console answers by showing the way to sign in.
    """
    found = await find_visitor(connection)
    if found is None:
        raise Unauthorized("nobody is signed in", code="not_signed_in")
    connection.scope["auth"] = found


async def find_visitor(connection: ASGIConnection[Any, Any, Any, Any]) -> Visitor | None:
    """Who is signed in, if anybody is."""
    token = connection.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    found = await connection.app.state.service.people.session(token)
    return None if found is None else Visitor(person=found[0], session=found[1], token=token)


def visitor(request: Request[Any, Any, Any]) -> Visitor:
    """Who makes a request that has passed `signed_in`."""
    found: Visitor = request.scope["auth"]
    return found


def session_cookie(token: str, settings: Settings) -> Cookie:
    """The cookie that carries a session: unreadable for scripts, never sent by another site's form."""
    return Cookie(
        key=SESSION_COOKIE,
        value=token,
        path="/",
        max_age=SESSION_AGE,
        httponly=True,
        samesite="lax",
        secure=is_secure(settings),
    )


def ended_cookie() -> Cookie:
    """The cookie that takes a session away."""
    return Cookie(key=SESSION_COOKIE, value="", path="/", max_age=0, httponly=True, samesite="lax")


def is_secure(settings: Settings) -> bool:
    """Whether the console is reached over TLS, and so cookies may insist on it."""
    return settings.public_url.startswith("https://")


def secure_headers(response: Response[Any]) -> Response[Any]:
    """What every answer of the console tells the browser to refuse; a page has set its policy with its nonce."""
    response.headers.setdefault("Content-Security-Policy", policy("none"))
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    return response


def policy(nonce: str) -> str:
    """The Content-Security-Policy: nothing from outside, no inline script; `nonce` lets the editor add its styles."""
    return _POLICY.format(nonce=nonce)


def address_of(request: Request[Any, Any, Any]) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else ""


def origin_of(request: Request[Any, Any, Any], settings: Settings) -> str:
    """Where people reach this server: `public_url` where it is set, else what the browser has asked."""
    return settings.public_url or str(request.base_url).rstrip("/")
