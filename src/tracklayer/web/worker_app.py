"""What a process with the role `worker` answers: those who watch it, and nobody else."""

from __future__ import annotations

from litestar.types import ASGIApp, Receive, Scope, Send

from tracklayer.errors import NotFound
from tracklayer.web.plain_asgi import answer_with
from tracklayer.web.problems import problem

WATCHED = ("/healthz", "/readyz", "/metrics")


def only_watched(app: ASGIApp) -> ASGIApp:
    """`app`, whose other paths do not exist in this process."""

    async def worker(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path", WATCHED[0]) in WATCHED:  # the application's start and stop have no path
            await app(scope, receive, send)
        else:
            detail = "this process only delivers (TRACKLAYER_ROLE is worker): ask one whose role is all or api"
            await answer_with(send, problem(NotFound(detail, code="worker")))

    return worker
