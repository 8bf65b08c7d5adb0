"""What came of attempts, added up in memory and written to the store every two seconds.

A crash loses what was counted since the last write, and a commit whose outcome is unknown may be added twice: these are
counts for charts. What is owed to a receiver is in the deliveries themselves, which lose nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice

import structlog

from tracklayer.errors import Unavailable
from tracklayer.model.delivery import Failure, Response
from tracklayer.ports import Clock
from tracklayer.store.counts import HOUR, MINUTE, SUPPRESSED, CountKey, Counts, Step, bucket_of

EVERY = 2.0  # seconds between writes
LARGEST = 500  # counts in one transaction: about 6 ms for which nobody else can write
KEPT: Mapping[Step, float] = {MINUTE: 2 * 86_400.0, HOUR: 90 * 86_400.0}  # seconds that counts by that step are kept
PRUNE_EVERY = 3600.0  # seconds
PRUNED_SLOTS = 60  # of one destination that one transaction deletes

log = structlog.get_logger("tracklayer.engine")


class Counting:
    """Counts what happens to live deliveries. Nothing runs while nothing is counted."""

    def __init__(self, store: Counts, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counts: dict[CountKey, int] = {}
        self._writing: asyncio.Task[None] | None = None
        self._prune_at = 0.0

    def attempt(self, destination_id: str, action: str, result: Response | Failure, seconds: float, at: float) -> None:
        """Count an attempt that took `seconds` and ended at `at`; `action` is `delivered`, `retry` or `dead`."""
        self._add((destination_id, int(at) // MINUTE * MINUTE, action, _outcome(result), bucket_of(seconds)))

    def suppressed(self, destination_id: str, at: float) -> None:
        """Count a delivery that a rule kept from being sent."""
        self._add((destination_id, int(at) // MINUTE * MINUTE, SUPPRESSED, "", 0))

    async def stop(self) -> None:
        """Write what is left; where the store cannot take it now, it is lost."""
        if self._writing is not None:
            self._writing.cancel()  # a write that is under way ends by itself
            await asyncio.wait([self._writing])
        await self._write()

    def _add(self, key: CountKey) -> None:
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Write from time to time for as long as something is counted; the next count starts this again."""
        try:
            while self._counts:
                await self._clock.sleep(EVERY)
                await self._write()
                await self._prune()
        finally:
            self._writing = None

    async def _write(self) -> None:
        """Write what there is now; what the store cannot take is kept."""
        for _ in range(0, len(self._counts), LARGEST):
            lot = {key: self._counts.pop(key) for key in list(islice(self._counts, LARGEST))}
            try:
                await self._store.add(lot)
            except Unavailable as error:
                log.warning("counts_not_written", error=error.detail)
                for key, count in lot.items():
                    self._counts[key] = self._counts.get(key, 0) + count
                return

    async def _prune(self) -> None:
        """About once an hour, forget what is older than it is kept, in small transactions."""
        now = self._clock.now()
        if now < self._prune_at:
            return
        self._prune_at = now + PRUNE_EVERY
        try:
            for step, kept in KEPT.items():
                end = int(now - kept)
                while oldest := await self._store.oldest(step, before=end):
                    for destination_id, slot in oldest.items():
                        await self._store.forget(destination_id, step, before=min(end, slot + PRUNED_SLOTS * step))
        except Unavailable as error:
            log.warning("counts_not_pruned", error=error.detail)


def _outcome(result: Response | Failure) -> str:
    if isinstance(result, Failure):
        return result.kind
    return "429" if result.status == 429 else _CLASSES[result.status // 100]


_CLASSES = tuple(f"{hundreds}xx" for hundreds in range(10))
