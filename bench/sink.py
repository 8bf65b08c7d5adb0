"""The receiver: answers 200 to every POST and remembers when each event id came first.

`python -m bench.sink` prints its port as a line on stdout and serves until its stdin closes. A request has arrived when
its last byte was read. For the trial it answers `GET /status` (counts), `GET /arrivals` (event id → `time.time()`)
and `GET /last` (the last POST as it came, its head in lower case).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

from bench.framing import Framer, header

EVENT_ID = b"x-tracklayer-event-id"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Sink:
    """What arrived."""

    def __init__(self) -> None:
        self._arrivals: dict[bytes, float] = {}
        self._duplicates = 0
        self._nameless = 0
        self._last = (b"", b"")

    def receive(self, head: bytes, body: bytes) -> None:
        """One POST is complete."""
        now = time.time()
        self._last = (head, body)
        name = header(head, EVENT_ID)
        if name is None:
            self._nameless += 1
        elif name in self._arrivals:
            self._duplicates += 1
        else:
            self._arrivals[name] = now

    def report(self, path: bytes) -> bytes:
        """The answer to `GET path`."""
        if path == b"/status":
            counts = {"arrived": len(self._arrivals), "duplicates": self._duplicates, "nameless": self._nameless}
            return json.dumps(counts | {"cpu_seconds": time.process_time()}).encode()
        if path == b"/arrivals":
            return json.dumps({name.decode(): at for name, at in self._arrivals.items()}).encode()
        return self._last[0] + b"\r\n\r\n" + self._last[1]


class Receiver(asyncio.Protocol):
    """One connection of a sender (or of the trial)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._framer = Framer()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own classes are not derived from it

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        assert self._transport is not None
        for head, body in self._framer.feed(data):
            if head.startswith(b"get "):
                answer = self._sink.report(head.split(b" ", 2)[1])
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            else:
                self._sink.receive(head, body)
                self._transport.write(_OK)


async def serve() -> None:
    """Serve on a free port of 127.0.0.1 until stdin closes."""
    loop = asyncio.get_running_loop()
    sink = Sink()
    server = await loop.create_server(lambda: Receiver(sink), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    closed = asyncio.Event()
    loop.add_reader(sys.stdin, closed.set)  # nobody writes to it: readable means closed
    await closed.wait()
    server.close()


def main() -> None:
    """Run the receiver."""
    uvloop.run(serve())


if __name__ == "__main__":
    main()
