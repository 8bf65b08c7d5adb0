"""Whether a form comes from a page of ours: another site can have its visitors' browsers send one, but not read ours.

Every page carries a token, made of a cookie of this browser and of its session; every form sends it back. Somebody who
can plant cookies from a neighbouring host or port still lacks the session that the token is bound to.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from tracklayer.service import Service
from tracklayer.web.console.access import SESSION_COOKIE, is_secure, signed_in

BROWSER_COOKIE = "tl_csrf"
HEADER = "x-csrf-token"
FIELD = "_csrf_token"

_READING = ("GET", "HEAD", "OPTIONS")
_OURS = ("same-origin", "none")  # of Sec-Fetch-Site; none: somebody reloads or goes back
_FORMS = (RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART)
_BROWSER = re.compile(r"[0-9a-f]{64}")

AnyConnection = ASGIConnection[Any, Any, Any, Any]


async def from_our_page(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard that lets nothing be changed but by a form or a script of ours. Raises `PermissionDeniedException`.

    Who must be signed in and is not, or no longer, is told so first (`Unauthorized`): their token is not good either.
    """
    if not isinstance(connection, Request) or connection.method in _READING:
        return
    if signed_in in handler.resolve_guards():
        await signed_in(connection, handler)
    browser, given = _browser(connection), await _given(connection)
    comes_from = connection.headers.get("sec-fetch-site", "same-origin")
    if browser is None or comes_from not in _OURS:
        raise PermissionDeniedException
    if not hmac.compare_digest(given.encode(errors="replace"), _token(connection, browser).encode()):
        raise PermissionDeniedException


def form_token(connection: AnyConnection) -> tuple[str, Cookie | None]:
    """The token of a page's forms; and the cookie that goes with it, where this browser has none yet."""
    known = _browser(connection)
    browser = known or secrets.token_hex(32)
    cookie = Cookie(
        key=BROWSER_COOKIE,
        value=browser,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_secure(_service(connection).settings),
    )
    return _token(connection, browser), None if known else cookie


def _browser(connection: AnyConnection) -> str | None:
    found = connection.cookies.get(BROWSER_COOKIE, "")
    return found if _BROWSER.fullmatch(found) else None


async def _given(request: Request[Any, Any, Any]) -> str:
    given: object = request.headers.get(HEADER)
    if not given and request.content_type[0] in _FORMS:
        given = (await request.form()).get(FIELD)
    return given if isinstance(given, str) else ""  # a file may be sent under that name


def _token(connection: AnyConnection, browser: str) -> str:
    bound = f"{browser} {connection.cookies.get(SESSION_COOKIE, '')}"
    secret = _service(connection).console_secret
    return hmac.new(secret.encode(), bound.encode(errors="replace"), hashlib.sha256).hexdigest()


def _service(connection: AnyConnection) -> Service:
    service: Service = connection.app.state.service
    return service
