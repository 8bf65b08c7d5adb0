"""Removing what `retention` lets go: days at once where the tables have partitions, and in small steps everywhere.

A table is walked in the order of its key from the oldest end, so no step looks for anything: it reads some keys, asks
which of them stay, and deletes the others. After each step it rests for as long as that took, and a step that took long
is followed by a smaller one, so that whoever else writes hardly notices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, Select, Table, bindparam, delete, func, not_, select

from tracklayer.identity import first_id, made_at
from tracklayer.model.event import event_from_json
from tracklayer.ports import Clock
from tracklayer.store.database import Database, Work
from tracklayer.store.partitions import DAY, PREFIX, Partition, Partitions, physical
from tracklayer.store.retention import BESIDE, Cutoffs, delivery_stays, staying
from tracklayer.store.search import user_keys
from tracklayer.store.tables import PARTITIONED, deliveries, event_keys, event_users, events, metadata

WINDOW = 1000  # keys that are looked at together
FEWEST, FIRST, LARGEST = 10, 100, 1000  # keys of which one step deletes the rows
LONG = 0.05  # seconds that a step should not take
LONGEST_REST = 1.0
MOVED = 1000  # rows of a day that outlive it by moving elsewhere, at the most
ORDER = ("deliveries", "attempts", "kept_requests", "event_users", "events")  # what decides, before what follows


class Pruned(msgspec.Struct):
    """What was removed, or would be."""

    rows: Counter[str] = msgspec.field(default_factory=Counter)  # by table
    bytes: int = 0  # that are free now, or were given back; SQLite's file keeps them for what comes

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return self.rows.total()


class Progress(NamedTuple):
    """How far it has come."""

    table: str
    removed: int  # rows of it
    share: float  # of the time that is to be looked through, 0 to 1


Report: TypeAlias = Callable[[Progress], None]


class _Piece(NamedTuple):
    """What is walked: a table or a part of it, as far as `end`."""

    of: str  # the table's name
    part: Table
    end: str

    @property
    def key(self) -> str:
        """The column that its rows are removed by."""
        return PARTITIONED[self.of]


class _Window(NamedTuple):
    """Some keys of a piece, in order."""

    workspace_id: str  # of events; those of other tables are of any
    keys: list[str]


class Pruner:
    """Prunes one database. Whoever else works on it may do so; several pruners would only be in each other's way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._partitions = Partitions(database, clock) if database.shared else None
        self._lot = FIRST
        self._forget_user = database.statement(
            delete(event_users).where(*(column == bindparam(f"of_{column.name}") for column in event_users.c))
        )

    async def prune(
        self,
        cutoffs: Cutoffs,
        *,
        pruned: Pruned | None = None,
        dry_run: bool = False,
        report: Report | None = None,
    ) -> Pruned:
        """Remove what may go, or only count it (without what serves to find events). Raises `Unavailable`, and what
        was done before stands in `pruned`.

        Where the tables have partitions, the last day before a cutoff goes when all of it is older.
        """
        pruned = Pruned() if pruned is None else pruned
        for table in ORDER:
            if not dry_run:
                for day in await self._days(table, cutoffs):
                    await self._drop(day, cutoffs, pruned)
            if table == event_users.name:
                continue  # what is left there goes with its events
            for piece in await self._pieces(table, cutoffs):
                await self._walk(piece, cutoffs, pruned, dry_run=dry_run, report=report)
        return pruned

    async def _walk(
        self, piece: _Piece, cutoffs: Cutoffs, pruned: Pruned, *, dry_run: bool, report: Report | None
    ) -> None:
        first = ""

        def tell(key: str) -> None:
            if report is not None:
                report(Progress(piece.of, pruned.rows[piece.of], _share(first, key, piece.end)))

        async for window in self._windows(piece):
            first = min(first or window.keys[0], window.keys[0])
            going = await self._going(piece, window, cutoffs, foreseen=dry_run)
            if going and dry_run:
                pruned.rows[piece.of] += await self._count(piece, going)
                going = []
            while going:
                lot, going = going[: self._lot], going[self._lot :]
                await self._delete(piece, window.workspace_id, lot, cutoffs, pruned)
                tell(lot[-1])
            tell(window.keys[-1])

    async def _days(self, table: str, cutoffs: Cutoffs) -> list[Partition]:
        """The days that are over, as far as `cutoffs` goes."""
        if self._partitions is None:
            return []
        over = int(cutoffs.of(table) // DAY)
        return [each for each in await self._partitions.all() if each.table == table and each.day < over]

    async def _drop(self, day: Partition, cutoffs: Cutoffs, pruned: Pruned) -> None:
        """Drop a day, unless there is too much in it that stays: then it is left for small steps."""
        assert self._partitions is not None  # noqa: S101 (it has days)
        keys = await self._partitions.weigh(day, MOVED, staying(day.table, cutoffs))
        if keys is None:
            return
        if day.table == events.name:
            await self._forget_ids(_Piece(day.table, physical(day.table, day.name), day.end), cutoffs, pruned)
        dropped = await self._partitions.drop(day, keys, cutoffs)
        pruned.rows[day.table] += dropped.rows
        pruned.bytes += dropped.bytes

    async def _pieces(self, table: str, cutoffs: Cutoffs) -> list[_Piece]:
        """What is to be walked of a table."""
        end = first_id(PREFIX[table], cutoffs.of(table))
        if self._partitions is None:
            return [_Piece(table, metadata.tables[table], end)]
        days = [_Piece(table, physical(table, day.name), day.end) for day in await self._days(table, cutoffs)]
        return [*days, _Piece(table, physical(table, f"{table}_default"), end)]

    async def _windows(self, piece: _Piece) -> AsyncIterator[_Window]:
        """The keys of a piece, some at a time."""
        column = piece.part.c[piece.key]
        of_events = piece.of == events.name
        workspace_id: str | None = await self._workspace_behind(piece, "") if of_events else ""
        while workspace_id is not None:
            after = ""
            while True:
                statement = select(column).where(column > after, column < piece.end).order_by(column)
                if of_events:
                    statement = statement.where(piece.part.c.workspace_id == workspace_id)
                keys = await self._read_keys(statement.limit(WINDOW))
                if not keys:
                    break
                yield _Window(workspace_id, list(dict.fromkeys(keys)))
                after = keys[-1]
            workspace_id = await self._workspace_behind(piece, workspace_id) if of_events else None

    async def _workspace_behind(self, piece: _Piece, workspace_id: str) -> str | None:
        statement = select(func.min(piece.part.c.workspace_id)).where(piece.part.c.workspace_id > workspace_id)
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def _going(self, piece: _Piece, window: _Window, cutoffs: Cutoffs, *, foreseen: bool = False) -> list[str]:
        """Those of a window that do not stay."""
        statement = staying(piece.of, cutoffs, foreseen=foreseen)
        statement = statement.where(self._database.one_of(statement.selected_columns[0], "keys"))
        if piece.of == events.name:
            first, last = made_at(window.keys[0]) - BESIDE, made_at(window.keys[-1]) + BESIDE
            statement = statement.where(
                deliveries.c.id >= first_id("dlv", first), deliveries.c.id < first_id("dlv", last)
            )
        stay = set(await self._read_keys(statement, window.keys))
        return [key for key in window.keys if key not in stay]

    async def _read_keys(self, statement: Select[Any], keys: Sequence[str] = ()) -> list[str]:
        given = {"keys": self._database.many(keys)} if keys else {}
        return await self._database.read(lambda connection: list(connection.execute(statement, given).scalars()))

    async def _count(self, piece: _Piece, keys: Sequence[str]) -> int:
        of = piece.part.c[piece.key]
        statement = select(func.count()).select_from(piece.part).where(self._database.one_of(of, "keys"))
        given = {"keys": self._database.many(keys)}
        return await self._database.read(lambda connection: connection.execute(statement, given).scalar_one())

    async def _delete(
        self, piece: _Piece, workspace_id: str, keys: Sequence[str], cutoffs: Cutoffs, pruned: Pruned
    ) -> None:
        """Delete rows by their keys, and what serves to find them."""
        table = metadata.tables[piece.of]
        statement = delete(table).where(self._database.one_of(table.c[piece.key], "keys"))
        if table is deliveries:
            statement = statement.where(not_(delivery_stays(cutoffs)))  # a dead letter may have been revived meanwhile
        given = {"keys": self._database.many(keys)}

        def work(connection: Connection) -> Pruned:
            done, unused = Pruned(), self._database.unused(connection)
            if table is events:
                gone = connection.execute(
                    statement.where(events.c.workspace_id == workspace_id).returning(events), given
                )
                found = gone.all()
                done.rows[events.name] = len(found)
                done.rows[event_users.name] = self._forget_users(connection, found)
                ids = [row.event_id for row in found]
                done.rows += self._forget(connection, workspace_id=workspace_id, ids=ids, pks=keys).rows
            else:
                done.rows[table.name] = connection.execute(statement, given).rowcount
            done.bytes = self._database.unused(connection) - unused
            return done

        await self._step(work, pruned)

    async def _forget_ids(self, piece: _Piece, cutoffs: Cutoffs, pruned: Pruned) -> None:
        """Of the events that do not stay, forget the ids: they lie in a table that has no days."""
        async for window in self._windows(piece):
            going = await self._going(piece, window, cutoffs)
            of = piece.part.c
            statement = select(of.event_id).where(of.workspace_id == window.workspace_id)
            while going:
                lot, going = going[: self._lot], going[self._lot :]
                ids = await self._read_keys(statement.where(self._database.one_of(of.pk, "keys")), lot)
                await self._step(partial(self._forget, workspace_id=window.workspace_id, ids=ids, pks=lot), pruned)

    def _forget(self, connection: Connection, *, workspace_id: str, ids: Sequence[str], pks: Sequence[str]) -> Pruned:
        """Forget the ids of events, where they are not those of newer ones by now."""
        statement = delete(event_keys).where(
            event_keys.c.workspace_id == workspace_id,
            self._database.one_of(event_keys.c.event_id, "ids"),
            self._database.one_of(event_keys.c.event_pk, "pks"),
        )
        given = {"ids": self._database.many(ids), "pks": self._database.many(pks)}
        return Pruned(rows=Counter({event_keys.name: connection.execute(statement, given).rowcount}))

    def _forget_users(self, connection: Connection, found: Sequence[Row[Any]]) -> int:
        rows = [
            {"of_workspace_id": row.workspace_id, "of_user_key": key, "of_event_pk": row.pk}
            for row in found
            for key in user_keys(event_from_json(row.body))
        ]
        self._forget_user.run(connection, rows)
        return len(rows)

    async def _step(self, work: Work[Pruned], pruned: Pruned) -> None:
        """One transaction, then a rest."""
        started = self._clock.now()
        done = await self._database.write(work, long=True)
        took = max(0.0, self._clock.now() - started)
        pruned.rows += done.rows
        pruned.bytes += done.bytes
        self._lot = max(FEWEST, self._lot // 2) if took > LONG else min(LARGEST, self._lot * 2)
        await self._clock.sleep(min(took, LONGEST_REST))


def _share(first: str, key: str, end: str) -> float:
    since, until = made_at(first), made_at(end)
    return min(1.0, (made_at(key) - since) / (until - since)) if until > since else 1.0
