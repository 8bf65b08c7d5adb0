"""The console's application: its pages, its static files, how its errors look."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Litestar, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from tracklayer.errors import TrackLayerError, Unauthorized
from tracklayer.service import Service
from tracklayer.web.console.access import secure_headers
from tracklayer.web.console.forgery import from_our_page
from tracklayer.web.console.pages.registry import PAGES
from tracklayer.web.console.rendering import came_from, count_dead_letters, inside, is_fragment, render, renderer, see
from tracklayer.web.console.words import size
from tracklayer.web.problems import status_of

FOREVER = 365 * 86_400  # seconds; the names of static files carry a hash of what is in them

_READING = ("GET", "HEAD")
_BUILT = re.compile(r"/?[A-Za-z0-9_-]{1,100}\.[a-z]{1,8}")

log = structlog.get_logger("tracklayer.console")

AnyRequest = Request[Any, Any, Any]


def create_console(service: Service) -> Litestar:
    """The console over a service that somebody else starts and stops."""
    static = create_static_files_router(
        path="/static",
        directories=[str(resources.files("tracklayer.web.console") / "static")],
        cache_control=CacheControlHeader(max_age=FOREVER, public=True, immutable=True),
        guards=[named_as_built],
        include_in_schema=False,
    )
    return Litestar(
        route_handlers=[home, static, *PAGES],
        state=State({"service": service, "renderer": renderer()}),
        dependencies={"service": Provide(lambda: service, sync_to_thread=False, use_cache=True)},
        signature_types=[Service],
        guards=[from_our_page],
        before_request=count_for_the_rail,
        after_request=secure_headers,
        exception_handlers={TrackLayerError: on_error, HTTPException: on_http_exception, Exception: on_crash},
        request_max_body_size=service.settings.request_limit,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


@get("/", include_in_schema=False)
async def home() -> Redirect:
    """The front door."""
    return Redirect("/settings/destinations", status_code=303)


async def named_as_built(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """A guard of the static files: what no file of ours can be called is not looked for."""
    if not _BUILT.fullmatch(connection.path_params["file_path"]):
        raise NotFoundException


async def count_for_the_rail(request: AnyRequest) -> None:
    """A fragment has no rail."""
    if request.scope.get("auth") is not None and not is_fragment(request):
        await count_dead_letters(request)


def on_error(request: AnyRequest, error: TrackLayerError) -> Response[Any]:
    """One of ours: said in words, at its status."""
    if isinstance(error, Unauthorized):
        return _sign_in_first(request)
    return _failure(request, status_of(error), error.detail)


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """One of the framework's; the address of a form, opened as a page, leads to the page above it."""
    if error.status_code == 405 and request.method in _READING and not _is_page(request, request.url.path):
        above = request.url.path.rstrip("/")
        while not _is_page(request, above := above.rpartition("/")[0] or "/"):
            pass
        return secure_headers(see(request, inside(quote(above))))
    if error.status_code == 404:
        detail = f"There is no page {request.url.path[:200]}."
    elif error.status_code == 403:
        detail = (
            "This form is no longer good: you have signed in anew since it was loaded, it came from another site, or "
            "cookies are off. Load its page again."
        )
    elif error.status_code == 413:
        limit = size(request.app.state.service.settings.request_limit)
        detail = f"The server takes at most {limit} at once: send a large file in parts, or a shorter text."
    else:
        detail = error.detail
    return _failure(request, error.status_code, detail)


def on_crash(request: AnyRequest, error: Exception) -> Response[Any]:
    """A fault of ours: logged whole, shown without a word of it."""
    path = "/setup/…" if request.url.path.startswith("/setup/") else request.url.path  # no one-time link in the log
    log.error("request_failed", method=request.method, path=path, exc_info=error)
    return _failure(request, 500, "Something went wrong on our side. The server's log has the details.")


def _failure(request: AnyRequest, status: int, detail: str) -> Response[Any]:
    if is_fragment(request):
        return secure_headers(render(request, "error_fragment.html", status=status, detail=detail))
    back = came_from(request) if request.method == "POST" else ""
    return secure_headers(render(request, "error.html", status=status, code=status, detail=detail, back=back))


def _is_page(request: AnyRequest, path: str) -> bool:
    try:
        request.app.asgi_router.handle_routing(path=path, method="GET")
    except (NotFoundException, MethodNotAllowedException):
        return False
    return True


def _sign_in_first(request: AnyRequest) -> Response[Any]:
    if is_fragment(request):
        return secure_headers(Response("", status_code=401, headers={"HX-Redirect": "/sign-in"}))
    if request.headers.get("accept") == "text/event-stream":  # a script asks, which would take a page for a fault
        return secure_headers(Response("", status_code=401))
    asked = f"{request.url.path}?{request.url.query}".removesuffix("?")
    wanted = asked if request.method == "GET" else came_from(request)
    path = "/sign-in" + (f"?next={quote(wanted, safe='/')}" if wanted not in ("", "/") else "")
    return secure_headers(Response("", status_code=303, headers={"Location": path}))
