"""A TCP proxy that does to connections what networks do: it cuts them, between any two bytes, and lets packets vanish.

with TcpProxy(postgres.port) as proxy:
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
    proxy.cut_commits(every=5, answered=True)
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, Self, TypeVar

T = TypeVar("T")

COMMIT = b"COMMIT;\x00"  # the end of a client's message in PostgreSQL's protocol; no text in it holds a NUL
NEVER = 2**62
CHUNK = 256 * 1024
PATIENCE = 15.0  # seconds


class TcpProxy:
    """Forwards connections to a port of 127.0.0.1, on a loop of its own in a thread of this process."""

    def __init__(self, target: int, *, host: str = "127.0.0.1") -> None:
        """`host` is the address that it listens on."""
        self.host = host
        self.port = 0
        self.cuts = 0  # connections that `cut_commits` has cut
        self.refused = 0  # … that found no server
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._serving: set[asyncio.Task[Any]] = set()
        self._cut_every = NEVER
        self._cut_answered = False
        self._commits = count(1)

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def aim(self, target: int) -> None:
        """From now on this address is another server's; connections to the old one are cut."""

        def aim() -> None:
            self._target = target
            self._cut()

        self._call(aim)

    def cut(self) -> None:
        """Cut every connection."""
        self._call(self._cut)

    def part(self) -> None:
        """Let everything vanish, either way and without a word, until `join`."""
        self._call(self._flowing.clear)

    def join(self) -> None:
        """End the partition. What was under way arrives late, as what TCP sends again does."""
        self._call(self._flowing.set)

    def silence(self) -> None:
        """Let everything of the connections there are vanish for good; new ones are as they should be."""

        def silence() -> None:
            self._flowing.clear()
            self._flowing = asyncio.Event()
            self._flowing.set()

        self._call(silence)

    def cut_commits(self, *, every: int, answered: bool) -> None:
        """Cut the connection of every so-manieth COMMIT: before it reaches the server; `answered`: once the server has
        done it, in place of its answer.
        """

        def set_cutting() -> None:
            self._cut_every, self._cut_answered = every, answered

        self._call(set_cutting)

    def spare_commits(self) -> None:
        """The end of `cut_commits`."""
        self.cut_commits(every=NEVER, answered=False)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, self.host, self.port, limit=CHUNK))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _call(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._run(call())  # type: ignore[no-any-return]

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _cut(self) -> None:
        for task in self._serving:
            task.cancel()

    async def _serve(self, client: StreamReader, to_client: StreamWriter) -> None:
        work = asyncio.create_task(self._connect(client, to_client))
        self._serving.add(work)
        await asyncio.wait([work])
        self._serving.remove(work)
        if not work.cancelled():
            work.result()

    async def _connect(self, client: StreamReader, to_client: StreamWriter) -> None:
        """One connection, to its end; where one side is gone or cut off, the other follows."""
        writers = [to_client]
        ways: list[asyncio.Task[None]] = []
        flowing = self._flowing
        try:
            await flowing.wait()
            server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(to_server)
            doomed = asyncio.Event()  # the next answer is not to arrive
            ways = [
                asyncio.create_task(self._forward(client, to_server, flowing, lambda data: self._passes(data, doomed))),
                asyncio.create_task(self._forward(server, to_client, flowing, lambda _: not doomed.is_set())),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            self.refused += 1
        finally:
            for way in ways:
                way.cancel()
            for writer in writers:
                writer.transport.abort()

    async def _forward(
        self, reader: StreamReader, writer: StreamWriter, flowing: asyncio.Event, passes: Callable[[bytes], bool]
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await flowing.wait()
                if not passes(data):
                    return
                writer.write(data)
                await writer.drain()

    def _passes(self, request: bytes, doomed: asyncio.Event) -> bool:
        if not request.endswith(COMMIT) or next(self._commits) % self._cut_every:
            return True
        self.cuts += 1
        if self._cut_answered:
            doomed.set()
        return self._cut_answered
