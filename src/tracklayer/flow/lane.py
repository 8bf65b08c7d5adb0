"""One destination's lane: what waits for it in memory, and when the next may go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from tracklayer.catalog import Destination
from tracklayer.delivery.limits import Limit, Window
from tracklayer.errors import Unavailable
from tracklayer.flow.pace import Pace
from tracklayer.model.delivery import Verdict
from tracklayer.model.work import Work
from tracklayer.ports import Clock

HIGH_WATER = 5000  # deliveries that one lane holds in memory at the most
LOW_WATER = 200  # below it, the lane claims more from the store
TOKEN_PATIENCE = 30.0  # seconds that a synthetic test waits for the rate limit
ASKED = 0.01  # seconds between looks whether a shared rate limit has answered a synthetic test
OVERDUE = 1.0  # seconds after which what waits in the store is not overtaken by what is new


MakePace: TypeAlias = "Callable[[Lane, Limit, float], Pace]"
"""Lane, limit, now → the rate limit that the lane obeys."""


class Lane:
    """A destination's own queue, rate limit and concurrency: nothing in it can delay a neighbour."""

    def __init__(self, destination: Destination, *, cap: int, lease: float, now: float, make_pace: MakePace) -> None:
        """`cap` bounds the attempts in flight, `lease` is how long (seconds) a claimed delivery is ours."""
        self._lease = lease
        self.queue: deque[Work] = deque()
        self.reserved = 0  # deliveries that are being stored and will be queued here
        self.held: set[str] = set()  # ids in the queue, in flight or being settled
        self.renewed: set[str] = set()  # those of them that a claim brought once more, with a new lease
        self.in_flight: set[str] = set()
        self.window = Window(cap=cap)
        self.hold_until = 0.0  # the receiver asked everybody to wait (Retry-After)
        self.more_at: float | None = None  # when the store may have something that is not in memory
        self.task: asyncio.Task[None] | None = None
        self._make_pace = make_pace
        self._retired = False
        self._woken = asyncio.Event()
        self.destination = destination
        self._pace = None if destination.plan.limit is None else make_pace(self, destination.plan.limit, now)

    def update(self, destination: Destination, now: float) -> None:
        """Take a new version or status over."""
        self.destination = destination
        limit = destination.plan.limit
        if limit is None:
            self._pace = None
        elif self._pace is None:
            self._pace = self._make_pace(self, limit, now)
        else:
            self._pace.update(limit, now)
        self.wake()

    @property
    def is_open(self) -> bool:
        """Whether live traffic may flow."""
        return self.destination.is_live and not self._retired

    @property
    def is_idle(self) -> bool:
        """Nothing here and nothing known to come."""
        return not self.queue and not self.held and self.more_at is None

    @property
    def room(self) -> int:
        """How many more deliveries to hold: as many as can be sent while their lease lasts."""
        return max(0, self._most - len(self.queue) - self.reserved)

    @property
    def _most(self) -> int:
        limit = self.destination.plan.limit
        return HIGH_WATER if limit is None else min(HIGH_WATER, max(1, int(limit.rate * self._lease / 2)))

    def may_skip_the_store(self, now: float) -> bool:
        """Whether a new delivery may be queued here at once: there is room, and none in the store waits for long."""
        return self.is_open and self.room > 0 and (self.more_at is None or self.more_at > now - OVERDUE)

    def add(self, work: Work) -> bool:
        """Take a claimed delivery in; False where it is here already (its lease has just been renewed)."""
        if work.delivery_id in self.held:
            self.renewed.add(work.delivery_id)
            return False
        self.held.add(work.delivery_id)
        self.queue.append(work)
        return True

    def empty(self) -> list[Work]:
        """Take everything out of the queue again."""
        taken = list(self.queue)
        self.queue.clear()
        self.held.difference_update(work.delivery_id for work in taken)
        self.wake()
        return taken

    def retire(self) -> None:
        """The destination is deleted: nothing flows any more."""
        self._retired = True
        self.wake()

    def notice(self, at: float) -> None:
        """The store has something for this lane, claimable from `at` on."""
        self.more_at = at if self.more_at is None else min(at, self.more_at)
        self.wake()

    def should_claim(self, now: float) -> bool:
        """Whether it is time to ask the store."""
        low = min(LOW_WATER, (self._most + 1) // 2)
        return self.more_at is not None and self.more_at <= now and len(self.queue) < low

    def wait(self, now: float) -> float | None:
        """Seconds until the next delivery may go: 0 is now, and its token is spent; None: when woken."""
        if not self.queue:
            return None if self.more_at is None else max(0.001, self.more_at - now)
        if not self.window.admits(len(self.in_flight)):
            return None
        if self.hold_until > now:
            return self.hold_until - now
        return self.take_token(now)

    def take_token(self, now: float) -> float | None:
        """Spend one token of the rate limit: 0, or the seconds to wait for it (nothing spent); None: when woken."""
        return 0.0 if self._pace is None else self._pace.take(now, len(self.queue))

    async def wait_for_token(self, clock: Clock) -> None:
        """Spend one token when there is one. Raises `Unavailable` where that is more than half a minute away."""
        deadline = clock.now() + TOKEN_PATIENCE
        while (wait := self.take_token(clock.now())) != 0.0:
            wait = ASKED if wait is None else wait
            if clock.now() + wait > deadline:
                raise Unavailable(f"the rate limit leaves no room for {wait:.0f} s; try again later", code="rate_limit")
            await clock.sleep(wait)

    def expired(self, now: float) -> list[Work]:
        """Take out what has waited here so long that its lease would end before its answer came."""
        if not self.queue or self.queue[0].lease_until > now + self._margin:
            return []
        late = [work for work in self.queue if work.lease_until <= now + self._margin]
        self.queue = deque(work for work in self.queue if work.lease_until > now + self._margin)
        self.held.difference_update(work.delivery_id for work in late)
        return late

    @property
    def _margin(self) -> float:
        """Seconds of a lease that an attempt may need."""
        return min(self.destination.plan.renderer.timeout, self._lease / 2)

    def learn(self, verdict: Verdict, now: float) -> None:
        """Go slower or faster after what the receiver said at `now`."""
        if verdict.action == "retry":
            self.window.failure()
        else:
            self.window.success()
        if verdict.throttles and verdict.retry_after is not None:
            self.hold(now + verdict.retry_after)

    def hold(self, until: float) -> None:
        """Send nothing before `until`; 0 ends an earlier word."""
        self.hold_until = max(self.hold_until, until) if until else 0.0
        self.wake()

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
