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

from tests.conftest import MigratedPostgres, migrate
from tests.postgres import database_on, spare_database_on
from tests.store.samples import WINDOW, WORKER
from tracklayer.store import Configuration, Database, History, Queue, opening

OpenDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def postgres_url(migrated_postgres: MigratedPostgres) -> AsyncIterator[str]:
    """A migrated, empty database on PostgreSQL, of the test's own."""
    async with database_on(migrated_postgres.server_url, migrated_postgres.template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest) -> Path | MigratedPostgres:
    """What a migrated, empty database of each kind is copied from."""
    kind = {"sqlite": "migrated_sqlite", "postgresql": "migrated_postgres"}[request.param]
    made: Path | MigratedPostgres = request.getfixturevalue(kind)
    return made


@pytest.fixture
async def open_database(migrated: Path | MigratedPostgres, tmp_path: Path) -> AsyncIterator[OpenDatabase]:
    """Opens a database of the test's own; every call is another process's view of the same data."""
    async with AsyncExitStack() as opened:
        if isinstance(migrated, Path):
            url = f"sqlite:///{shutil.copyfile(migrated, tmp_path / 'tracklayer.db')}"
        else:
            url = await opened.enter_async_context(spare_database_on(migrated.server_url, migrated.template))

        def open_one() -> Database:
            database = opening.open_database(url)
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
    return Queue(database, worker=WORKER, dedup_window=WINDOW)


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
