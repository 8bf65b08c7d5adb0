"""What may stand in the URL of a PostgreSQL."""

from __future__ import annotations

import asyncio
import socket
from unittest import mock

import pytest
from sqlalchemy.engine import make_url

from tracklayer.errors import Conflict, Unavailable
from tracklayer.store import listening, open_database, postgresql
from tracklayer.store.clock import SharedClock
from tracklayer.store.listening import Listening
from tracklayer.store.schema import schema_state


@pytest.mark.parametrize(
    "query, said",
    [
        ("sslmode=verify-full&sslrootcert=/etc/ca.pem", "'sslrootcert', which is not known: .*PGSSLROOTCERT"),
        ("connect_timeout=5", "'connect_timeout', which is not known: expected sslmode, host"),
    ],
)
def test_a_parameter_that_is_not_known_is_named(query: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        open_database(f"postgresql+asyncpg://tracklayer@db/tracklayer?{query}")


async def test_a_server_that_does_not_answer_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "CONNECTING", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+asyncpg://tl@127.0.0.1:{silent.getsockname()[1]}/tl"
        with pytest.raises(Unavailable, match=r"^the database cannot be reached: no answer in time$"):
            await Listening(url, SharedClock(), mock.Mock(), mock.AsyncMock()).start()


async def test_what_is_no_postgresql_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        url = f"postgresql+asyncpg://tl@127.0.0.1:{server.sockets[0].getsockname()[1]}/tl"
        with pytest.raises(Unavailable, match=r"^the database cannot be reached: \S.*$"):
            await Listening(url, SharedClock(), mock.Mock(), mock.AsyncMock()).start()


async def test_an_older_postgresql_than_this_is_made_for_is_refused_and_left_as_it_is(
    empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "OLDEST", (99,))
    database = open_database(empty_postgres)
    try:
        with pytest.raises(Conflict, match=r"^PostgreSQL 1\d\.\d+ is too old: expected 99 or newer$"):
            await database.migrate()
        assert (await database.read(schema_state)).found is None
    finally:
        await database.close()


async def test_of_several_addresses_the_one_that_takes_writes_is_found(fresh_postgres: str) -> None:
    given = make_url(fresh_postgres)
    hosts = {"host": ("127.0.0.1:1", f"{given.host}:{given.port}"), "target_session_attrs": "read-write"}
    url = given.set(query=hosts)._replace(host=None, port=None).render_as_string(hide_password=False)
    database = open_database(url)
    try:
        await database.ping()
    finally:
        await database.close()
