"""The HTTP application: routes, errors, OpenAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Network, IPv6Network
from typing import Any, cast

from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import HttpMethod, ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from tracklayer import __version__
from tracklayer.service import Service
from tracklayer.web.api.access import KeysController, SecretsController
from tracklayer.web.api.audiences import AudiencesController
from tracklayer.web.api.audit import audit
from tracklayer.web.api.consent import ConsentController
from tracklayer.web.api.deliveries import DeadLettersController, DeliveriesController
from tracklayer.web.api.destinations import DestinationsController
from tracklayer.web.api.events import EVENTS, EventsController, path_with_exact_ids
from tracklayer.web.api.people import PeopleController
from tracklayer.web.api.rejected import RejectedController
from tracklayer.web.api.replays import ReplaysController
from tracklayer.web.api.sources import SourcesController
from tracklayer.web.api.system import all_presets, event_json_schema, healthz, metrics, readyz
from tracklayer.web.api.workspace import WorkspaceController
from tracklayer.web.console.app import create_console
from tracklayer.web.console.rendering import Renderer
from tracklayer.web.exchange import ApiRequest, ApiResponse
from tracklayer.web.ingest_app import IngestApp
from tracklayer.web.openapi import openapi_document
from tracklayer.web.problems import EXCEPTION_HANDLERS
from tracklayer.web.query import check_query
from tracklayer.web.source_app import SourceApp
from tracklayer.web.worker_app import WATCHED, only_watched

_API = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/litestar.json")


def create_app(service: Service) -> ASGIApp:
    """The whole application over one service, which it starts and stops with itself."""
    console = create_console(service)
    pages = _behind(service.settings.trusted_proxies, console)
    app = IngestApp(service, SourceApp(service, _by_path(_api(service, console.state.renderer), pages)))
    return only_watched(app) if service.settings.role == "worker" else app


def _behind(proxies: Sequence[IPv4Network | IPv6Network], app: ASGIApp) -> ASGIApp:
    """`app`, to which a request through one of `proxies` comes from the browser's address."""
    if not proxies:
        return app
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=list(map(str, proxies))))


def _by_path(api: ASGIApp, console: ASGIApp) -> ASGIApp:
    """The API for programs, at its paths; the console for people, everywhere else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "/v1"))  # an application's start and stop have none
        is_api = path in _API or path.startswith("/v1/")
        if path.startswith(EVENTS) and b"%" in scope["raw_path"]:
            scope = scope.copy()
            scope["path"] = path_with_exact_ids(scope["raw_path"])
        if path in WATCHED and scope["type"] == ScopeType.HTTP and scope["method"] == HttpMethod.HEAD:
            scope = scope.copy()
            scope["method"] = HttpMethod.GET  # monitors ask so; the server leaves the body out
        await (api if is_api else console)(scope, receive, send)

    return app


@get("/openapi.json", include_in_schema=False)
async def openapi(request: ApiRequest) -> dict[str, Any]:
    """The API's description (OpenAPI 3.1), made from the handlers when it is first asked for."""
    state = request.app.state
    if "openapi" not in state:
        state["openapi"] = openapi_document(request.app)
    document: dict[str, Any] = state["openapi"]
    return document


async def _warm(service: Service, renderer: Renderer) -> None:
    if service.settings.role != "worker":  # it has no pages
        await renderer.warm()


def _api(service: Service, renderer: Renderer) -> Litestar:

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncIterator[None]:
        await service.start()
        warming = asyncio.ensure_future(_warm(service, renderer))  # nobody waits for it
        try:
            yield
        finally:
            warming.cancel()
            with suppress(asyncio.CancelledError):
                await warming
            await service.stop()

    return Litestar(
        route_handlers=[
            EventsController,
            ConsentController,
            DestinationsController,
            DeliveriesController,
            DeadLettersController,
            ReplaysController,
            SourcesController,
            RejectedController,
            AudiencesController,
            SecretsController,
            KeysController,
            PeopleController,
            WorkspaceController,
            audit,
            all_presets,
            event_json_schema,
            healthz,
            readyz,
            metrics,
            openapi,
        ],
        state=State({"service": service}),
        dependencies={"service": Provide(lambda: service, sync_to_thread=False, use_cache=True)},
        signature_types=[Service],
        lifespan=[running],
        request_class=ApiRequest,
        response_class=ApiResponse,
        request_max_body_size=service.settings.request_limit,
        exception_handlers=EXCEPTION_HANDLERS,
        before_request=check_query,
        openapi_config=OpenAPIConfig(
            title="TrackLayer",
            version=__version__,
            render_plugins=[JsonRenderPlugin(path="/litestar.json")],  # without the ingest calls: not the one to use
            components=Components(
                security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key.")}
            ),
            security=[{"key": []}],
            use_handler_docstrings=True,
        ),
        logging_config=None,
        debug=False,
    )
