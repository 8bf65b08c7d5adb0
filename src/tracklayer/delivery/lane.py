"""One destination's lane: what waits for it in memory, and when the next may go."""

from __future__ import annotations

import asyncio
from collections import deque

from tracklayer.catalog import Destination
from tracklayer.delivery.limits import TokenBucket, Window
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.work import Work

HIGH_WATER = 1000  # deliveries that one lane holds in memory at the most
LOW_WATER = 200  # below it, the lane claims more from the store


class Lane:
    """A destination's own queue, rate limit and concurrency: nothing in it can delay a neighbour."""

    def __init__(self, destination: Destination, *, cap: int, lease: float, now: float) -> None:
        """`cap` bounds the attempts in flight, `lease` is how long (seconds) a claimed delivery is ours."""
        self._lease = lease
        self.queue: deque[Work] = deque()
        self.held: set[str] = set()  # ids in the queue, in flight or being settled
        self.in_flight: set[str] = set()
        self.window = Window(cap=cap)
        self.hold_until = 0.0  # the receiver asked everybody to wait (Retry-After)
        self.more_at: float | None = None  # when the store may have something that is not in memory
        self.task: asyncio.Task[None] | None = None
        self._bucket: TokenBucket | None = None
        self._woken = asyncio.Event()
        self.update(destination, now)

    def update(self, destination: Destination, now: float) -> None:
        """Take a new version or status over."""
        self.destination = destination
        limit = destination.plan.limit
        if limit is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(limit, now)
        else:
            self._bucket.update(limit, now)
        self.wake()

    @property
    def is_open(self) -> bool:
        """Whether live traffic may flow."""
        return self.destination.record.status is DestinationStatus.ACTIVE

    @property
    def is_idle(self) -> bool:
        """Nothing here and nothing known to come."""
        return not self.queue and not self.held and self.more_at is None

    @property
    def room(self) -> int:
        """How many more deliveries to hold: as many as can be sent while their lease lasts."""
        limit = self.destination.plan.limit
        most = HIGH_WATER if limit is None else min(HIGH_WATER, max(1, int(limit.rate * self._lease / 2)))
        return max(0, most - len(self.queue))

    def add(self, work: Work) -> bool:
        """Take a claimed delivery in; False where it is here already (its lease has just been renewed)."""
        if work.delivery_id in self.held:
            return False
        self.held.add(work.delivery_id)
        self.queue.append(work)
        return True

    def notice(self, at: float) -> None:
        """The store has something for this lane, claimable from `at` on."""
        self.more_at = at if self.more_at is None else min(at, self.more_at)
        self.wake()

    def should_claim(self, now: float) -> bool:
        """Whether it is time to ask the store."""
        return self.more_at is not None and self.more_at <= now and len(self.queue) < LOW_WATER and self.room > 0

    def wait(self, now: float) -> float | None:
        """Seconds until the next delivery may go: 0 is now, and its token is spent; None: when woken."""
        if not self.queue:
            return None if self.more_at is None else max(0.001, self.more_at - now)
        if not self.window.admits(len(self.in_flight)):
            return None
        if self.hold_until > now:
            return self.hold_until - now
        return self.take_token(now)

    def take_token(self, now: float) -> float:
        """Spend one token of the rate limit: 0, or the seconds to wait for it (nothing spent)."""
        return 0.0 if self._bucket is None else self._bucket.take(now)

    def wake(self) -> None:
        """Something changed: look again."""
        self._woken.set()

    async def sleep(self, seconds: float | None) -> None:
        """Until woken, or for `seconds`."""
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            self._woken.clear()
            if timer is not None:
                timer.cancel()
