"""The days of the tables that grow with the traffic (`PARTITIONED`), on PostgreSQL: made ahead, dropped when old.

The partition of a day (UTC) holds the ids that were made on it. What no day takes lies in the default partition: what
outlived its day, and whatever came while a day could not be made. Making and dropping take locks that stop everybody
for some milliseconds; whoever does not get them soon gives up and tries again later, for the rest would queue behind.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    Connection,
    Insert,
    MetaData,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    inspect,
    or_,
    select,
    text,
)

from tracklayer.errors import Unavailable
from tracklayer.identity import first_id
from tracklayer.ports import Clock
from tracklayer.store.database import Database, Work
from tracklayer.store.retention import BESIDE, Cutoffs
from tracklayer.store.tables import DEAD, PARTITIONED, PENDING, deliveries, metadata

DAY = 86_400
AHEAD = 7  # days
LOCK_TIMEOUT = 0.4  # seconds to wait for a lock that everybody else then waits behind
TRIES = 5  # for that lock
MAKING = 500_173_827_949  # the key of the advisory lock of who makes days
PAUSE = 1.0  # seconds between them
PREFIX = {table: "evt" if key in ("pk", "event_pk") else "dlv" for table, key in PARTITIONED.items()}

T = TypeVar("T")

_DATED = re.compile(r"_p(\d{8})$")


class Partition(NamedTuple):
    """One day of one table."""

    table: str
    day: int  # since 1970, UTC

    @property
    def name(self) -> str:
        """Of the table that it is."""
        return f"{self.table}_p{datetime.fromtimestamp(self.day * DAY, UTC):%Y%m%d}"

    @property
    def first(self) -> str:
        """The least id that belongs to it."""
        return first_id(PREFIX[self.table], self.day * DAY)

    @property
    def end(self) -> str:
        """The least id that does not any more."""
        return first_id(PREFIX[self.table], (self.day + 1) * DAY)


class Dropped(NamedTuple):
    """What went with a day."""

    rows: int
    bytes: int


class Partitions:
    """The partitions of one database. Every change is one short transaction, and safe to be tried by many processes."""

    def __init__(self, database: Database, clock: Clock, *, ahead: int = AHEAD) -> None:
        """`ahead` days are made before they come."""
        self._database = database
        self._clock = clock
        self._ahead = ahead

    async def ensure(self, *, back: int = 0) -> int:
        """Make today's, the next days' and those of `back` days before; answers how many were missing.

        Raises `Unavailable`.
        """
        today = int(self._clock.now() // DAY)
        days = range(today - back, today + self._ahead + 1)
        there = set(await self.all())
        missing = [each for table in PARTITIONED for day in days if (each := Partition(table, day)) not in there]
        for each in missing:
            await self._soon(partial(_make, missing=each))
        return len(missing)

    async def all(self) -> list[Partition]:
        """Those that there are, oldest first, without the default ones."""
        statement = text(
            "SELECT parent.relname, child.relname FROM pg_inherits"
            " JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid"
            " WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relkind = 'p'"
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        found = [(table, _DATED.search(name)) for table, name in rows if table in PARTITIONED]
        return sorted((Partition(table, _day(dated[1])) for table, dated in found if dated), key=lambda each: each.day)

    async def weigh(self, partition: Partition, most: int, keeping: Select[Any]) -> list[str] | None:
        """The keys of `keeping` (see `retention.staying`) that lie in the partition; None where they are more than
        `most`. Reads the day through, and locks nobody out.
        """
        ids = deliveries.c.id
        found = keeping.selected_columns[0]
        conditions = [found >= partition.first, found < partition.end]
        if PREFIX[partition.table] == "evt":
            day = partition.day * DAY
            conditions += [ids >= first_id("dlv", day - BESIDE), ids < first_id("dlv", day + DAY + BESIDE)]
        statement = keeping.where(*conditions).limit(most + 1)
        keys = await self._database.write(lambda connection: list(connection.execute(statement).scalars()), long=True)
        return keys if len(keys) <= most else None

    async def drop(self, partition: Partition, keys: Collection[str], cutoffs: Cutoffs) -> Dropped:
        """Drop a day; the rows with `keys` move to the default partition. Raises `Unavailable`."""
        of = func.pg_total_relation_size(partition.name)
        counted = select(func.count(), of).select_from(physical(partition.table, partition.name))
        rows, size = await self._database.write(lambda connection: connection.execute(counted).one(), long=True)
        moved = await self._soon(lambda connection: _drop(connection, partition, keys, cutoffs))
        return Dropped(rows - moved, size)

    async def _soon(self, work: Work[T]) -> T:
        tried = 1
        while True:
            try:
                return await self._database.write(work, long=True)
            except Unavailable:
                if tried == TRIES:
                    raise
            tried += 1
            await self._clock.sleep(PAUSE)


def _make(connection: Connection, missing: Partition) -> None:
    connection.execute(select(func.pg_advisory_xact_lock(MAKING)))  # another process may be about to make it, too
    if inspect(connection).has_table(missing.name):
        return
    table = missing.table
    connection.execute(text(f"CREATE TABLE {missing.name} (LIKE {table} INCLUDING ALL)"))
    _give_up_soon(connection)
    # Everybody waits here. Who waits for the default partition alone, as attaching would have it, has already chosen it
    # for what he inserts, which then fails, or has already listed where to look, and misses what moves. Attaching reads
    # the default partition through; that is why days are not made together.
    connection.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    connection.execute(_taking(missing))
    bounds = f"FROM ('{missing.first}') TO ('{missing.end}')"
    connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {missing.name} FOR VALUES {bounds}"))


def _taking(partition: Partition) -> Insert:
    """Move what the default partition has of that day."""
    rest = physical(partition.table, f"{partition.table}_default")
    key = rest.c[PARTITIONED[partition.table]]
    taken = delete(rest).where(key >= partition.first, key < partition.end).returning(*rest.c).cte("taken")
    return insert(physical(partition.table, partition.name)).from_select(taken.c.keys(), select(taken))


def _drop(connection: Connection, partition: Partition, keys: Collection[str], cutoffs: Cutoffs) -> int:
    parent, part = metadata.tables[partition.table], physical(partition.table, partition.name)
    _give_up_soon(connection)
    connection.execute(text(f"ALTER TABLE {parent.name} DETACH PARTITION {part.name}"))
    if parent is deliveries:
        # A dead letter past its age may have been revived meanwhile; indexes find those.
        revived = select(part.c.id).where(or_(PENDING, and_(DEAD, part.c.updated_at >= cutoffs.dead_letters)))
        keys = {*keys, *connection.execute(revived).scalars()}
    staying = select(part).where(part.c[PARTITIONED[parent.name]].in_(keys))
    moved = connection.execute(insert(parent).from_select(part.c.keys(), staying)).rowcount
    connection.execute(text(f"DROP TABLE {part.name}"))
    return moved


def physical(table: str, name: str) -> Table:
    """The part of a table that has a name of its own."""
    return metadata.tables[table].to_metadata(MetaData(), name=name)


def _give_up_soon(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT * 1000:.0f}ms'"))


def _day(written: str) -> int:
    return int(datetime.strptime(written, "%Y%m%d").replace(tzinfo=UTC).timestamp()) // DAY
