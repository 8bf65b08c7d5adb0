"""The databases that the store's conformance suite runs on.

Everything that holds for any database is tested over `open_database`; what only one of them has (pragmas, query
plans) is tested in a module that names it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.store.samples import WINDOW
from tracklayer.store import Configuration, Database, History, Queue

OpenDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and nothing in it, to be copied."""

    async def migrate(path: Path) -> None:
        database = Database(f"sqlite:///{path}")
        await database.migrate()
        await database.close()

    path = tmp_path_factory.mktemp("schema") / "empty.db"
    asyncio.run(migrate(path))
    return path


@pytest.fixture(params=["sqlite"])
async def open_database(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[OpenDatabase]:
    """Opens a database of the test's own; every call is another process's view of the same data."""
    path = tmp_path / "tracklayer.db"
    shutil.copyfile(migrated_sqlite, path)
    async with AsyncExitStack() as opened:

        def open_one() -> Database:
            database = Database(f"sqlite:///{path}")
            opened.push_async_callback(database.close)
            return database

        yield open_one


@pytest.fixture
def database(open_database: OpenDatabase) -> Database:
    """A migrated, empty database."""
    return open_database()


@pytest.fixture
def queue(database: Database) -> Queue:
    """The queue of one process."""
    return Queue(database, worker="wrk_1", dedup_window=WINDOW)


@pytest.fixture
def other_queue(open_database: OpenDatabase) -> Queue:
    """The queue of another process on the same data."""
    return Queue(open_database(), worker="wrk_2", dedup_window=WINDOW)


@pytest.fixture
def history(database: Database) -> History:
    """What the store tells afterwards."""
    return History(database)


@pytest.fixture
def configuration(database: Database) -> Configuration:
    """What people configure."""
    return Configuration(database)
