"""One connection to the local receiver: parses HTTP/1.1 (keep-alive, pipelined) and acts out what is asked of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from typing import Protocol, cast

import httptools
import msgspec

from tracklayer.demo.answers import Answer, Behaviour, CloseMidBody, Drip, Echo, Hang, Raw, Reset, head

_BAD_REQUEST = Raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close() sends RST


class Recorded(msgspec.Struct, frozen=True):
    """One request as it came in."""

    method: str
    target: str  # as on the request line: path and query
    headers: list[tuple[str, str]]  # in order, names in their original case
    body: bytes
    received_at: float  # unix time at which its last byte was there
    connection: int  # 1 for the first connection that the receiver took, and so on


class Desk(Protocol):
    """The receiver behind the connections."""

    def opened(self, connection: CountingConnection) -> int:
        """Register a connection; the answer is its number."""

    def closed(self, connection: CountingConnection) -> None:
        """Forget a connection."""

    def take(self, request: Recorded) -> Behaviour:
        """Take note of a request and say what to do with it."""


class CountingConnection(asyncio.Protocol):
    """Passes on requests without headers and body, which are not even looked at (httptools skips absent callbacks)."""

    _transport: asyncio.Transport

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._parser = httptools.HttpRequestParser(self)
        self._number = 0
        self._target: list[bytes] = []
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._waiting: deque[tuple[Recorded, Behaviour, bool]] = deque()  # pipelined behind a slow answer
        self._actor: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._number = self._desk.opened(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._desk.closed(self)
        if self._actor is not None:
            self._actor.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._act(Recorded("", "", [], b"", time.time(), self._number), _BAD_REQUEST, False)

    def on_message_begin(self) -> None:
        self._target, self._headers, self._chunks = [], [], []

    def on_url(self, part: bytes) -> None:
        self._target.append(part)

    def on_message_complete(self) -> None:
        request = Recorded(
            self._parser.get_method().decode("ascii"),
            b"".join(self._target).decode("latin-1"),
            self._headers,
            b"".join(self._chunks),
            time.time(),
            self._number,
        )
        self._act(request, self._desk.take(request), self._parser.should_keep_alive())

    def close(self) -> None:
        """Drop the connection, whatever is still to be said."""
        self._transport.abort()

    def _act(self, request: Recorded, behaviour: Behaviour, keep_alive: bool) -> None:
        if self._actor is None and isinstance(behaviour, Answer) and not behaviour.delay:
            self._transport.write(behaviour.raw)
            if not keep_alive:
                self._transport.close()
            return
        self._waiting.append((request, behaviour, keep_alive))
        if self._actor is None:
            self._actor = asyncio.get_running_loop().create_task(self._act_in_turn())

    async def _act_in_turn(self) -> None:
        while self._waiting and not self._transport.is_closing():
            request, behaviour, keep_alive = self._waiting.popleft()
            await self._perform(request, behaviour)
            if not keep_alive:
                self._transport.close()
        self._actor = None

    async def _perform(self, request: Recorded, behaviour: Behaviour) -> None:
        match behaviour:
            case Answer(delay=delay):
                await asyncio.sleep(delay)
                self._transport.write(behaviour.raw)
            case Hang():
                await asyncio.get_running_loop().create_future()
            case Drip():
                await self._drip(behaviour)
            case Reset():
                sock = self._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self._transport.abort()
            case CloseMidBody(body=body):
                self._transport.write(head(200, (), len(body)) + body[: len(body) // 2])
                self._transport.close()
            case Raw(data=data):
                self._transport.write(data)
                self._transport.close()
            case Echo():
                self._transport.write(_echo(request).raw)

    async def _drip(self, drip: Drip) -> None:
        slow = drip.body
        if drip.from_head:
            slow = head(200, (), len(drip.body)) + slow
        else:
            self._transport.write(head(200, (), len(drip.body)))
        for byte in slow:
            self._transport.write(bytes((byte,)))
            await asyncio.sleep(1 / drip.bytes_per_second)


class RecordingConnection(CountingConnection):
    """Passes on requests with their headers and bodies."""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)


def _echo(request: Recorded) -> Answer:
    shown = {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": request.body.decode("utf-8", "replace"),
    }
    return Answer(headers=(("Content-Type", "application/json"),), body=msgspec.json.encode(shown))
