"""Connections and transactions on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tracklayer.errors import Unavailable

READERS = 4


class Database:
    """One writer and a few readers.

    SQLite allows one writing transaction at a time; taking turns here (an asyncio lock) instead of in the database
    means that nobody ever waits in a busy loop. Every database error leaves as `Unavailable`: the transaction was
    rolled back, nothing was taken, and the next one starts afresh.
    """

    def __init__(self, url: str) -> None:
        """`url` is an async SQLAlchemy URL. No connection is made yet."""
        self.url = url
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0)
        self._reader = create_async_engine(url, pool_size=READERS, max_overflow=0)
        self._turn = asyncio.Lock()
        self._is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self._is_sqlite:
            _prepare_sqlite(self._writer, begin="BEGIN IMMEDIATE")
            _prepare_sqlite(self._reader, begin="BEGIN")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that commits when the block ends, durably, and rolls back when it raises."""
        async with self._turn:
            with _unavailable_on_error():
                async with self._writer.begin() as connection:
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of what is committed."""
        with _unavailable_on_error():
            async with self._reader.connect() as connection:
                yield connection

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An insert in this database's dialect, for `ON CONFLICT`."""
        return sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing where it is."""
        async with self._writer.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()

    async def ping(self) -> None:
        """Prove that a transaction can begin and end. Raises `Unavailable`."""
        async with self.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()


class _unavailable_on_error:  # noqa: N801 (reads as the verb that it is in a with statement)
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DBAPIError):
            raise Unavailable(f"the database cannot do this now: {error.orig}") from error


def _prepare_sqlite(engine: AsyncEngine, *, begin: str) -> None:
    """Write-ahead log, an fsync at every commit, and transactions that begin when we say so.

    The driver's own way is to begin a transaction late, at the first write; see SQLAlchemy's page on SQLite,
    "Serializable isolation / Savepoints / Transactional DDL".
    """

    @event.listens_for(engine.sync_engine, "connect")
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

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
