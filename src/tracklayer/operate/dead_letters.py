"""The dead-letter queue: look, group by cause, replay, discard.

A replay keeps the delivery's id and obeys the rate limit. One of many at a set pace is `replays`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

import msgspec

from tracklayer.catalog import Catalog, Destination
from tracklayer.errors import Conflict, NotFound
from tracklayer.flow.attempt import Attempter, Unsendable
from tracklayer.flow.engine import Engine
from tracklayer.flow.routing import ConsentNow, admit, remembered_for
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import Json
from tracklayer.model.work import Attempt, KeptRequest, Work
from tracklayer.operate.audit import Audit
from tracklayer.operate.body_diff import body_diff
from tracklayer.operate.reasons import checked_reason
from tracklayer.ports import Clock
from tracklayer.store import History, Queue
from tracklayer.store.causes import Cause, Causes
from tracklayer.store.history import DeliveryFilter, StoredDelivery

PAGE = 500
DIFFS = 10  # a dry run shows the first ten
SPARKLINE = 24  # hours
NOTHING_WAS_SENT = "nothing was sent: the request could not be rendered; use mode rerender"

Mode = Literal["as_sent", "rerender"]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator needs to decide."""

    delivery: StoredDelivery
    destination: Destination | None  # None: deleted
    request: KeptRequest | None  # None: nothing could be rendered
    last: Attempt | None


class BodyDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would send beside what was sent, secrets masked."""

    delivery_id: str
    as_sent: str | None
    rerendered: str | None
    error: str | None  # why nothing would be sent
    diff: str  # unified; empty where nothing changes


class BulkReplay(msgspec.Struct, frozen=True, kw_only=True):
    """What a bulk replay did, or in a dry run would do."""

    count: int
    dry_run: bool
    diffs: list[BodyDiff]


class DeadLetters:
    """Deliveries that gave up. Tests are no dead letters: nobody waits for them."""

    def __init__(
        self,
        catalog: Catalog,
        history: History,
        causes: Causes,
        queue: Queue,
        engine: Engine,
        attempter: Attempter,
        consent_now: ConsentNow,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._history = history
        self._causes = causes
        self._queue = queue
        self._engine = engine
        self._attempter = attempter
        self._consent_now = consent_now
        self._audit = audit
        self._clock = clock

    async def page(
        self, workspace_id: str, wanted: DeliveryFilter, *, limit: int, before: str | None
    ) -> list[StoredDelivery]:
        """A page of dead letters, newest first."""
        return await self._history.deliveries(workspace_id, of_the_dead(wanted), limit=limit, before=before)

    async def count(self, workspace_id: str, wanted: DeliveryFilter) -> int:
        """How many dead letters `wanted` selects."""
        return await self._history.count(workspace_id, of_the_dead(wanted))

    async def causes(self, workspace_id: str, wanted: DeliveryFilter) -> list[Cause]:
        """The dead letters that `wanted` selects, grouped by destination and cause: the 200 largest groups."""
        return await self._causes.all(workspace_id, of_the_dead(wanted))

    async def sparkline(self, workspace_id: str, destination_id: str, cause: str) -> list[int]:
        """Of one group, how many were accepted in each of the last 24 hours, the oldest first."""
        wanted = of_the_dead(DeliveryFilter(destination_id=destination_id, cause=cause))
        return await self._causes.by_hour(workspace_id, wanted, hours=SPARKLINE, now=self._clock.now())

    async def get(self, workspace_id: str, delivery_id: str) -> DeadLetter:
        """One dead letter. Raises `NotFound`."""
        return await self._letter(await self._dead(workspace_id, delivery_id))

    async def some(self, workspace_id: str, delivery_ids: Sequence[str]) -> dict[str, DeadLetter]:
        """Those of these ids that are dead letters still, by id."""
        wanted = DeliveryFilter(ids=tuple(delivery_ids))
        found = await self.page(workspace_id, wanted, limit=len(delivery_ids), before=None)
        requests = await self._history.kept_requests(delivery_ids)
        last = await self._history.last_attempts(delivery_ids)
        return {
            each.id: DeadLetter(
                delivery=each,
                destination=self._destination(each),
                request=requests.get(each.id),
                last=last.get(each.id),
            )
            for each in found
        }

    async def replay(self, workspace_id: str, delivery_id: str, mode: Mode, *, author: str) -> StoredDelivery:
        """Send one again. Raises `NotFound`, or `Conflict` where it cannot be sent that way."""
        letter = await self.get(workspace_id, delivery_id)
        if letter.destination is None:
            raise Conflict("the destination of this delivery is deleted: discard it", code="destination_deleted")
        if mode == "as_sent" and letter.request is None:
            raise Conflict(NOTHING_WAS_SENT, code="nothing_was_sent")
        if not await self.revive(workspace_id, [letter.delivery], mode):
            await self._dead(workspace_id, delivery_id)  # somebody was faster, and it says with what
            raise Conflict(f"delivery {delivery_id} is being changed by others; try again", code="busy")
        replayed = await self._delivery(workspace_id, delivery_id)
        detail: dict[str, Json] = {"mode": mode, "destination_id": letter.delivery.destination_id}
        await self._audit.record(
            workspace_id, actor=author, action="dead_letter.replayed", target=delivery_id, detail=detail
        )
        return replayed

    async def replay_all(
        self, workspace_id: str, wanted: DeliveryFilter, mode: Mode, *, dry_run: bool, author: str
    ) -> BulkReplay:
        """Replay every dead letter that `wanted` selects; a dry run only counts and compares bodies."""
        count = 0
        diffs: list[BodyDiff] = []
        try:
            async for page in self._pages(workspace_id, wanted):
                if not dry_run:
                    count += await self.revive(workspace_id, page, mode)
                    continue
                sendable = [each for each in page if self._destination(each) is not None]
                diffs += [await self._diff(each, mode) for each in sendable[: DIFFS - len(diffs)]]
                if mode == "as_sent":
                    count += len(await self._history.with_request([each.id for each in sendable]))
                else:
                    count += len(sendable)
        finally:  # also of one that failed half way, and then with what it did
            if count and not dry_run:
                detail: dict[str, Json] = {"count": count, "mode": mode}
                await self._record_all(workspace_id, "replayed_all", wanted, detail, author)
        return BulkReplay(count=count, dry_run=dry_run, diffs=diffs)

    async def discard(self, workspace_id: str, delivery_id: str, reason: str, *, author: str) -> StoredDelivery:
        """Let one go; it stays in the log as discarded. Raises `Invalid` without a reason."""
        reason = checked_reason(reason, "to discard takes a reason: say why")
        dead = await self._dead(workspace_id, delivery_id)
        if not await self._queue.discard(workspace_id, [delivery_id], reason=reason, now=self._clock.now()):
            await self._dead(workspace_id, delivery_id)  # somebody was faster, and it says with what
            raise Conflict(f"delivery {delivery_id} is being changed by others; try again", code="busy")
        detail: dict[str, Json] = {"reason": reason, "destination_id": dead.destination_id}
        await self._audit.record(
            workspace_id, actor=author, action="dead_letter.discarded", target=delivery_id, detail=detail
        )
        return await self._delivery(workspace_id, delivery_id)

    async def discard_all(self, workspace_id: str, wanted: DeliveryFilter, reason: str, *, author: str) -> int:
        """Let go of every dead letter that `wanted` selects, step by step. Answers how many.

        Raises `Invalid` without a reason: it stands at each of them, and in the audit trail.
        """
        reason = checked_reason(reason, "to discard many takes a reason: say why")
        count = 0
        try:
            async for page in self._pages(workspace_id, wanted):
                ids = [each.id for each in page]
                gone = await self._queue.discard(workspace_id, ids, reason=reason, now=self._clock.now())
                count += len(gone)
        finally:  # also of one that failed half way, and then with what it did
            if count:
                detail: dict[str, Json] = {"count": count, "reason": reason}
                await self._record_all(workspace_id, "discarded_all", wanted, detail, author)
        return count

    async def revive(self, workspace_id: str, dead: Sequence[StoredDelivery], mode: Mode) -> int:
        """Make dead letters pending again; those of deleted destinations stay, and `as_sent` those of which nothing
        was sent. Answers how many are.
        """
        now = self._clock.now()
        sendable = [each for each in dead if self._destination(each) is not None]
        ids = [each.id for each in sendable]
        revived = await self._queue.revive(workspace_id, ids, as_sent=mode == "as_sent", now=now) if ids else []
        for destination_id in {each.destination_id for each in sendable}:
            self._engine.notice(destination_id, now)
        return len(revived)

    async def _record_all(
        self, workspace_id: str, verb: str, wanted: DeliveryFilter, detail: dict[str, Json], author: str
    ) -> None:
        await self._audit.record(
            workspace_id,
            actor=author,
            action=f"dead_letter.{verb}",
            target=wanted.destination_id or "all destinations",
            detail={**detail, "filter": filter_detail(wanted)},
        )

    async def _pages(self, workspace_id: str, wanted: DeliveryFilter) -> AsyncIterator[list[StoredDelivery]]:
        """Every dead letter once, newest first: what dies again meanwhile does not come back."""
        before = None
        while page := await self.page(workspace_id, wanted, limit=PAGE, before=before):
            yield page
            before = page[-1].id

    async def _diff(self, delivery: StoredDelivery, mode: Mode) -> BodyDiff:
        letter = await self._letter(delivery)
        sent = _text(letter.request)
        again, error = await self._resent(letter, sent, mode)
        diff = body_diff(sent, again, names=("as sent", "rerendered"))
        return BodyDiff(delivery_id=delivery.id, as_sent=sent, rerendered=again, error=error, diff=diff)

    async def _resent(self, letter: DeadLetter, sent: str | None, mode: Mode) -> tuple[str | None, str | None]:
        """The body that a replay would send, secrets masked, and why it would not."""
        stored, destination = await self._history.event_of(letter.delivery), letter.destination
        if stored is None or destination is None:
            return None, "the event or the destination is no longer there"
        now = self._clock.now()
        remembered = await remembered_for(destination, stored.event, self._consent_now)
        admission = admit(destination, stored.event, now, remembered)
        if admission.stopped is not None:
            return None, admission.stopped
        if mode == "as_sent" and letter.request is None:
            return None, NOTHING_WAS_SENT
        if mode == "as_sent" and not admission.redacted:
            return sent, None
        work = Work(
            delivery_id=letter.delivery.id,
            destination_id=destination.id,
            event=admission.event,
            size=0,
            attempts=letter.delivery.attempts,
        )
        secrets = self._catalog.tenant(letter.delivery.workspace_id).secrets
        prepared = self._attempter.prepare(destination, work, secrets, now=now)
        error = prepared.failure.detail if isinstance(prepared, Unsendable) else None
        ready = prepared.prepared if isinstance(prepared, Unsendable) else prepared
        return (_text(self._attempter.keep(ready, now)) if ready else None), error

    async def _letter(self, delivery: StoredDelivery) -> DeadLetter:
        attempts = await self._history.attempts(delivery.id)
        return DeadLetter(
            delivery=delivery,
            destination=self._destination(delivery),
            request=await self._history.kept_request(delivery.id),
            last=attempts[-1] if attempts else None,
        )

    async def _dead(self, workspace_id: str, delivery_id: str) -> StoredDelivery:
        delivery = await self._delivery(workspace_id, delivery_id)
        if delivery.state is not DeliveryState.DEAD:
            raise Conflict(f"delivery {delivery_id} is {delivery.state.value}, not dead", code="not_dead")
        return delivery

    async def _delivery(self, workspace_id: str, delivery_id: str) -> StoredDelivery:
        delivery = await self._history.delivery(workspace_id, delivery_id)
        if delivery is None:
            raise NotFound(f"there is no delivery {delivery_id!r} in this workspace")
        return delivery

    def _destination(self, delivery: StoredDelivery) -> Destination | None:
        return self._catalog.tenant(delivery.workspace_id).destinations.get(delivery.destination_id)


def of_the_dead(wanted: DeliveryFilter) -> DeliveryFilter:
    """`wanted` among the dead letters."""
    return msgspec.structs.replace(wanted, state=DeliveryState.DEAD, test=False)


def filter_detail(wanted: DeliveryFilter) -> dict[str, Json]:
    """What an entry of the audit trail tells of a filter: what it asks for, and of ids how many."""
    chosen = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    return chosen if wanted.ids is None else {**chosen, "ids": len(wanted.ids)}


def _text(request: KeptRequest | None) -> str | None:
    return None if request is None or request.body is None else request.body.decode(errors="replace")
