"""How much there is and how it grows, without counting rows: what the database knows of itself anyway."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, func, literal_column, select, text

from tracklayer.identity import first_id
from tracklayer.store.database import Database
from tracklayer.store.partitions import DAY, Partition
from tracklayer.store.tables import PARTITIONED, events, kept_requests, workspaces

GROWTH_DAYS = 7  # today and those before it


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Of the whole database, over all workspaces. Rows are estimates: as many, or somewhat more."""

    bytes: int
    rows: dict[str, int]  # by table; those that can be had for nothing
    oldest_event_at: float | None  # unix seconds
    events_per_day: float  # of the last seven

    @property
    def bytes_per_day(self) -> float:
        """As many bytes as so many events take, with all that belongs to them."""
        return self.bytes * self.events_per_day / max(1, self.rows["events"])


class Volumes:
    """Looks at one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = _estimates if database.shared else _by_rowid

    async def read(self, *, now: float) -> Volume:
        """As it is. Raises `Unavailable`."""
        first_day = int(now // DAY) - GROWTH_DAYS + 1

        def work(connection: Connection) -> tuple[float | None, dict[str, int], int]:
            oldest = connection.execute(_OLDEST).scalar()
            return oldest, *self._rows(connection, first_day)

        size = await self._database.size()
        oldest, rows, lately = await self._database.read(work)
        since = max(first_day * DAY, now if oldest is None else oldest)
        return Volume(
            bytes=size,
            rows=rows,
            oldest_event_at=oldest,
            events_per_day=lately / max(1.0, (now - since) / DAY),
        )


def _first_of(column: Any, *conditions: Any) -> Select[Any]:
    """The least `column` of the first event of each workspace."""
    first = select(column).where(events.c.workspace_id == workspaces.c.id, *conditions).order_by(events.c.pk).limit(1)
    return select(func.min(first.correlate(workspaces).scalar_subquery())).select_from(workspaces)


_OLDEST = _first_of(events.c.received_at)
_ROWID: Any = literal_column("events.rowid")


def _by_rowid(connection: Connection, first_day: int) -> tuple[dict[str, int], int]:
    """On SQLite rows are numbered as they come, so the first and the last tell how many there are between them."""
    rows = {}
    for table in (events, kept_requests):
        first, last = _numbers(connection, table)
        rows[table.name] = last - first + 1
    begin = connection.execute(_first_of(_ROWID, events.c.pk >= first_id("evt", first_day * DAY))).scalar()
    return rows, 0 if begin is None else _numbers(connection, events)[1] - begin + 1


def _numbers(connection: Connection, table: Table) -> tuple[int, int]:
    """Of the first row and the last; each a look of its own, as only that is quick."""
    number: ColumnElement[int] = literal_column("rowid")
    first = connection.execute(select(func.min(number)).select_from(table)).scalar()
    last = connection.execute(select(func.max(number)).select_from(table)).scalar()
    return (first, last) if first is not None and last is not None else (1, 0)


def _estimates(connection: Connection, first_day: int) -> tuple[dict[str, int], int]:
    """On PostgreSQL the planner's estimates, which autovacuum keeps."""
    statement = text(
        "SELECT parent.relname, child.relname, greatest(0, child.reltuples)::bigint FROM pg_inherits"
        " JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid"
        " WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relkind = 'p'"
    )
    rows, lately = dict.fromkeys(PARTITIONED, 0), 0
    recent = {Partition(events.name, first_day + number).name for number in range(GROWTH_DAYS)}
    for table, part, count in connection.execute(statement):
        rows[table] += count
        lately += count if part in recent else 0
    return rows, lately
