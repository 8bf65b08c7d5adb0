"""A small local HTTP/1.1 receiver: it records what it gets and answers, or misbehaves, as it is told.

    async with Receiver() as receiver:
        receiver.script("/hook", Answer(503), Answer(200))   # first 503, from then on 200
        ...
        await receiver.wait_for(2, timeout=5)
        receiver.requests[0].body

`python -m tracklayer.demo.receiver --port 9000` runs it as a process.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
from collections.abc import Callable
from typing import Self

from tracklayer.demo.answers import Answer, Behaviour, CloseMidBody, Drip, Echo, Hang, Raw, Reset
from tracklayer.demo.connection import CountingConnection, Recorded, RecordingConnection

__all__ = ["Answer", "Behaviour", "CloseMidBody", "Drip", "Echo", "Hang", "Raw", "Receiver", "Recorded", "Reset"]

Respond = Callable[[Recorded], Behaviour | None]


class Receiver:
    """Takes requests on one port.

    `respond`, where set, is asked first what to do with a request; where it has no answer, the script of the request's
    path says it, and otherwise `default`. With `count_only` nothing but `count` is kept and headers and bodies are
    not read (`respond` sees them empty): for benchmarks. With `tls` it speaks HTTPS.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, count_only: bool = False) -> None:
        self.requests: list[Recorded] = []
        self.count = 0
        self.connections_taken = 0
        self.respond: Respond | None = None
        self.default: Behaviour = Answer()
        self._tls = tls
        self._count_only = count_only
        self._scripts: dict[str, list[Behaviour]] = {}
        self._open: set[CountingConnection] = set()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._server: asyncio.Server | None = None
        self._host = ""
        self._port = 0

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port that it listens on; kept over a stop, so that `start(port=receiver.port)` is the same address."""
        return self._port

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises `OSError` where the address is taken."""
        kind = CountingConnection if self._count_only else RecordingConnection
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: kind(self), host, port, ssl=self._tls, backlog=1024)
        self._host, self._port = self._server.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        """Close the port and drop every connection. What was recorded stays."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._open):
            connection.close()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def script(self, path: str, *answers: Behaviour) -> None:
        """Give the requests to `path` (no query) these answers one after the other; the last one repeats."""
        if not answers:
            raise ValueError(f"the script of {path!r} is empty: expected at least one answer")
        self._scripts[path] = list(answers)

    async def wait_for(self, count: int, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as asyncio.wait_for has it
        """Return when `count` requests have come since the start. Raises `TimeoutError` after `timeout` seconds."""
        if self.count >= count:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((count, waiter))
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            raise TimeoutError(f"expected {count} requests within {timeout} s, got {self.count}") from None
        finally:
            self._waiters.remove((count, waiter))

    def opened(self, connection: CountingConnection) -> int:
        """A connection was made; the answer is its number."""
        self._open.add(connection)
        self.connections_taken += 1
        return self.connections_taken

    def closed(self, connection: CountingConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)

    def take(self, request: Recorded) -> Behaviour:
        """Record a request and choose what to do with it."""
        self.count += 1
        if not self._count_only:
            self.requests.append(request)
        for count, waiter in self._waiters:
            if self.count >= count and not waiter.done():
                waiter.set_result(None)
        return (self.respond and self.respond(request)) or self._scripted(request.target) or self.default

    def _scripted(self, target: str) -> Behaviour | None:
        script = self._scripts.get(target.partition("?")[0]) if self._scripts else None
        if not script:
            return None
        return script.pop(0) if len(script) > 1 else script[0]


async def serve(host: str, port: int, *, count_only: bool, show: bool) -> None:
    """Run a receiver until SIGINT or SIGTERM; say when it is ready and, at the end, how much came."""
    receiver = Receiver(count_only=count_only)
    if show:
        receiver.respond = _show
    await receiver.start(host, port)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"receiver ready on {receiver.url}", flush=True)
    await stop.wait()
    await receiver.stop()
    print(f"receiver took {receiver.count} requests", flush=True)


def _show(request: Recorded) -> None:
    print(f"{request.method} {request.target} {request.body.decode('utf-8', 'replace')}", flush=True)


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tracklayer.demo.receiver", description="A local HTTP receiver.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--count-only", action="store_true", help="keep nothing but the count (for benchmarks)")
    parser.add_argument("--show", action="store_true", help="print one line a request")
    chosen = parser.parse_args(arguments)
    asyncio.run(serve(chosen.host, chosen.port, count_only=chosen.count_only, show=chosen.show))


if __name__ == "__main__":
    main(sys.argv[1:])
