"""What became of what each source sent, added up in memory and written to the store every two seconds.

As with the counts of attempts, a crash loses the last two seconds of them; nothing that was acknowledged is counted
nowhere else: the events themselves are in the store.
"""

from __future__ import annotations

import asyncio

import structlog

from tracklayer.errors import Unavailable
from tracklayer.ports import Clock
from tracklayer.store.sources import CountKey, SourceStore, Status

EVERY = 2.0  # seconds between writes
PRUNE_EVERY = 3600.0  # seconds
WEBHOOK_IDS_KEPT = 7 * 86_400.0  # seconds
DAYS_KEPT = 400
DAY = 86_400

log = structlog.get_logger("tracklayer.sources")


class SourceCounting:
    """Counts by source and day. Nothing runs while nothing is counted."""

    def __init__(self, store: SourceStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[CountKey, int] = {}
        self._writing: asyncio.Task[None] | None = None
        self._prune_at = 0.0

    def count(self, source_id: str, status: Status, count: int, now: float) -> None:
        """Count what was received at `now`."""
        if count:
            key = (source_id, int(now // DAY), status)
            self._counts[key] = self._counts.get(key, 0) + count
            if self._writing is None:
                self._writing = asyncio.create_task(self._run())

    def unwritten(self, source_id: str, day: int, status: Status) -> int:
        """What the store does not know yet."""
        return self._counts.get((source_id, day, status), 0)

    def forget(self, source_id: str) -> None:
        """Drop what is not written of a source that is removed."""
        self._counts = {key: count for key, count in self._counts.items() if key[0] != source_id}

    async def stop(self) -> None:
        """Write what is left; where the store cannot take it now, it is lost."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _run(self) -> None:
        try:
            while self._counts:
                await self._clock.sleep(EVERY)
                await self._write()
                await self._prune()
        finally:
            self._writing = None

    async def _write(self) -> None:
        """Write what there is now; what the store cannot take is kept."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._store.add_counts(counts)
        except Unavailable as error:
            log.warning("source_counts_not_written", error=error.detail)
            for key, count in counts.items():
                self._counts[key] = self._counts.get(key, 0) + count

    async def _prune(self) -> None:
        now = self._clock.now()
        if now < self._prune_at:
            return
        self._prune_at = now + PRUNE_EVERY
        try:
            await self._store.prune(webhooks_before=now - WEBHOOK_IDS_KEPT, days_before=int(now // DAY) - DAYS_KEPT)
        except Unavailable as error:
            log.warning("sources_not_pruned", error=error.detail)
