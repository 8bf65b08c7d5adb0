"""Making the ends of attempts durable: many in one commit, and however long the store needs."""

from __future__ import annotations

import structlog

from tracklayer.errors import Unavailable
from tracklayer.metrics import Metrics
from tracklayer.model.work import Settlement
from tracklayer.ports import Clock
from tracklayer.store import GroupCommit, Queue

LARGEST = 500  # settlements in one commit
SHOWN = 10  # ids in a log line
STORE_PAUSE = 0.5  # seconds between tries while the store cannot commit

log = structlog.get_logger("tracklayer.engine")


class Settling:
    """Settles deliveries. The receiver has had the request, so what came of it must not be forgotten."""

    def __init__(self, queue: Queue, clock: Clock, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queue = queue
        self._clock = clock
        self._commits: GroupCommit[Settlement, None] = GroupCommit(self._commit, largest=LARGEST)

    async def settle(self, settlement: Settlement) -> None:
        """Return when it is durable. Raises what the store refuses it for, but never that the store is unavailable."""
        await self._commits.submit(settlement)

    async def _commit(self, settlements: list[Settlement]) -> list[Exception | None]:
        """One that the store refuses takes none of the others with it."""
        while True:
            try:
                late = await self._queue.settle(settlements)
            except Unavailable as error:
                log.warning("settle_failed", deliveries=len(settlements), error=error.detail)
                await self._clock.sleep(STORE_PAUSE)
            except Exception as error:
                if len(settlements) == 1:
                    return [error]
                return [(await self._commit([each]))[0] for each in settlements]
            else:
                if late:  # also where a first try was durable although its answer was lost
                    self._metrics.late_settlements += len(late)
                    log.warning("settled_too_late", deliveries=late[:SHOWN], count=len(late))
                return [None] * len(settlements)
