"""The engine: every destination's lane served side by side, each delivery carried to its next state.

```
ingest ──hand_over──▶ lane ──limit──▶ attempt (render → sign → send → classify) ──▶ retry? ──settle──▶ store
store  ──claim──────▶
```
A delivery that is in memory is leased in the store; what dies with the process is claimable again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable

import msgspec
import structlog

from tracklayer.catalog import Catalog, Destination
from tracklayer.delivery.attempt import Attempted, Attempter
from tracklayer.delivery.lane import Lane
from tracklayer.delivery.settlement import end_as, settle, stopped
from tracklayer.errors import Unavailable
from tracklayer.metrics import Metrics
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Settlement, Work
from tracklayer.ports import Clock, Rng
from tracklayer.routing import stopped_by
from tracklayer.store import GroupCommit, Queue

CLAIM = 200  # deliveries that one claim asks for at the most
TOKEN_PATIENCE = 30.0  # seconds that a synthetic test waits for the rate limit
STORE_PAUSE = 0.5  # seconds between tries while the store cannot commit

log = structlog.get_logger("tracklayer.engine")


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much at once, and for how long."""

    concurrency: int = 64  # attempts in flight for one destination
    lease: float = 60.0  # seconds that a claimed delivery is ours
    queue_bytes: int = 64 * 1024 * 1024  # events in memory, over all lanes


