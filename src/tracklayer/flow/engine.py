"""The engine: every destination's lane served side by side, each delivery carried to its next state.

```
ingest ──hand_over──▶ lane ──limit──▶ attempt (render → sign → send → classify) ──▶ retry? ──settle──▶ store
store  ──claim──────▶
```
A delivery that is in memory is leased in the store; what dies with the process is claimable again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import suppress

import msgspec
import structlog

from tracklayer.catalog import Catalog
from tracklayer.delivery.limits import Limit
from tracklayer.errors import Conflict, Unavailable
from tracklayer.flow.attempt import Attempter, broken_off
from tracklayer.flow.counting import Counting
from tracklayer.flow.lane import Lane
from tracklayer.flow.pace import OwnPace, Pace, SharedPace
from tracklayer.flow.report import report, report_suppressed
from tracklayer.flow.routing import ConsentNow, admit, remembered_for
from tracklayer.flow.settlement import settle, stopped
from tracklayer.flow.settling import STORE_PAUSE, Settling
from tracklayer.flow.tail import Tail
from tracklayer.metrics import Metrics
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Settlement, Work
from tracklayer.ports import Clock, Rng
from tracklayer.store import Queue
from tracklayer.store.paces import Paces

CLAIM = 200  # deliveries that one claim asks for at the most
CLAIMS = 3  # claims under way at once: however many lanes there are, accepting finds a connection
LOOK_EVERY = 5.0  # seconds
LOOK_AT_CLOCK_EVERY = 60.0  # seconds; a clock that is set back by less holds nothing up for long
TESTS_EVERY = 12  # looks
SCARCE_CLAIM = 8  # … while the memory for deliveries is used up, so that every lane still moves
CLAIMED_SIZE = 1024  # bytes of JSON that a claimed event is taken to have until it is there
OBJECTS = 8  # bytes in memory for every byte of an event's JSON: 4 to 8 for a shop's events

log = structlog.get_logger("tracklayer.engine")


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much at once, and for how long."""

    concurrency: int = 64  # attempts in flight for one destination
    lease: float = 60.0  # seconds that a claimed delivery is ours
    queue_bytes: int = 64 * 1024 * 1024  # memory for events, over all lanes
    delivers: bool = True  # False: others do; this process only accepts


