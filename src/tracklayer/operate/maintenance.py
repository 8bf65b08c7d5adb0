"""What a TrackLayer does for its database by itself, about once an hour: days ahead are made, what is old is removed.

Of many processes on one database one does it at a time, and the others hear of it.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from tracklayer.errors import Unavailable
from tracklayer.metrics import Metrics
from tracklayer.model.event import encode_json
from tracklayer.ports import Clock
from tracklayer.store import Database
from tracklayer.store.partitions import Partitions
from tracklayer.store.pruning import Pruned, Pruner, Report
from tracklayer.store.retention import Retention

FIRST = 60.0  # seconds after the start
EVERY = 3600.0  # seconds
AGAIN = 300.0  # seconds until what failed is tried again
TURN = 500_173_827_950  # the key of the lock of who does it
PRUNED = "pruned"  # the topic of the announcement that it was done

log = structlog.get_logger("tracklayer.maintenance")


class LastPrune(msgspec.Struct, frozen=True, kw_only=True):
    """The last time that what is old was removed, by whichever process."""

    at: float  # unix seconds, when it had ended
    rows: int


class Maintenance:
    """Runs in the background from `start` to `stop`; `prune` does it now."""

    def __init__(self, database: Database, retention: Retention, clock: Clock, metrics: Metrics) -> None:
        self.retention = retention
        self.last: LastPrune | None = None  # since this process started
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._pruner = Pruner(database, clock)
        self._partitions = Partitions(database, clock) if database.shared else None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make what is needed now, and begin. What cannot be made now is made later; nothing depends on it."""
        try:
            await self._make_days()
        except Unavailable as error:
            log.warning("days_not_made", error=error.detail)
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it where it is: what is removed is removed, the rest has time."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def prune(self, *, dry_run: bool = False, report: Report | None = None) -> Pruned | None:
        """Remove what is old; None where another process is doing it. Raises `Unavailable`."""
        async with self._database.turn(TURN) as mine:
            if not mine:
                return None
            pruned, cutoffs = Pruned(), self.retention.cutoffs(self._clock.now())
            try:
                await self._pruner.prune(cutoffs, pruned=pruned, dry_run=dry_run, report=report)
            finally:
                if not dry_run:
                    self._metrics.pruned_rows.update(pruned.rows)
        if not dry_run:
            await self._tell(LastPrune(at=self._clock.now(), rows=pruned.total))
        return pruned

    def hear(self, about: str) -> None:
        """Another process has done it."""
        self.last = msgspec.json.decode(about, type=LastPrune)

    async def _tell(self, last: LastPrune) -> None:
        self.last = last
        if self._database.shared:
            await self._database.tell(PRUNED, {encode_json(last).decode()})

    async def _make_days(self) -> None:
        if self._partitions is not None:
            await self._partitions.ensure()

    async def _run(self) -> None:
        pause = FIRST
        while True:
            await self._clock.sleep(pause)
            started = self._clock.now()
            try:
                await self._make_days()
                pruned = await self.prune()
            except Unavailable as error:
                log.warning("not_pruned", error=error.detail)
                pause = AGAIN
            except Exception:
                log.exception("not_pruned")  # a fault of ours must not end it for good
                pause = EVERY
            else:
                pause = EVERY
                if pruned is not None and pruned.total:
                    seconds = round(self._clock.now() - started, 3)
                    log.info("pruned", rows=dict(pruned.rows), bytes=pruned.bytes, seconds=seconds)
