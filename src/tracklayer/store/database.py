"""Connections and transactions on one database.

A transaction is a plain function over a SQLAlchemy connection. What it does on SQLite touches memory only, so the hot
verbs run it where they are, on the event loop's own thread: a hop to another thread for every statement, with the
interpreter lock to be won back after each, costs several times what the statements do. Waiting for the disk is
another matter: every commit happens in a thread, where it holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Insert, Table, Update, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from tracklayer.errors import Unavailable

READERS = 4

T = TypeVar("T")
Work = Callable[[Connection], T]


class Database:
    """One writer and a few readers.

    SQLite allows one writing transaction at a time; taking turns here (an asyncio lock) instead of in the database
    means that nobody ever waits in a busy loop. Every database error leaves as `Unavailable`: the transaction was
    rolled back, nothing was taken, and the next one starts afresh.
    """

    def __init__(self, url: str) -> None:
        """`url` is a SQLAlchemy URL. No connection is made yet. Raises `Unavailable` for a database we cannot use."""
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            raise Unavailable(f"{parsed.get_backend_name()} is not supported yet: expected sqlite:///…")
        self._writer = create_engine(parsed.set(drivername="sqlite"), pool_size=1, max_overflow=0)
        self._reader = create_engine(parsed.set(drivername="sqlite"), pool_size=READERS, max_overflow=0)
        _prepare_sqlite(self._writer, begin="BEGIN IMMEDIATE")
        _prepare_sqlite(self._reader, begin="BEGIN")
        self._turn = asyncio.Lock()
        self._committing = ThreadPoolExecutor(1, "tracklayer-commit")
        self._reading = ThreadPoolExecutor(READERS, "tracklayer-read")

    async def write(self, work: Work[T], *, long: bool = False) -> T:
        """Run `work` in one transaction and answer once it is durable; whatever is raised rolls it back.

        `long` work (over many rows) runs in a thread as a whole. A caller that is cancelled leaves the transaction
        to end by itself.
        """
        return await asyncio.shield(asyncio.create_task(self._write(work, long=long)))

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent view of what is committed, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    async def _write(self, work: Work[T], *, long: bool) -> T:
        loop = asyncio.get_running_loop()
        async with self._turn:
            with _unavailable_on_error():
                if long:
                    return await loop.run_in_executor(self._committing, self._transaction, work)
                with self._writer.connect() as connection:
                    transaction = connection.begin()
                    answer = work(connection)
                    await loop.run_in_executor(self._committing, transaction.commit)
                    return answer

    def _transaction(self, work: Work[T]) -> T:
        with self._writer.begin() as connection:
            return work(connection)

    def _read(self, work: Work[T]) -> T:
        with _unavailable_on_error(), self._reader.connect() as connection:
            return work(connection)

    def statement(self, core: Insert | Update, *names: str) -> Statement:
        """`core` with the parameters `names`, compiled for this database once and for all."""
        return Statement(core.compile(dialect=self._writer.dialect, column_keys=names or None))

    def insert(self, table: Table) -> sqlite.Insert:
        """An insert in this database's dialect, for `ON CONFLICT`."""
        return sqlite.insert(table)

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing where it is."""
        await self.write(_upgrade, long=True)

    async def ping(self) -> None:
        """Prove that a transaction can begin and commit. Raises `Unavailable`."""
        await self.write(lambda connection: connection.exec_driver_sql("PRAGMA user_version = 0"))

    async def close(self) -> None:
        """Close every connection, once the transaction that runs has ended."""
        async with self._turn:
            self._committing.shutdown()
            self._reading.shutdown()
            self._writer.dispose()
            self._reader.dispose()


class Statement:
    """A hot statement, handed to the driver as text: Core's own way there costs as much again as the row does."""

    def __init__(self, compiled: SQLCompiler) -> None:
        """`compiled` has positional parameters."""
        self._sql = str(compiled)
        self._values = itemgetter(*compiled.positiontup)

    def run(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Execute it for every row (a mapping from parameter to value, as the driver takes it)."""
        connection.exec_driver_sql(self._sql, [self._values(row) for row in rows])


class _unavailable_on_error:  # noqa: N801 (reads as the verb that it is in a with statement)
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DBAPIError):
            raise Unavailable(f"the database cannot do this now: {error.orig}") from error


def _prepare_sqlite(engine: Engine, *, begin: str) -> None:
    """Write-ahead log, an fsync at every commit, and transactions that begin when we say so.

    The driver's own way is to begin a transaction late, at the first write; see SQLAlchemy's page on SQLite,
    "Serializable isolation / Savepoints / Transactional DDL".
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            "cache_size=-16000",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
