"""Commits whose answer does not come: what PostgreSQL may have done then, and what a worker makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url

from tests.conftest import migrate
from tests.postgres import PostgresServer
from tests.store.samples import LEASE, NOW, WINDOW, WORKER, acceptance, only_delivery
from tests.tcp_proxy import TcpProxy
from tracklayer.errors import Unavailable
from tracklayer.store import Queue, postgresql
from tracklayer.store.postgresql import PostgresDatabase


@pytest.fixture
def line(postgres_url: str) -> Iterator[TcpProxy]:
    """A line to the database that can be cut."""
    with TcpProxy(make_url(postgres_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
async def database(postgres_url: str, line: TcpProxy) -> AsyncIterator[PostgresDatabase]:
    """The database at its end."""
    opened = PostgresDatabase(through(line, postgres_url))
    yield opened
    await opened.close()


@pytest.fixture
def queue(database: PostgresDatabase) -> Queue:
    """The queue in it."""
    return Queue(database, worker=WORKER, dedup_window=WINDOW)


@pytest.fixture
async def others(postgres_url: str) -> AsyncIterator[Queue]:
    """The same queue, as another worker has it."""
    database = PostgresDatabase(postgres_url)
    yield Queue(database, worker="wrk_2", dedup_window=WINDOW)
    await database.close()


def through(line: TcpProxy, url: str) -> str:
    return make_url(url).set(port=line.port).render_as_string(hide_password=False)


async def claimed(queue: Queue, *, lease_until: float = NOW + LEASE) -> list[str]:
    return [work.delivery_id for work in await queue.claim("dst_1", 10, now=NOW, lease_until=lease_until)]


async def test_what_a_commit_without_an_answer_has_leased_is_given_back(
    queue: Queue, others: Queue, line: TcpProxy
) -> None:
    first, second = acceptance("ord_1", lease_until=NOW + LEASE), acceptance("ord_2")
    await others.accept([second])
    line.cut_commits(every=1, answered=True)
    with pytest.raises(Unavailable):
        await queue.accept([first])
    with pytest.raises(Unavailable):
        await queue.claim("dst_1", 10, now=NOW, lease_until=NOW + LEASE)
    line.spare_commits()
    assert await claimed(others) == []

    await queue.end_doubts()

    assert await claimed(others) == [only_delivery(first), only_delivery(second)]


async def test_a_lease_that_was_taken_again_after_a_commit_that_failed_is_kept(
    queue: Queue, others: Queue, line: TcpProxy
) -> None:
    item = acceptance()
    await others.accept([item])
    line.cut_commits(every=1, answered=False)
    with pytest.raises(Unavailable):
        await queue.claim("dst_1", 10, now=NOW, lease_until=NOW + LEASE)
    line.spare_commits()
    assert await claimed(queue, lease_until=NOW + LEASE + 1) == [only_delivery(item)]

    await queue.end_doubts()

    assert await claimed(others) == []


async def test_connections_that_the_server_has_closed_fail_nobodys_transaction(
    database: PostgresDatabase, line: TcpProxy
) -> None:
    closed: asyncio.Queue[object] = asyncio.Queue()

    def watch(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.add_termination_listener(closed.put_nowait)
        connection.execute(select(1))

    await asyncio.gather(*(database.write(watch) for _ in range(4)))
    line.cut()
    for _ in range(4):
        await closed.get()

    await asyncio.gather(*(database.ping() for _ in range(4)))


async def test_after_a_silence_of_the_server_nobody_waits_for_another_connection_from_before(
    postgres_url: str, line: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "COMMAND", 1.0)
    database = PostgresDatabase(through(line, postgres_url))
    await asyncio.gather(*(database.ping() for _ in range(3)))
    line.silence()
    with pytest.raises(Unavailable):
        await database.ping()
    await asyncio.gather(*(database.ping() for _ in range(3)))
    await database.close()


async def test_a_server_that_is_silent_does_not_keep_a_process_from_ending(
    postgres_url: str, line: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CLOSING", 0.5)
    database = PostgresDatabase(through(line, postgres_url))
    await asyncio.gather(*(database.ping() for _ in range(3)))
    line.silence()
    async with asyncio.timeout(10):
        await database.close()


async def test_a_commit_that_no_standby_has_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "COMMAND", 1.0)
    with PostgresServer(synchronous_standby_names="nobody") as server:
        await migrate(server.url)
        connection = await asyncpg.connect(server.url)
        await connection.execute("ALTER DATABASE postgres SET synchronous_commit = 'on'")
        await connection.close()
        database = PostgresDatabase(server.url)
        with pytest.raises(Unavailable) as raised:
            await Queue(database, worker=WORKER, dedup_window=WINDOW).accept([acceptance()])
        await database.close()
    assert raised.value.in_doubt
