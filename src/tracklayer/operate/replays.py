"""Replays in the background: many dead letters revived oldest first, at a pace that the receiver can bear.

A replay is kept in memory only. A stop (which the audit tells) or a crash ends it, and what was not revived by then is
a dead letter as before: nothing is lost, and the same filter finds the rest. What was revived is a pending delivery
like any other.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from tracklayer.errors import Conflict, Invalid, NotFound, Unavailable
from tracklayer.identity import IdFactory
from tracklayer.model.event import Json
from tracklayer.operate.audit import SYSTEM, Audit
from tracklayer.operate.dead_letters import DeadLetters, Mode, filter_detail, of_the_dead
from tracklayer.ports import Clock
from tracklayer.store import History
from tracklayer.store.history import DeliveryFilter

KEPT = 50  # replays of one workspace that are remembered
LARGEST_STEP = 200  # dead letters revived in one transaction
BEAT = 0.25  # seconds between steps, where the pace is not slower than that
SLOWEST, FASTEST = 0.01, 10_000.0  # dead letters a second
STORE_PAUSE = 0.5  # seconds between tries while the store cannot commit

log = structlog.get_logger("tracklayer.replays")


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay has come. Its work is what was dead when it started: what dies later is left alone."""

    id: str
    workspace_id: str
    wanted: DeliveryFilter
    mode: Mode
    per_second: float | None  # None: as fast as the store takes them
    author: str
    total: int  # dead letters that `wanted` selected at the start
    started_at: float  # unix seconds
    done: int = 0  # revived
    skipped: int = 0  # no longer dead when their turn came, or of a deleted destination
    ended_at: float | None = None  # unix seconds; None: it runs
    cancelled: bool = False


class _Run:
    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.cancelled = False
        self.complete = False  # nothing was left
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        self.stopping.set()
        if self.task is not None:
            await self.task


