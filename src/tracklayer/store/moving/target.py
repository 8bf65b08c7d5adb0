"""The PostgreSQL database that an installation is moved into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from sqlalchemy import Connection, inspect
from sqlalchemy.engine import make_url

from tracklayer.errors import Conflict, Unavailable
from tracklayer.ports import Clock
from tracklayer.store.clock import clock_of
from tracklayer.store.database import Database
from tracklayer.store.moving.shape import Digest, Row, Shape, shapes
from tracklayer.store.partitions import Partitions
from tracklayer.store.postgresql import CONNECTING, PostgresDatabase, arguments_of
from tracklayer.store.schema import schema_state
from tracklayer.store.tables import deliveries

MARK = "moving"
"""A table that is there while a move is under way; it says which installation is moved. No server starts beside it."""

_LOCK = 500_173_827_951  # the key of the advisory lock of whoever moves
_AHEAD = 200  # rows that are fetched at once; each may have a megabyte
_SESSION = {
    "application_name": "tracklayer migrate-database",
    "lock_timeout": "10s",  # the connection of a move that was killed may live on for a moment
    "enable_seqscan": "off",  # ranges are read by the primary key, also before a table has any statistics
    "enable_bitmapscan": "off",
}


class Target:
    """One connection, which holds a lock on the whole of it."""

    def __init__(self, connection: asyncpg.Connection, database: Database, revision: str | None) -> None:
        """`revision` is that of its schema."""
        self._connection = connection
        self._database = database
        self._revision = revision

    async def begin(self, installation: str, revision: str | None) -> None:
        """Mark it as what an installation with a schema of that revision is moved into.

        Raises `Conflict` where it holds anything else, or has another schema.
        """
        if revision != self._revision:
            raise Conflict(
                f"the schema to move is at {revision}, the one to move into at {self._revision}: expected the same. "
                "Start this version of TrackLayer on the old database once (or let `tracklayer migrate` bring it up to "
                "date), then move it"
            )
        with _explained():
            async with self._connection.transaction():
                marked = await self._connection.fetchval(f"SELECT to_regclass('{MARK}') IS NOT NULL")
                if marked:
                    known = await self._connection.fetchval(f"SELECT source FROM {MARK}")
                    if known != installation:
                        raise Conflict(
                            f"the database to move to is being filled from another one ({known}, not {installation})"
                        )
                    return
                for shape in shapes():
                    if await self._connection.fetchval(f"SELECT EXISTS (SELECT FROM {shape.name})"):
                        raise Conflict(
                            f"the database to move to is in use: its table {shape.name} has rows, and they are of no "
                            "move that goes on. Expected a database of its own, with nothing in it"
                        )
                await self._connection.execute(f"CREATE TABLE {MARK} (source varchar NOT NULL)")
                await self._connection.execute(f"INSERT INTO {MARK} VALUES ($1)", installation)

    async def clock(self) -> Clock:
        """The database's."""
        return await clock_of(self._database)

    async def make_days(self, clock: Clock, *, back: int) -> None:
        """Make the partitions of as many days before today, beside those that a server makes ahead."""
        await Partitions(self._database, clock).ensure(back=back)

    async def digest(self, shape: Shape, after: Row | None, last: Row | None) -> bytes:
        """Of the rows behind the key `after`, up to `last`; None is no bound."""
        condition, values = _between(shape, after, last)
        columns = ", ".join(f'"{name}"' for name in shape.columns)
        query = f"SELECT {columns} FROM {shape.name} {condition} ORDER BY {', '.join(shape.key)}"
        made = Digest()
        with _explained(shape.name):
            async with self._connection.transaction(readonly=True):
                cursor = await self._connection.cursor(query, *values)
                while rows := await cursor.fetch(_AHEAD):
                    made.add(map(tuple, rows))
        return made.value()

    async def replace(self, shape: Shape, after: Row | None, last: Row | None, rows: list[Row]) -> None:
        """Let that range have these rows and no others."""
        with _explained(shape.name):
            try:
                await self._replace(shape, after, last, rows)
            except asyncpg.UniqueViolationError:
                # What is unique stands on a row further behind, which has lost it meanwhile: all behind is made anew.
                await self._replace(shape, after, None, rows)

    async def _replace(self, shape: Shape, after: Row | None, last: Row | None, rows: list[Row]) -> None:
        condition, values = _between(shape, after, last)
        async with self._connection.transaction():
            await self._connection.execute(f"DELETE FROM {shape.name} {condition}", *values)
            if rows:
                await self._connection.copy_records_to_table(shape.name, records=rows, columns=shape.columns)

    async def count(self, shape: Shape) -> int:
        """How many rows a table has."""
        with _explained(shape.name):
            return int(await self._connection.fetchval(f"SELECT count(*) FROM {shape.name}"))

    async def finish(self) -> None:
        """It is whole: positions go on behind the greatest one, and servers may start."""
        greatest = f"SELECT coalesce(max(position), 0) + 1 FROM {deliveries.name}"
        with _explained():
            await self._connection.execute("ANALYZE")
            async with self._connection.transaction():
                await self._connection.execute(f"SELECT setval('delivery_positions', ({greatest}), false)")
                await self._connection.execute(f"DROP TABLE {MARK}")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Target]:
    """The database at `url` with the newest schema, for one move at a time. Raises `Unavailable` and `Conflict`."""
    database = PostgresDatabase(url)
    try:
        await database.migrate()
        revision = (await database.read(schema_state)).found
        async with _locked(url) as connection:
            yield Target(connection, database, revision)
    finally:
        await database.close()


@asynccontextmanager
async def _locked(url: str) -> AsyncIterator[asyncpg.Connection]:
    with _explained():
        connection = await asyncpg.connect(**arguments_of(make_url(url)), timeout=CONNECTING, server_settings=_SESSION)
    try:
        try:
            await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        except asyncpg.LockNotAvailableError as error:
            raise Conflict("the database to move to is being filled by another process", code="moving") from error
        yield connection
    finally:
        connection.terminate()


async def refuse_half_moved(database: Database) -> None:
    """Raise `Conflict` where an installation is being moved into this database: not all of it may be there."""

    def look(connection: Connection) -> bool:
        return inspect(connection).has_table(MARK)

    if database.shared and await database.read(look):
        raise Conflict(
            "an installation is being moved into this database, and not all of it is here: "
            "let `tracklayer migrate-database` come to its end",
            code="moving",
        )


def _between(shape: Shape, after: Row | None, last: Row | None) -> tuple[str, Row]:
    """A condition on the key, and its values."""
    values: Row = ()
    conditions = []
    for bound, is_beyond in ((after, ">"), (last, "<=")):
        if bound is not None:
            places = ", ".join(f"${len(values) + number}" for number in range(1, len(bound) + 1))
            conditions.append(f"({', '.join(shape.key)}) {is_beyond} ({places})")
            values += bound
    return f"WHERE {' AND '.join(conditions)}" if conditions else "", values


@contextmanager
def _explained(table: str = "") -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        place = f", table {table}" if table else ""
        raise Unavailable(f"the database to move to{place}: {error or type(error).__name__}") from error
