"""The time by which events, leases and rate limits go: of a shared database, for hosts' clocks differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tracklayer.ports import Clock, SystemClock
from tracklayer.store.database import Database

NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
CERTAIN = 0.02  # seconds: a reading of the clock that took longer counts only where it is off by more than that


class SharedClock:
    """The database's time, read from time to time and carried on by this machine's monotonic clock."""

    def __init__(self) -> None:
        """Until the first reading it is 1970: an id that was made by a wrong clock would be in the way for long."""
        self._base = -time.monotonic()
        self._read_at: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether it was read at all."""
        return self._read_at is not None

    def now(self) -> float:
        """Unix time in seconds, as the database has it."""
        return self._base + time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, seconds))

    async def read(self, ask: Callable[[], Awaitable[float]]) -> None:
        """Read the database's clock; `ask` asks for `NOW`."""
        before = time.monotonic()
        theirs = await ask()
        self.set(theirs, before, time.monotonic())

    def set(self, theirs: float, before: float, after: float) -> None:
        """The database's clock said `theirs` at some moment between two readings of the monotonic clock."""
        base = theirs - (before + after) / 2
        uncertain = (after - before) / 2
        if self._read_at is None or uncertain <= CERTAIN or abs(base - self._base) > uncertain:
            self._base = base
            self._read_at = after


async def clock_of(database: Database) -> Clock:
    """The clock of whoever shares a database; of one process alone the machine's. Raises `Unavailable`."""
    if not database.shared:
        return SystemClock()
    clock = SharedClock()
    await read_once(clock, database)
    return clock


async def read_once(clock: SharedClock, database: Database) -> None:
    """Read the clock where nobody listens to the database yet. Raises `Unavailable`."""
    await clock.read(lambda: database.read(lambda connection: float(connection.exec_driver_sql(NOW).scalar_one())))
