"""How fast a lane may send: its rate limit, spent by this process alone or by all that share a database."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from tracklayer.delivery.limits import HORIZON, Limit, TokenBucket
from tracklayer.errors import Unavailable
from tracklayer.flow.settling import STORE_PAUSE
from tracklayer.ports import Clock
from tracklayer.store.paces import Grant, Paces

LATE = 0.08  # seconds after its time within which a granted token is still good: see `TokenBucket` on what may vary

log = structlog.get_logger("tracklayer.engine")


class Pace(Protocol):
    """A rate limit, as a lane sees it."""

    def take(self, now: float, waiting: int) -> float | None:
        """Spend a token for one of `waiting` deliveries: 0, or spend none and say after how many seconds one may be
        there; None: whoever waits is woken.
        """

    def update(self, limit: Limit, now: float) -> None:
        """Go on under another limit."""


class OwnPace:
    """The bucket of a process that delivers alone."""

    def __init__(self, limit: Limit, now: float, tokens: float | None = None) -> None:
        """It begins with `tokens`; None: with all of its burst."""
        self._bucket = TokenBucket(limit, now, tokens)

    def take(self, now: float, waiting: int) -> float | None:  # noqa: ARG002
        """See `Pace`."""
        return self._bucket.take(now)

    def update(self, limit: Limit, now: float) -> None:
        """See `Pace`."""
        self._bucket.update(limit, now)


class SharedPace:
    """A bucket in the store. Tokens come in small lots, each with the moment from which it may be used.

    A token that is not used in time goes back with the next question: sent later, it would arrive together with what
    other processes send, and be too many at once.
    """

    def __init__(self, destination_id: str, limit: Limit, paces: Paces, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` is called when an answer has come."""
        self._destination_id = destination_id
        self._limit = limit
        self._paces = paces
        self._clock = clock
        self._wake = wake
        self._times: deque[float] = deque()
        self._unused = 0
        self._again_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    def take(self, now: float, waiting: int) -> float | None:
        """See `Pace`."""
        while self._times and self._times[0] < now - LATE:
            self._times.popleft()
            self._unused += 1
        if self._times:
            if self._times[0] > now:
                return self._times[0] - now
            self._times.popleft()
            return 0.0
        if self._asking is not None:
            return None
        if self._again_at > now:
            return self._again_at - now
        self._asking = asyncio.create_task(self._ask(waiting))
        return None

    def update(self, limit: Limit, now: float) -> None:  # noqa: ARG002
        """See `Pace`; what was granted under the old limit goes back."""
        if limit != self._limit:
            self._unused += len(self._times)
            self._times.clear()
            self._limit = limit

    async def _ask(self, waiting: int) -> None:
        share = max(1, int(self._limit.rate * HORIZON))
        returned, self._unused = self._unused, 0
        try:
            grant = await self._paces.grant(
                self._destination_id,
                self._limit,
                wanted=min(max(1, waiting), share),
                returned=returned,
                now=self._clock.now(),
            )
        except Unavailable as error:
            log.warning("rate_limit_unavailable", destination_id=self._destination_id, error=error.detail)
            self._unused += returned
            grant = Grant(times=[], again_at=self._clock.now() + STORE_PAUSE)
        self._times.extend(grant.times)
        self._again_at = grant.again_at
        self._asking = None
        self._wake()
