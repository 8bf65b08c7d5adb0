"""How property tests run (the same examples every time in CI, new ones on a developer's machine), and the server,
receiver and client that tests over sockets share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coverage import Coverage
from hypothesis import settings
from sqlalchemy.engine import make_url
from xdist.scheduler.loadfile import LoadFileScheduling

from tests import greenlets, postgres
from tests.harness import Api, MeasuredServer, ReceiverThread, ServerProcess
from tracklayer.store import open_database
from tracklayer.store.schema import MIGRATIONS

EXAMPLES = 40  # of a property; `make fuzz` takes many more

settings.register_profile("dev", deadline=None, max_examples=EXAMPLES)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("fuzz", deadline=None, max_examples=1_000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

HERE = Path(__file__).parent
SYSTEM = HERE / "system"
SERVERS = {"server", "console_server", "shop"}  # fixtures that are processes
TOGETHER = ("system", "browser", "console", "web")  # folders whose files share a server; the longest first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: in the end no process is left with a long file alone."""
    rank = {folder: number for number, folder in enumerate(TOGETHER)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(HERE).parts[0], len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A process takes a file at a time, or a folder where the files share a server.

    The tests in `system` wait most of the time, which they had better do beside those that compute.
    """

    def together(node_id: str) -> str:
        file = Path(node_id.partition("::")[0])
        return file.parts[1] if file.parts[1] in TOGETHER else str(file)

    scheduling = LoadFileScheduling(config, log)
    scheduling._split_scope = together
    return scheduling


def pytest_sessionstart() -> None:
    """Where coverage is measured, measure it in greenlets, too."""
    if Coverage.current() is not None:
        greenlets.follow()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Function) -> Iterator[None]:
    """Measure no coverage of this process where a test asks another one: to trace a client and a parser takes longer
    than their work, and finds nothing. Servers that are measured still are."""
    asks_another = item.path.is_relative_to(SYSTEM) or not SERVERS.isdisjoint(item.fixturenames)
    measuring = Coverage.current() if asks_another else None
    if measuring is None:
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


@pytest.fixture(scope="session")
def shared_database(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the servers that tests share: SQLite, or PostgreSQL where TRACKLAYER_TESTS_ON says so."""
    if os.environ.get("TRACKLAYER_TESTS_ON") != "postgresql":
        return {}
    made: MigratedPostgres = request.getfixturevalue("migrated_postgres")
    url = asyncio.run(postgres.create(made.server_url, made.template))
    return {"database_url": url}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, shared_database: dict[str, str]) -> Iterator[ServerProcess]:
    """One server for the whole session; tests that stop it or set it otherwise start their own."""
    with MeasuredServer(tmp_path_factory.mktemp("server") / "data", **shared_database) as running:
        yield running


@pytest.fixture(scope="session")
def api(server: ServerProcess) -> Api:
    """The session's server, called with its admin key."""
    return Api(server.url, server.key)


@pytest.fixture(scope="session")
def receiver() -> Iterator[ReceiverThread]:
    """One receiver for the whole session; every test takes paths of its own."""
    with ReceiverThread() as running:
        yield running


class MigratedPostgres(NamedTuple):
    """A PostgreSQL server, and a database on it with the newest schema and nothing in it, to be copied."""

    server_url: str
    template: str


async def migrate(url: str, migrations: Path = MIGRATIONS) -> None:
    """Give the database at `url` the newest schema of that folder."""
    database = open_database(url)
    await database.migrate(migrations)
    await database.close()


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """The server that tests on PostgreSQL share: each makes a database of its own on it."""
    if postgres.GIVEN:
        yield postgres.GIVEN
        return
    with postgres.PostgresServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server_url: str) -> Iterator[MigratedPostgres]:
    """A template for databases with the newest schema."""
    with asyncio.Runner() as runner:
        made = postgres.database_on(postgres_server_url)
        url = runner.run(made.__aenter__())
        runner.run(migrate(url))
        template = make_url(url).database or ""
        yield MigratedPostgres(postgres_server_url, template)
        runner.run(postgres.drop_spare(postgres_server_url, template))
        runner.run(made.__aexit__(None, None, None))


@pytest.fixture
def fresh_postgres(migrated_postgres: MigratedPostgres) -> Iterator[str]:
    """The URL of a migrated, empty database of the test's own, for real processes."""
    with asyncio.Runner() as runner:
        made = postgres.database_on(migrated_postgres.server_url, migrated_postgres.template)
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))


@pytest.fixture
def empty_postgres(postgres_server_url: str) -> Iterator[str]:
    """The URL of a database of the test's own that has no schema yet."""
    with asyncio.Runner() as runner:
        made = postgres.database_on(postgres_server_url)
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))
