"""The hot verbs: accept, claim, settle, release; and what operators do: revive, discard. Each is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select, update

from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import event_from_json
from tracklayer.model.work import Acceptance, Accepted, NewDelivery, Settlement, Work
from tracklayer.store.database import Database
from tracklayer.store.event_keys import EventKeys, Incoming
from tracklayer.store.facts import Memories, Memory
from tracklayer.store.history import read_kept_requests
from tracklayer.store.queue_rows import attempt_row, delivery_row, event_row, kept_row, settlement_row, user_rows
from tracklayer.store.queue_statements import (
    DUE_ONES,
    LEASED,
    NEXT_ONE,
    RELEASE,
    SETTLED,
    abandoned,
    leasing,
    settling,
)
from tracklayer.store.tables import (
    DEAD,
    PENDING,
    attempts,
    deliveries,
    destinations,
    event_users,
    events,
    kept_requests,
)

DUE = "due"  # the topic of announcements that a destination has something waiting


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a destination waits in the store, leased or not."""

    destination_id: str
    depth: int
    oldest_at: float  # unix seconds, when the oldest was accepted
    next_at: float  # unix seconds, when the next may be claimed


class Queue:
    """The deliveries of every workspace, as a queue for each destination."""

    def __init__(self, database: Database, *, worker: str, dedup_window: float) -> None:
        """`worker` names this process on its leases; `dedup_window` is in seconds."""
        self._database = database
        self._worker = worker
        self._dedup_window = dedup_window
        self.shared = database.shared
        self._in_doubt: dict[str, float] = {}  # delivery → until when a commit without an answer may have leased it
        self._memories = Memories(database)
        self._keys = EventKeys(database, window=dedup_window)
        self._select_due = database.statement(DUE_ONES)
        self._lease = database.rows_statement(leasing(database.row_of(**LEASED)))
        self._select_next = database.statement(NEXT_ONE)
        # Tests and rows of deleted destinations may have left `pending`, and are ours all the same.
        self._select_ours = database.statement(
            database.look_up(
                select(deliveries.c.id).where(deliveries.c.lease_owner == bindparam("owner")).with_for_update(),
                deliveries.c.id,
                "ids",
            )
        )
        self._insert_events = database.rows_statement(database.insert_rows(events))
        self._insert_users = database.rows_statement(database.insert_rows(event_users))
        self._insert_deliveries = database.rows_statement(database.insert_rows(deliveries))
        self._number = database.statement(
            update(deliveries).where(deliveries.c.id == bindparam("of")).values(position=database.next_position)
        )
        self._end_leases = database.rows_statement(settling(database.row_of(**SETTLED)))
        # A settlement is tried again when its commit's outcome is unknown, so an attempt may be there already.
        self._insert_attempts = database.rows_statement(database.insert_rows(attempts).on_conflict_do_nothing())
        keeping = database.insert_rows(kept_requests)
        self._upsert_kept = database.rows_statement(
            keeping.on_conflict_do_update(
                index_elements=["delivery_id"],
                set_={column.name: keeping.excluded[column.name] for column in kept_requests.c},
            )
        )

    async def accept(self, items: Sequence[Acceptance]) -> list[Accepted]:
        """Store events with their deliveries; the answer is in the order of `items`.

        An `event_id` that its workspace has accepted within the dedup window stores nothing; a test is always stored
        and makes no live event a duplicate. Raises `Unavailable`, and then nothing at all is stored.
        """
        return await self.take_in(items, lambda fresh, _memory: fresh)

    async def take_in(
        self, items: Sequence[Incoming], complete: Callable[[list[Incoming], Memory], Sequence[Acceptance]]
    ) -> list[Accepted]:
        """As `accept`, with events that `complete` makes whole within the transaction: only those that are new."""
        made: list[NewDelivery] = []

        def work(connection: Connection) -> list[Accepted]:
            known, taken = self._keys.look(connection, items)
            answers, new = _deduplicate(items, known, self._dedup_window)
            memory = self._memories.within(connection)
            fresh = complete(new, memory)
            memory.write()
            made[:] = (new for item in fresh for new in item.deliveries)
            self._insert_events.run(connection, map(event_row, fresh))
            self._keys.write(connection, (item for item in fresh if item.pk not in taken))
            self._insert_users.run(connection, (row for item in fresh for row in user_rows(item)))
            rows = (delivery_row(item, new, self._worker) for item in fresh for new in item.deliveries)
            self._insert_deliveries.run(connection, rows)
            ordered = ({"of": new.id} for item in fresh for new in item.deliveries if new.order_key is not None)
            self._number.run(connection, ordered)
            self._database.announce(connection, DUE, sorted(_for_others(fresh)))
            return answers

        if not items:
            return []
        try:
            return await self._database.write(work)
        except Unavailable as error:
            if error.in_doubt:
                self._in_doubt |= {new.id: new.lease_until for new in made if new.lease_until is not None}
            raise

    async def claim(self, destination_id: str, limit: int, *, now: float, lease_until: float) -> list[Work]:
        """Lease up to `limit` due deliveries of one destination, the longest due first."""
        found: list[Work] = []

        def work(connection: Connection) -> list[Work]:
            due = {"destination": destination_id, "now": now, "most": limit}
            found[:] = _work(connection, self._select_due.all(connection, due), lease_until)
            if found:
                lease = {"new_owner": self._worker, "until": lease_until}
                self._lease.run(connection, [{"of": each.delivery_id, **lease} for each in found])
            return found

        try:
            return await self._database.write(work)
        except Unavailable as error:
            if error.in_doubt:
                self._in_doubt |= {each.delivery_id: lease_until for each in found}
            raise

    async def end_doubts(self) -> None:
        """Give back what a commit without an answer has leased to this worker, which knows nothing of it."""
        doubts = self._in_doubt.copy()

        def work(connection: Connection) -> None:
            released: set[str] = set()
            for delivery_id, lease_until in doubts.items():
                ours = deliveries.c.lease_owner == self._worker, deliveries.c.available_at == lease_until
                statement = RELEASE.where(deliveries.c.id == delivery_id, *ours).returning(deliveries.c.destination_id)
                released.update(connection.execute(statement).scalars())
            self._database.announce(connection, DUE, sorted(released))

        if doubts:
            await self._database.write(work)
            for delivery_id in doubts:
                del self._in_doubt[delivery_id]

    async def settle(self, settlements: Sequence[Settlement]) -> list[str]:
        """End leases: write each delivery's new state with its attempt, and keep the request of a failed one.

        Answers the ids of those whose lease is not this worker's any more: it ran out, another worker has taken the
        delivery up, and what that one makes of it is not written over.
        """

        def work(connection: Connection) -> list[str]:
            ours = self._ours(connection, [item.delivery_id for item in settlements])
            mine = [item for item in settlements if item.delivery_id in ours]
            self._end_leases.run(connection, map(settlement_row, mine))
            self._insert_attempts.run(connection, [attempt_row(item) for item in mine if item.attempt is not None])
            self._upsert_kept.run(connection, [kept_row(item) for item in mine if item.kept is not None])
            return [item.delivery_id for item in settlements if item.delivery_id not in ours]

        return await self._database.write(work)

    async def release(self, delivery_ids: Collection[str]) -> None:
        """Give leases of ours back unspent: the deliveries are claimable again at their due time."""

        def work(connection: Connection) -> None:
            ours = self._ours(connection, delivery_ids)
            if ours:
                released = RELEASE.where(deliveries.c.id.in_(ours)).returning(deliveries.c.destination_id)
                self._database.announce(connection, DUE, sorted(set(connection.execute(released).scalars())))

        if delivery_ids:
            await self._database.write(work)

    def _ours(self, connection: Connection, delivery_ids: Collection[str]) -> set[str]:
        """Those whose lease this worker holds; their rows are locked for this transaction."""
        wanted = {"ids": self._database.many(delivery_ids), "owner": self._worker}
        return {row[0] for row in self._select_ours.all(connection, wanted)}

    async def release_all(self, *, now: float) -> int:
        """Give every lease back, whoever holds it. Only right where no other process works on this database.

        A synthetic test that was interrupted is let go: whoever waited for its answer is gone.
        """
        leased = (
            update(deliveries)
            .where(PENDING, deliveries.c.lease_owner.is_not(None))
            .values(lease_owner=None, available_at=deliveries.c.due_at)
        )

        def work(connection: Connection) -> int:
            connection.execute(abandoned(now))
            return connection.execute(leased).rowcount

        return await self._database.write(work, long=True)

    async def backlog(self) -> list[Backlog]:
        """What waits, for every destination that has anything waiting.

        Ids are ordered by time, so the least id is the oldest; only of that one a row is looked up.
        """
        waiting = (
            select(
                deliveries.c.destination_id,
                func.count().label("depth"),
                func.min(deliveries.c.id).label("oldest"),
                func.min(deliveries.c.available_at).label("next_at"),
            )
            .where(PENDING)
            .group_by(deliveries.c.destination_id)
            .subquery()
        )
        statement = select(
            waiting.c.destination_id, waiting.c.depth, deliveries.c.created_at.label("oldest_at"), waiting.c.next_at
        ).join_from(waiting, deliveries, deliveries.c.id == waiting.c.oldest)
        return await self._database.read(
            lambda connection: [Backlog(**row) for row in connection.execute(statement).mappings()]
        )

    async def next_at(self, destination_id: str) -> float | None:
        """When the next delivery of a destination may be claimed; None where none waits but for an earlier one."""
        found = await self._database.read(
            lambda connection: self._select_next.all(connection, {"destination": destination_id})
        )
        return found[0][0] if found else None

    async def due(self) -> dict[str, float]:
        """For every destination that was ever made and has something waiting, when the next may be claimed.

        One look into the index for each; what waits for an earlier one counts, too.
        """
        first = select(func.min(deliveries.c.available_at)).where(
            deliveries.c.destination_id == destinations.c.id, PENDING
        )
        statement = select(destinations.c.id, first.scalar_subquery())
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return {destination_id: at for destination_id, at in rows if at is not None}

    async def follow_clock(self, *, now: float) -> None:
        """What was put off at a time that the clock has come back from since is put off anew, from `now` on."""
        ahead = deliveries.c.updated_at - now
        statement = (
            update(deliveries)
            .where(PENDING, deliveries.c.available_at > now, deliveries.c.updated_at > now)
            .values(due_at=deliveries.c.due_at - ahead, available_at=deliveries.c.available_at - ahead, updated_at=now)
        )
        await self._database.write(lambda connection: connection.execute(statement), long=True)

    async def revive(self, workspace_id: str, delivery_ids: Sequence[str], *, as_sent: bool, now: float) -> list[str]:
        """Make dead letters pending again, due now, with their retries given back. Answers the ids of those.

        `as_sent`: of which no request is kept stays dead, for there is nothing to send once more.
        """
        values: dict[str, object] = {
            "state": DeliveryState.PENDING.value,
            "reason": None,
            "as_sent": as_sent,
            "retries": 0,
            "updated_at": now,
            "due_at": now,
            "available_at": now,
            "lease_owner": None,
        }
        kept = [exists().where(kept_requests.c.delivery_id == deliveries.c.id)] if as_sent else []
        return await self._change_dead(workspace_id, delivery_ids, values, *kept)

    async def discard(self, workspace_id: str, delivery_ids: Sequence[str], *, reason: str, now: float) -> list[str]:
        """Let dead letters go. Answers the ids that were dead."""
        values: dict[str, object] = {"state": DeliveryState.DISCARDED.value, "reason": reason, "updated_at": now}
        return await self._change_dead(workspace_id, delivery_ids, values)

    async def discard_pending(self, destination_id: str, *, now: float) -> int:
        """Let everything go that waits for a deleted destination. Answers how many."""
        return await self._discard(deliveries.c.destination_id == destination_id, now=now)

    async def discard_orphans(self, destination_id: str, *, now: float) -> int:
        """As `discard_pending`, for a destination that is deleted as far as this process knows.

        Where it is not (another process has just made it), nothing is let go.
        """
        deleted = select(destinations.c.id).where(
            destinations.c.id == destination_id, destinations.c.deleted_at.is_not(None)
        )
        return await self._discard(deliveries.c.destination_id.in_(deleted), now=now)

    async def _discard(self, condition: ColumnElement[bool], *, now: float) -> int:
        statement = (
            update(deliveries)
            .where(condition, PENDING)
            .values(
                state=DeliveryState.DISCARDED.value,
                reason="the destination was deleted",
                updated_at=now,  # what is on its way keeps its lease: how that ends is still to be written
            )
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount, long=True)

    async def let_go_of_tests(self, *, now: float) -> int:
        """Let synthetic tests go whose process has ended: whoever waited for their answer is gone, too."""
        return await self._database.write(
            lambda connection: connection.execute(abandoned(now).where(deliveries.c.available_at <= now)).rowcount
        )

    async def _change_dead(
        self, workspace_id: str, delivery_ids: Sequence[str], values: dict[str, object], *more: ColumnElement[bool]
    ) -> list[str]:
        statement = (
            update(deliveries)
            .where(deliveries.c.workspace_id == workspace_id, DEAD, deliveries.c.id.in_(delivery_ids), *more)
            .values(values)
            .returning(deliveries.c.id, deliveries.c.destination_id)
        )

        def work(connection: Connection) -> list[str]:
            changed = connection.execute(statement).all()
            if values["state"] == DeliveryState.PENDING.value:
                self._database.announce(connection, DUE, sorted({destination_id for _, destination_id in changed}))
            return [delivery_id for delivery_id, _ in changed]

        return await self._database.write(work)