class Engine:
    """Delivers whatever the store holds for this process."""

    def __init__(
        self,
        catalog: Catalog,
        queue: Queue,
        paces: Paces,
        attempter: Attempter,
        clock: Clock,
        rng: Rng,
        metrics: Metrics,
        counting: Counting,
        tail: Tail,
        consent_now: ConsentNow,
        options: EngineOptions,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._paces = paces
        self._attempter = attempter
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._counting = counting
        self._tail = tail
        self._consent_now = consent_now
        self._options = options
        self._lanes: dict[str, Lane] = {}
        self._bytes = 0  # of JSON, of the events in memory
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling = Settling(queue, clock, metrics)
        self._first_tokens: float | None = 0.0  # what was sent before the start is not known any more
        self._stop_asked = asyncio.Event()
        self._claims = asyncio.Semaphore(CLAIMS)
        self._stopping = False

    async def start(self) -> None:
        """Open the lanes and take up whatever waits in the store.

        Where this process delivers alone, every rate limit starts with nothing saved up.
        """
        self._take_over()
        self._first_tokens = None
        if not self._queue.shared:  # the clock is this machine's own
            await self._queue.follow_clock(now=self._clock.now())
            self._background(self._watch_clock())
        await self.resume()
        if self._queue.shared and self._options.delivers:
            self._background(self._keep_looking())

    async def resume(self) -> None:
        """Ask the store what waits, and who asked to be left alone. Raises `Unavailable`."""
        for destination_id, until in (await self._paces.holds(now=self._clock.now())).items():
            self.hold(destination_id, until)
        if self._options.delivers:
            await self._look()

    async def _look(self) -> None:
        await self._queue.end_doubts()
        for destination_id, at in (await self._queue.due()).items():
            self.notice(destination_id, at)

    async def _keep_looking(self) -> None:
        """The safety net below announcements: an event that nobody told of is found late, and not never."""
        looks = 0
        while not await self._stops_within(LOOK_EVERY * self._rng.uniform(0.9, 1.1)):
            looks += 1
            try:
                await self._look()
                if looks % TESTS_EVERY == 0:
                    await self._queue.let_go_of_tests(now=self._clock.now())
            except Exception as error:  # whatever it is, nothing else would look again
                log.warning("look_failed", error=str(error), exc_info=not isinstance(error, Unavailable))

    async def _watch_clock(self) -> None:
        """What waits for a moment would wait for longer where the clock is set back."""
        before, is_behind = self._clock.now(), False
        while not await self._stops_within(LOOK_AT_CLOCK_EVERY):
            now = self._clock.now()
            if now < before:
                log.warning("clock_set_back", seconds=round(before + LOOK_AT_CLOCK_EVERY - now))
                is_behind = True
            before = now
            try:
                if is_behind:
                    await self._follow_clock()
                    is_behind = False
            except Exception as error:  # whatever it is, nothing else would look again
                log.warning("clock_not_followed", error=str(error), exc_info=not isinstance(error, Unavailable))

    async def _follow_clock(self) -> None:
        """Let nothing wait for a time that the clock has come back from."""
        await self._queue.follow_clock(now=self._clock.now())
        for destination_id in list(self._lanes):
            await self.end_hold(destination_id)
        await self._look()

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop_asked.wait(), seconds)
        return self._stopping

    async def stop(self, patience: float) -> None:
        """No new attempts; those in flight get `patience` seconds; what is not sent goes back to the store."""
        self._stopping = True
        self._stop_asked.set()
        for lane in self._lanes.values():
            lane.wake()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        held = [delivery_id for lane in self._lanes.values() for delivery_id in lane.held]
        await self._queue.release(held)

    def refresh(self) -> None:
        """Take over what the catalog says now: new, changed, paused, resumed and deleted destinations."""
        self._take_over()

    def reserve(self, destination_id: str, size: int) -> float | None:
        """Keep memory for a delivery that is about to be stored, and say until when to lease it; None: there is none.

        What was reserved must be handed over, or `unreserve`d where it was not stored.
        """
        lane = self._lanes.get(destination_id)
        now = self._clock.now()
        if lane is None or not self._delivers or not lane.may_skip_the_store(now) or not self._has_memory(size):
            return None
        lane.reserved += 1
        self._bytes += size
        return now + self._options.lease

    def unreserve(self, destination_id: str, size: int) -> None:
        """Let go of what `reserve` kept."""
        self._bytes -= size
        if (lane := self._lanes.get(destination_id)) is not None:
            lane.reserved -= 1

    def hand_over(self, work: Work) -> None:
        """Take a delivery that was stored under a lease made by `reserve`."""
        self.unreserve(work.destination_id, work.size)
        lane = self._lanes.get(work.destination_id)
        if lane is None or not lane.is_open or not self._delivers:
            self._background(self._release([work.delivery_id]))
            self.notice(work.destination_id, self._clock.now())
        elif lane.add(work):
            self._bytes += work.size
            self._serve(lane)

    def notice(self, destination_id: str, at: float) -> None:
        """The store has a delivery for this destination, claimable from `at` on."""
        lane = self._lanes.get(destination_id)
        if lane is not None:
            lane.notice(at)
            self._serve(lane)
        elif self._delivers:  # deleted, while the event was being stored or attempted
            self._background(self._discard(destination_id))

    def hold(self, destination_id: str, until: float) -> None:
        """The receiver asked some process to wait until then; 0: somebody has ended that."""
        if (lane := self._lanes.get(destination_id)) is not None:
            lane.hold(until)

    def held_until(self, destination_id: str) -> float | None:
        """Until when (unix seconds) nothing is sent because the receiver asked for it; None: it has not."""
        lane = self._lanes.get(destination_id)
        return None if lane is None or lane.hold_until <= self._clock.now() else lane.hold_until

    async def end_hold(self, destination_id: str) -> None:
        """Send again, whatever the receiver asked for. Raises `Unavailable`."""
        if self.held_until(destination_id) is not None:
            await self._paces.end_hold(destination_id)
            self.hold(destination_id, 0.0)

    def is_sending(self, destination_id: str, delivery_id: str) -> bool:
        """Whether an attempt of this delivery is on its way right now."""
        lane = self._lanes.get(destination_id)
        return lane is not None and delivery_id in lane.in_flight

    def sending(self) -> list[str]:
        """The ids of the deliveries whose attempt is on its way right now."""
        return [delivery_id for lane in self._lanes.values() for delivery_id in lane.in_flight]

    async def take_token(self, destination_id: str) -> None:
        """Spend one token of the destination's rate limit, for the synthetic test. Raises as `Lane.wait_for_token`."""
        await self._lanes[destination_id].wait_for_token(self._clock)

    async def settle(self, settlement: Settlement) -> None:
        """Make the end of an attempt durable; waits for as long as the store needs to come back."""
        await self._settling.settle(settlement)

    @property
    def _delivers(self) -> bool:
        return self._options.delivers and not self._stopping

    def _make_pace(self, lane: Lane, limit: Limit, now: float) -> Pace:
        if self._queue.shared:
            return SharedPace(lane.destination.id, limit, self._paces, self._clock, lane.wake)
        return OwnPace(limit, now, self._first_tokens)

    def _take_over(self) -> None:
        now = self._clock.now()
        destinations = {each.id: each for each in self._catalog.destinations()}
        for destination_id in self._lanes.keys() - destinations.keys():
            lane = self._lanes.pop(destination_id)
            lane.retire()
            self._give_back(lane)
            if self._queue.shared and self._delivers:  # another process may have accepted for it until now
                self._background(self._discard(destination_id))
        for destination_id, destination in destinations.items():
            known = self._lanes.get(destination_id)
            if known is None:
                self._lanes[destination_id] = Lane(
                    destination,
                    cap=self._options.concurrency,
                    lease=self._options.lease,
                    now=now,
                    make_pace=self._make_pace,
                )
                if self._queue.shared:  # another process may have accepted for it already
                    self.notice(destination_id, now)
            elif known.destination is not destination:
                was_open = known.is_open
                known.update(destination, now)
                if known.is_open and not was_open:
                    self.notice(destination_id, now)
                elif not known.is_open:
                    self._give_back(known)

    def _has_memory(self, size: int) -> bool:
        return (self._bytes + size) * OBJECTS <= self._options.queue_bytes

    def _serve(self, lane: Lane) -> None:
        if lane.task is None and lane.is_open and self._delivers:
            lane.task = self._background(self._run(lane))
        lane.wake()

    async def _run(self, lane: Lane) -> None:
        """Serve one lane until it is idle, closed, or the engine stops."""
        try:
            while lane.is_open and not lane.is_idle and not self._stopping:
                now = self._clock.now()
                if late := lane.expired(now):
                    await self._let_go(lane, late)
                elif lane.should_claim(now) and (self._has_memory(0) or not lane.queue):
                    await self._claim(lane, now)
                elif (wait := lane.wait(now)) == 0:
                    self._launch(lane)
                else:
                    await lane.sleep(wait)
            if not lane.is_open:
                self._give_back(lane)  # what a claim brought while the lane was being closed
        finally:
            lane.task = None

    async def _claim(self, lane: Lane, now: float) -> None:
        limit = min(CLAIM if self._has_memory(0) else SCARCE_CLAIM, lane.room)
        expected = limit * CLAIMED_SIZE  # so that many lanes at once do not claim more than there is room for
        destination_id = lane.destination.id
        lane.more_at = None  # a notice that comes while we ask must not be lost
        self._bytes += expected
        try:
            async with self._claims:
                now = self._clock.now()
                found = await self._queue.claim(destination_id, limit, now=now, lease_until=now + self._options.lease)
                for work in found:
                    if lane.add(work):
                        self._bytes += work.size
                next_at = await self._queue.next_at(destination_id)
        except Exception as error:  # whatever it is, what waits must not be forgotten
            ours = not isinstance(error, Unavailable)
            log.warning("claim_failed", destination_id=destination_id, error=str(error), exc_info=ours)
            next_at = self._clock.now() + STORE_PAUSE
        finally:
            self._bytes -= expected
        if next_at is not None:
            lane.notice(next_at)

    async def _let_go(self, lane: Lane, late: list[Work]) -> None:
        """Give back what waited here for too long: another process may be faster, and we may claim it anew."""
        self._bytes -= sum(work.size for work in late)
        await self._release([work.delivery_id for work in late])
        lane.notice(self._clock.now())

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
            # What cannot even be written comes again when its lease runs out.
            log.exception("settling_failed", delivery_id=work.delivery_id, destination_id=lane.destination.id)
            lane.held.discard(work.delivery_id)
            lane.notice(self._clock.now() + self._options.lease)
        else:
            lane.held.discard(work.delivery_id)
            if self._tail.watched:
                self._tail.settled(lane.destination.record.workspace_id, work, settlement)
            if lane.destination.keeps_order:
                self.notice(work.destination_id, self._clock.now())  # what waited for this one
            if settlement.state is DeliveryState.PENDING:
                if work.delivery_id in lane.renewed:  # by a claim in the same transaction as its settlement
                    await self._release([work.delivery_id])
                self.notice(work.destination_id, settlement.due_at)
        finally:
            lane.in_flight.discard(work.delivery_id)
            lane.renewed.discard(work.delivery_id)
            self._bytes -= work.size
            self._serve(lane)

    async def _attempt(self, lane: Lane, work: Work) -> Settlement:
        destination = lane.destination
        if destination.unusable is not None:  # since a moment ago
            raise Conflict(f"it cannot be used: {destination.unusable}")
        remembered = await remembered_for(destination, work.event, self._consent_now)
        now = self._clock.now()
        admission = admit(destination, work.event, now, remembered)
        if admission.stopped is not None:
            report_suppressed(self._metrics, self._counting, destination.id, now)
            return stopped(work, destination, admission.stopped, now)
        work = admission.of(work)
        secrets = self._catalog.tenant(destination.record.workspace_id).secrets
        try:
            attempted = await self._attempter.attempt(destination, work, secrets)
            settlement = settle(work, destination, attempted, self._attempter, self._rng, note=admission.redacted)
        except Exception:
            # Our own fault, whatever it is. It counts, or what had been sent by then would be sent for ever.
            log.exception("attempt_failed", delivery_id=work.delivery_id, destination_id=destination.id)
            attempted = broken_off(destination, work, started_at=now, finished_at=self._clock.now())
            settlement = settle(work, destination, attempted, self._attempter, self._rng, note=admission.redacted)
        held = lane.hold_until
        lane.learn(attempted.verdict, attempted.finished_at)
        if lane.hold_until > held:
            self._background(self._tell_to_hold(destination.id, lane.hold_until))
        report(self._metrics, self._counting, work, attempted, settlement)
        return settlement

    def _give_back(self, lane: Lane) -> None:
        """Let go of what a paused or deleted destination's lane holds and has not begun to send."""
        given_back = lane.empty()
        self._bytes -= sum(work.size for work in given_back)
        if given_back:
            self._background(self._release([work.delivery_id for work in given_back]))

    def _background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run beside everything else; `stop` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _release(self, delivery_ids: Collection[str]) -> None:
        try:
            await self._queue.release(delivery_ids)
        except Unavailable as error:
            log.warning("release_failed", error=error.detail)  # their leases run out by themselves

    async def _tell_to_hold(self, destination_id: str, until: float) -> None:
        try:
            await self._paces.hold(destination_id, until, now=self._clock.now())
        except Unavailable as error:
            log.warning("hold_not_told", destination_id=destination_id, error=error.detail)

    async def _discard(self, destination_id: str) -> None:
        """Let go of what still came for a deleted destination."""
        while not self._stopping:  # the next start finds it again
            try:
                await self._queue.discard_orphans(destination_id, now=self._clock.now())
            except Unavailable as error:
                log.warning("discard_failed", destination_id=destination_id, error=error.detail)
                await self._clock.sleep(STORE_PAUSE)
            else:
                return
