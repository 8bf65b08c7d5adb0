"""What the processes on one PostgreSQL tell each other: LISTEN, on a connection of its own.

An announcement that is made while this connection is down is lost, so whoever listens is told of every gap, and looks
for itself. The same connection tells the database's time: hosts' clocks differ, and leases and rate limits must not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from tracklayer.errors import Unavailable
from tracklayer.store.clock import NOW, SharedClock
from tracklayer.store.postgresql import CHANNEL, CONNECTING, arguments_of, said

CHECK_EVERY = 5.0  # seconds between looks whether the connection lives, which also reads the clock
ANSWER = 3.0  # seconds that such a look may take
PAUSE = 0.5  # seconds before the first try to connect again; twice as many before each further one
LONGEST_PAUSE = 5.0

log = structlog.get_logger("tracklayer.store")


class Listening:
    """Listens for as long as it is started."""

    def __init__(
        self,
        url: str,
        clock: SharedClock,
        hear: Callable[[str, str], None],
        resume: Callable[[], Awaitable[None]],
    ) -> None:
        """`hear` is called with an announcement's topic and what it is about, `resume` after each gap."""
        self._arguments = arguments_of(make_url(url))
        self._clock = clock
        self._hear = hear
        self._resume = resume
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, read the clock and listen. Raises `Unavailable`."""
        try:
            connection = await self._connect()
        except _LOST as error:
            raise Unavailable(f"the database cannot be reached: {said(error)}") from error
        self._running = asyncio.create_task(self._run(connection))

    async def stop(self) -> None:
        """Stop listening."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            **self._arguments,
            timeout=CONNECTING,
            command_timeout=ANSWER,
            server_settings={"application_name": "tracklayer listening"},
        )
        try:
            await connection.add_listener(CHANNEL, self._told)
            await self._read_clock(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _run(self, connection: asyncpg.Connection) -> None:
        while True:
            try:
                await self._until_lost(connection)
            except Exception as error:  # whatever it is, nobody else would listen again
                _warn("listening_lost", error)
            finally:
                connection.terminate()
            connection = await self._connect_again()

    async def _until_lost(self, connection: asyncpg.Connection) -> None:
        """Look from time to time whether the other end is still there: a cut line says nothing by itself."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        while True:
            try:
                await asyncio.wait_for(lost.wait(), CHECK_EVERY)
            except TimeoutError:
                await self._read_clock(connection)
            else:
                raise ConnectionResetError("the server closed the connection")

    async def _connect_again(self) -> asyncpg.Connection:
        pause = PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
            try:
                connection = await self._connect()
            except Exception as error:
                _warn("listening_unavailable", error)
                continue
            try:
                await self._resume()
            except Exception as error:
                _warn("listening_unavailable", error)
                connection.terminate()
                continue
            log.info("listening_again")
            return connection

    async def _read_clock(self, connection: asyncpg.Connection) -> None:
        await self._clock.read(lambda: connection.fetchval(NOW))

    def _told(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        topic, _, about = str(payload).partition(" ")
        self._hear(topic, about)


_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def _warn(what: str, error: Exception) -> None:
    ours = not isinstance(error, (*_LOST, Unavailable))
    log.warning(what, error=said(error), exc_info=ours)