def _deduplicate(
    items: Sequence[Incoming], known: dict[tuple[str, str], float], window: float
) -> tuple[list[Accepted], list[Incoming]]:
    """Answers in order, and those that are new; the first of two equal ids in one batch wins.

    Each item has its own window, for those that share a commit need not have come at the same moment.
    """
    answers, fresh = [], []
    for item in items:
        key = (item.workspace_id, item.event.event_id)
        earlier = known.get(key)
        if item.test:
            fresh.append(item)
            answers.append(Accepted(False, item.received_at))
        elif earlier is None or earlier <= item.received_at - window:
            known[key] = item.received_at
            fresh.append(item)
            answers.append(Accepted(False, item.received_at))
        else:
            answers.append(Accepted(True, earlier))
    return answers, fresh


def _for_others(items: Iterable[Acceptance]) -> set[str]:
    """The destinations that something waits for which this process has not taken into its own memory."""
    return {
        new.destination_id
        for item in items
        for new in item.deliveries
        if new.lease_until is None and new.state is DeliveryState.PENDING
    }


def _work(connection: Connection, rows: Sequence[tuple[Any, ...]], lease_until: float) -> list[Work]:
    """Rows of `DUE_ONES` as work."""
    replayed = [row[0] for row in rows if row[4]]
    kept = read_kept_requests(connection, replayed) if replayed else {}
    return [
        Work(
            delivery_id=delivery_id,
            destination_id=destination_id,
            event=event_from_json(body),
            size=len(body),
            attempts=attempts,
            retries=retries,
            created_at=created_at,
            kept=kept.get(delivery_id),
            test=bool(test),
            lease_until=lease_until,
        )
        for delivery_id, attempts, retries, created_at, _, test, destination_id, body in rows
    ]
