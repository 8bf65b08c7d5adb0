"""How property tests run (the same examples every time in CI, new ones on a developer's machine), and the server,
receiver and client that tests over sockets share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from coverage import Coverage
from hypothesis import settings
from sqlalchemy.engine import make_url

from tests import postgres
from tests.harness import Api, MeasuredServer, ReceiverThread, ServerProcess
from tracklayer.store import open_database

EXAMPLES = 40  # of a property; `make fuzz` takes many more

settings.register_profile("dev", deadline=None, max_examples=EXAMPLES)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("fuzz", deadline=None, max_examples=1_000)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

SYSTEM = Path(__file__).parent / "system"
SERVERS = {"server", "console_server", "shop"}  # fixtures that are processes


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


async def migrate(url: str) -> None:
    """Give the database at `url` the newest schema."""
    database = open_database(url)
    await database.migrate()
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
