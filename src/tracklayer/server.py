"""The server: the application in this process, from taking the port to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import structlog
import uvicorn
import uvloop
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tracklayer import logs
from tracklayer.flow.tail import Tail
from tracklayer.operate.people import link_path
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.startup import StartError, explained
from tracklayer.web.app import create_app

KEEP_ALIVE = 75  # seconds that an idle connection stays open; longer than the 60 s of most proxies
HEAD_LIMIT = 64 * 1024  # bytes of a request's line and headers; neither uvicorn nor its parser has a limit
REQUESTS_SHARE = 0.2  # of the stop timeout: for callers who still wait for their answer; the rest is for attempts

log = structlog.get_logger("tracklayer.server")


def run(settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP (a terminal that is closed); answers the exit status: 0 after a clean stop.

    A second signal ends the process at once. Raises `StartError`.
    """
    logs.configure(settings.log_level, settings.log_format)
    _raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    listener = _listen(settings.host, settings.port)
    shared = settings.stop_timeout * REQUESTS_SHARE
    with explained(settings):
        service = Service(msgspec.structs.replace(settings, stop_timeout=settings.stop_timeout - shared))
    app = create_app(service)
    server = _Server(_options(app, stop_timeout=shared), settings, service.tail)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            asyncio.get_running_loop().add_signal_handler(number, server.stop, number)
    async with contextlib.AsyncExitStack() as running:
        with explained(settings):
            try:
                await running.enter_async_context(_lifespan(app))
            except BaseException:
                await service.close()  # an open connection to the database would keep the process alive
                raise
            if settings.role != "worker":  # it has no pages
                server.setup_token = await service.setup_token()
        _settle_memory()
        await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """The application between its start and its stop (the lifespan protocol of ASGI), its errors as it raised them."""
    asked: asyncio.Queue[Any] = asyncio.Queue()
    answered: asyncio.Queue[Any] = asyncio.Queue()
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, asked.get, answered.put))
    asked.put_nowait({"type": "lifespan.startup"})
    answer = asyncio.ensure_future(answered.get())
    await asyncio.wait({life, answer}, return_when=asyncio.FIRST_COMPLETED)
    if life.done() or answer.result()["type"] != "lifespan.startup.complete":
        answer.cancel()
        try:
            await life
        except BaseExceptionGroup as group:  # the framework starts within a group of tasks
            raise _innermost(group) from None
        raise StartError("the application ended while it was starting")
    try:
        yield
    finally:
        asked.put_nowait({"type": "lifespan.shutdown"})
        await life


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class _Server(uvicorn.Server):
    """Uvicorn, with our signals: its own would end the process by the signal after a clean stop."""

    setup_token: str | None = None  # of a link for the first person, while there is nobody

    def __init__(self, config: uvicorn.Config, settings: Settings, tail: Tail) -> None:
        super().__init__(config)
        self._settings = settings
        self._tail = tail

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `stop`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        for listener in sockets or []:
            log.info("listening", url=_url(listener))
            if self.setup_token is not None:
                link = _reachable_url(self._settings, listener) + link_path(self.setup_token)
                logs.tell(f"\n  Nobody can sign in yet. Open this once, within 24 hours:\n\n    {link}\n")

    def stop(self, number: int) -> None:
        """Stop in good order; asked again, at once: what was acknowledged is durable."""
        if self.should_exit:
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        self.should_exit = True
        self._tail.close()  # those who watch have requests without end, and would be waited for


class _BoundedProtocol(HttpToolsProtocol):
    """One connection, that is closed when a request's headers do not end."""

    _in_head = False  # a request has begun and its headers are not complete
    _began_now = False  # … in the bytes at hand, so they may be of earlier requests too and do not count
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._began_now = False
        super().data_received(data)
        if self._in_head and not self._began_now:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT:
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._began_now = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


def _options(app: ASGIApp, *, stop_timeout: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_BoundedProtocol,
        ws="none",
        lifespan="off",  # entered in `_serve`, where its errors can be explained
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=stop_timeout,  # type: ignore[arg-type]  # goes to asyncio.wait_for as it is
    )


def _listen(host: str, port: int) -> socket.socket:
    """Take the address, IPv4 where the name has both. Raises `StartError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        reason = f"cannot listen on {host} port {port}: {error.strerror}; TRACKLAYER_HOST and TRACKLAYER_PORT say where"
        raise StartError(reason) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reachable_url(settings: Settings, listener: socket.socket) -> str:
    """Where a person's browser finds the server: `public_url` where it is set, else this machine."""
    if settings.public_url:
        return settings.public_url
    return _url(listener).replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _settle_memory() -> None:
    """Spare the garbage collector what stays anyway, and let it look less often: it was 8 % of an event's cost.

    Almost nothing here is cyclic, so what it would find waits a little longer and no more.
    """
    gc.collect()
    gc.freeze()
    gc.enable()  # `tracklayer serve` starts without
    gc.set_threshold(20_000, 50, 20)


def _raise_file_limit() -> None:
    """Every connection is an open file, and the usual soft limit of 1,024 is soon reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS refuses "unlimited"
        print(f"tracklayer: the limit of open files stays as it is: {error}", file=sys.stderr)