class Replays:
    """The replays that run, and the last of those that did."""

    def __init__(self, dead_letters: DeadLetters, history: History, audit: Audit, clock: Clock, ids: IdFactory) -> None:
        self._dead_letters = dead_letters
        self._history = history
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._runs: dict[str, _Run] = {}  # by id, in the order in which they were started

    async def start(
        self, workspace_id: str, wanted: DeliveryFilter, mode: Mode, *, per_second: float | None, author: str
    ) -> Replay:
        """Begin to replay every dead letter that `wanted` selects, at most `per_second` of them in a second.

        The destinations' own rate limits hold besides. Raises `Invalid` for a pace out of range, and `Conflict` where
        too many replays run.
        """
        _check_pace(per_second)
        replay = Replay(
            id=self._ids.new("rpl"),
            workspace_id=workspace_id,
            wanted=wanted,
            mode=mode,
            per_second=per_second,
            author=author,
            started_at=self._clock.now(),
            total=await self._dead_letters.count(workspace_id, wanted),
        )
        self._make_room(workspace_id)
        run = self._runs[replay.id] = _Run(replay)  # at once: of many that come together none slips through
        detail: dict[str, Json] = {"mode": mode, "total": replay.total, "per_second": per_second}
        try:
            await self._record(replay, "started", author, {**detail, "filter": filter_detail(wanted)})
        except BaseException:
            del self._runs[replay.id]
            raise
        run.task = asyncio.create_task(self._run(run))
        return replay

    def all(self, workspace_id: str) -> list[Replay]:
        """Those that are remembered, newest first."""
        return [run.replay for run in reversed(self._runs.values()) if run.replay.workspace_id == workspace_id]

    def get(self, workspace_id: str, replay_id: str) -> Replay:
        """One replay as it stands now. Raises `NotFound`, also for one that is forgotten."""
        return self._find(workspace_id, replay_id).replay

    async def cancel(self, workspace_id: str, replay_id: str, *, author: str) -> Replay:
        """Stop after the step that is being made; one that has ended stays as it is. Raises `NotFound`."""
        run = self._find(workspace_id, replay_id)
        if run.replay.ended_at is None and not run.cancelled:
            run.cancelled = True
            await run.stop()
            await self._record(run.replay, "cancelled", author, {"done": run.replay.done, "total": run.replay.total})
        return run.replay

    async def stop(self) -> None:
        """End every replay where it stands; what is left stays dead, which the audit tells."""
        running = [run for run in self._runs.values() if run.replay.ended_at is None]
        await asyncio.gather(*(run.stop() for run in running))
        for replay in (run.replay for run in running if not run.complete):
            try:
                await self._record(replay, "interrupted", SYSTEM, {"done": replay.done, "total": replay.total})
            except Unavailable as error:
                log.warning("interruption_not_recorded", replay_id=replay.id, error=error.detail)

    def _find(self, workspace_id: str, replay_id: str) -> _Run:
        run = self._runs.get(replay_id)
        if run is None or run.replay.workspace_id != workspace_id:
            raise NotFound(f"there is no replay {replay_id!r}: the server remembers the last {KEPT} since it started")
        return run

    def _make_room(self, workspace_id: str) -> None:
        mine = [run.replay for run in self._runs.values() if run.replay.workspace_id == workspace_id]
        ended = [replay.id for replay in mine if replay.ended_at is not None]
        forgotten = ended[: max(0, len(mine) - KEPT + 1)]
        for replay_id in forgotten:
            del self._runs[replay_id]
        if len(mine) - len(forgotten) >= KEPT:
            raise Conflict(f"{KEPT} replays are running: wait for one or cancel it", code="too_many_replays")

    async def _run(self, run: _Run) -> None:
        try:
            run.complete = await self._revive_all(run)
        except Exception:  # our own fault, whatever it is: the rest stays dead, and the replay shows that it ended
            log.exception("replay_failed", replay_id=run.replay.id)
        replay, complete = run.replay, run.complete
        run.replay = msgspec.structs.replace(
            replay,
            ended_at=self._clock.now(),
            cancelled=run.cancelled and not complete,
            skipped=max(replay.skipped, replay.total - replay.done) if complete else replay.skipped,
        )
        log.info("replay_ended", replay_id=replay.id, total=replay.total, done=replay.done, complete=complete)

    async def _revive_all(self, run: _Run) -> bool:
        """Step by step until nothing is left (True) or the replay is told to stop."""
        pace = run.replay.per_second
        size = LARGEST_STEP if pace is None else max(1, min(LARGEST_STEP, int(pace * BEAT)))
        after = ""
        while not run.stopping.is_set():
            before = run.replay.done
            try:
                last = await self._step(run, size, after)
            except Unavailable as error:
                log.warning("replay_waits", replay_id=run.replay.id, error=error.detail)
                await self._pause(run, STORE_PAUSE)
                continue
            if last is None:
                return True
            after = last
            await self._pause(run, 0.0 if pace is None else (run.replay.done - before) / pace)
        return False

    async def _step(self, run: _Run, size: int, after: str) -> str | None:
        """Revive the next few; answers the id of the last one, None where none is left."""
        replay = run.replay
        dead = of_the_dead(replay.wanted)
        page = await self._history.oldest(replay.workspace_id, dead, limit=size, after=after)
        due = [each for each in page if each.updated_at <= replay.started_at]
        revived = await self._dead_letters.revive(replay.workspace_id, due, replay.mode)
        run.replay = msgspec.structs.replace(
            replay, done=replay.done + revived, skipped=replay.skipped + len(due) - revived
        )
        return page[-1].id if page else None

    async def _pause(self, run: _Run, seconds: float) -> None:
        """Let `seconds` pass, or less where the replay is told to stop."""
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(run.stopping.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _record(self, replay: Replay, verb: str, author: str, detail: dict[str, Json]) -> None:
        await self._audit.record(
            replay.workspace_id, actor=author, action=f"replay.{verb}", target=replay.id, detail=detail
        )


def _check_pace(per_second: float | None) -> None:
    if per_second is not None and not SLOWEST <= per_second <= FASTEST:
        raise Invalid(
            f"per_second is {per_second:g}, expected {SLOWEST:g} to {FASTEST:g} dead letters a second",
            code="invalid_pace",
            pointer="/per_second",
        )