class Engine:
    """Delivers whatever the store holds for this process."""

    def __init__(
        self,
        catalog: Catalog,
        queue: Queue,
        attempter: Attempter,
        clock: Clock,
        rng: Rng,
        metrics: Metrics,
        options: EngineOptions,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._attempter = attempter
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._options = options
        self._lanes: dict[str, Lane] = {}
        self._bytes = 0
        self._tasks: set[asyncio.Task[object]] = set()
        self._settling = GroupCommit(self._commit, largest=500)
        self._stopping = False

    async def start(self) -> None:
        """Open the lanes and take up whatever waits in the store."""
        self.refresh()
        for backlog in await self._queue.backlog():
            self.notice(backlog.destination_id, backlog.next_at)

    async def stop(self, patience: float) -> None:
        """No new attempts; those in flight get `patience` seconds; what is not sent goes back to the store."""
        self._stopping = True
        for lane in self._lanes.values():
            lane.wake()
        tasks = {lane.task for lane in self._lanes.values() if lane.task} | self._tasks
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        held = [delivery_id for lane in self._lanes.values() for delivery_id in lane.held]
        await self._queue.release(held)

    def refresh(self) -> None:
        """Take over what the catalog says now: new, changed, paused, resumed and deleted destinations."""
        now = self._clock.now()
        destinations = {each.id: each for each in self._catalog.destinations()}
        for destination_id in self._lanes.keys() - destinations.keys():
            self._close(self._lanes.pop(destination_id))
        for destination_id, destination in destinations.items():
            lane = self._lanes.get(destination_id)
            if lane is None:
                self._lanes[destination_id] = Lane(
                    destination, cap=self._options.concurrency, lease=self._options.lease, now=now
                )
            elif lane.destination is not destination:
                was_open = lane.is_open
                lane.update(destination, now)
                if lane.is_open and not was_open:
                    self.notice(destination_id, now)
                elif not lane.is_open:
                    self._close(lane)

    def reserve(self, destination_id: str, size: int) -> float | None:
        """Whether a delivery that is about to be stored may go straight into memory: until when to lease it."""
        lane = self._lanes.get(destination_id)
        if lane is None or self._stopping or not lane.is_open or not lane.room or not self._has_memory(size):
            return None
        return self._clock.now() + self._options.lease

    def hand_over(self, work: Work) -> None:
        """Take a delivery that was stored under a lease made by `reserve`."""
        lane = self._lanes.get(work.destination_id)
        if lane is None:  # deleted while the event was being stored
            self._background(self._queue.discard_pending(work.destination_id, now=self._clock.now()))
        elif not lane.is_open or self._stopping:
            self.notice(work.destination_id, self._clock.now() + self._options.lease)
        elif lane.add(work):
            self._bytes += work.size
            self._serve(lane)

    def notice(self, destination_id: str, at: float) -> None:
        """The store has a delivery for this destination, claimable from `at` on."""
        lane = self._lanes.get(destination_id)
        if lane is not None:
            lane.notice(at)
            self._serve(lane)

    def is_sending(self, destination_id: str, delivery_id: str) -> bool:
        """Whether an attempt of this delivery is on its way right now."""
        lane = self._lanes.get(destination_id)
        return lane is not None and delivery_id in lane.in_flight

    def sending(self) -> list[str]:
        """The ids of the deliveries whose attempt is on its way right now."""
        return [delivery_id for lane in self._lanes.values() for delivery_id in lane.in_flight]

    async def take_token(self, destination_id: str) -> None:
        """Wait for the destination's rate limit and spend one token: for the synthetic test.

        Raises `Unavailable` where the limit leaves no room within half a minute.
        """
        lane = self._lanes[destination_id]
        deadline = self._clock.now() + TOKEN_PATIENCE
        while (wait := lane.take_token(self._clock.now())) > 0:
            if self._clock.now() + wait > deadline:
                raise Unavailable(f"the rate limit leaves no room for {wait:.0f} s; try again later", code="rate_limit")
            await self._clock.sleep(wait)

    async def settle(self, settlement: Settlement) -> None:
        """Make the end of an attempt durable; waits for as long as the store needs to come back."""
        await self._settling.submit(settlement)

    def _has_memory(self, size: int) -> bool:
        return self._bytes + size <= self._options.queue_bytes

    def _serve(self, lane: Lane) -> None:
        if lane.task is None and lane.is_open and not self._stopping:
            lane.task = asyncio.create_task(self._run(lane))
        lane.wake()

    async def _run(self, lane: Lane) -> None:
        """Serve one lane until it is idle, closed, or the engine stops."""
        try:
            while lane.is_open and not lane.is_idle and not self._stopping:
                await self._claim(lane)
                wait = lane.wait(self._clock.now())
                if wait == 0:
                    self._launch(lane)
                else:
                    await lane.sleep(wait)
        finally:
            lane.task = None

    async def _claim(self, lane: Lane) -> None:
        now = self._clock.now()
        if not lane.should_claim(now) or not (self._has_memory(0) or not lane.queue):
            return
        limit = min(CLAIM, lane.room)
        destination_id = lane.destination.id
        lane.more_at = None  # a notice that comes while we ask must not be lost
        try:
            found = await self._queue.claim(destination_id, limit, now=now, lease_until=now + self._options.lease)
            for work in found:
                if lane.add(work):
                    self._bytes += work.size
            next_at = now if len(found) == limit else await self._queue.next_at(destination_id)
        except Unavailable as error:
            log.warning("claim_failed", destination_id=destination_id, error=error.detail)
            next_at = now + STORE_PAUSE
        if next_at is not None:
            lane.notice(next_at)

    def _launch(self, lane: Lane) -> None:
        work = lane.queue.popleft()
        lane.in_flight.add(work.delivery_id)
        self._background(self._deliver(lane, work))

    async def _deliver(self, lane: Lane, work: Work) -> None:
        """Carry one delivery to its next state."""
        try:
            settlement = await self._attempt(lane, work)
            await self.settle(settlement)
        except Exception:
            # Our own fault, whatever it is: the lease runs out and the delivery comes again, later than at once.
            log.exception("attempt_failed", delivery_id=work.delivery_id, destination_id=lane.destination.id)
            lane.held.discard(work.delivery_id)
            lane.notice(self._clock.now() + self._options.lease)
        else:
            lane.held.discard(work.delivery_id)
            if settlement.state is DeliveryState.PENDING:
                lane.notice(settlement.due_at)
        finally:
            lane.in_flight.discard(work.delivery_id)
            self._bytes -= work.size
            self._serve(lane)

    async def _attempt(self, lane: Lane, work: Work) -> Settlement:
        destination = lane.destination
        now = self._clock.now()
        rule = stopped_by(destination, work.event, now)
        if rule is not None:
            self._metrics.of(destination.id).suppressed.inc()
            return stopped(work, destination, rule, now)
        secrets = self._catalog.tenant(destination.record.workspace_id).secrets
        attempted = await self._attempter.attempt(destination, work, secrets)
        settlement = settle(work, destination, attempted, self._attempter, self._rng)
        self._learn(lane, attempted)
        self._report(destination, work, attempted, settlement)
        if destination.id not in self._lanes and settlement.state is DeliveryState.PENDING:
            return end_as(settlement, DeliveryState.DISCARDED, "the destination was deleted")
        return settlement

    def _learn(self, lane: Lane, attempted: Attempted) -> None:
        """Let the lane go slower or faster after what the receiver said."""
        verdict = attempted.verdict
        if verdict.action == "retry":
            lane.window.failure()
        else:
            lane.window.success()
        if verdict.throttles and verdict.retry_after is not None:
            lane.hold_until = max(lane.hold_until, attempted.finished_at + verdict.retry_after)

    def _report(self, destination: Destination, work: Work, attempted: Attempted, settlement: Settlement) -> None:
        """Count the attempt and write its one wide log line."""
        counters = self._metrics.of(destination.id)
        seconds = attempted.finished_at - attempted.started_at
        counters.attempt_seconds.observe(seconds)
        if settlement.state is DeliveryState.DELIVERED:
            counters.delivered.inc()
            counters.delivery_seconds.observe(max(0.0, attempted.finished_at - work.created_at))
        elif settlement.state is DeliveryState.PENDING:
            counters.retried.inc()
        else:
            counters.dead.inc()
        attempt = settlement.attempt
        assert attempt is not None  # noqa: S101 (an attempt was made)
        log.info(
            "attempt",
            delivery_id=work.delivery_id,
            event_id=work.event.event_id,
            event_name=work.event.event_name,
            destination_id=destination.id,
            version=attempt.version,
            attempt=attempt.number,
            state=settlement.state.value,
            status=attempt.status_code,
            error=attempt.error,
            rule=attempt.rule,
            latency_ms=round(seconds * 1000, 3),
            due_at=settlement.due_at if settlement.state is DeliveryState.PENDING else None,
            test=work.test,
        )

    async def _commit(self, settlements: list[Settlement]) -> list[None]:
        """Settle, however long the store needs: the receiver has the event, so this must not be forgotten."""
        while True:
            try:
                await self._queue.settle(settlements)
            except Unavailable as error:
                log.warning("settle_failed", deliveries=len(settlements), error=error.detail)
                await self._clock.sleep(STORE_PAUSE)
            else:
                return [None] * len(settlements)

    def _close(self, lane: Lane) -> None:
        """Give back what a paused or deleted destination's lane holds."""
        given_back = [work.delivery_id for work in lane.queue]
        self._bytes -= sum(work.size for work in lane.queue)
        lane.held.difference_update(given_back)
        lane.queue.clear()
        lane.wake()
        if given_back:
            self._background(self._release(given_back))

    def _background(self, work: Coroutine[None, None, object]) -> None:
        """Run beside everything else; `stop` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _release(self, delivery_ids: Iterable[str]) -> None:
        try:
            await self._queue.release(delivery_ids)
        except Unavailable as error:
            log.warning("release_failed", error=error.detail)  # their leases run out by themselves
