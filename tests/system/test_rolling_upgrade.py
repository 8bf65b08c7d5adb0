"""One release beside the next on one database: real processes of this one, and the schema of another."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests import forking
from tests.fleet import api_of, fleet, host
from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.releases import newest, release
from tests.running import clean_environment
from tests.traffic import Caller, Callers, event, event_ids, made, send_all
from tracklayer.demo.receiver import Answer
from tracklayer.store import open_database
from tracklayer.store.tables import metadata

ADDITIVE = """
op.add_column("deliveries", sa.Column("of_the_next_release", sa.String(), nullable=True))
op.add_column("events", sa.Column("of_the_next_release", sa.String(), nullable=True))
op.create_table("things_of_the_next_release", sa.Column("id", sa.String(), primary_key=True))
"""
NEEDS_NEWER_CODE = """
op.execute(f"UPDATE schema_needs SET code_revision = '{revision}'")
"""


async def migrate(url: str, migrations: Path) -> None:
    """What the next release does when its first process starts."""
    database = open_database(url)
    try:
        await database.migrate(migrations)
    finally:
        await database.close()


def check(url: str, data_dir: Path) -> tuple[int, str]:
    """`tracklayer migrate --check`: its exit status and what it says."""
    env = clean_environment(database_url=url, data_dir=str(data_dir))
    done = forking.run(["tracklayer", "migrate", "--check"], env=env, timeout=60)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


class Reader:
    """Somebody who reads a table in a long transaction, such as a backup: no migration can change it meanwhile."""

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._table = table

    async def __aenter__(self) -> None:
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(f"BEGIN; LOCK TABLE {self._table} IN ACCESS SHARE MODE")

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


@pytest.mark.timeout(180)
def test_the_next_release_migrates_while_this_one_works_and_this_one_starts_again_beside_it(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    path = "/rolling/next"
    next_release = release(tmp_path / "next", ADDITIVE)
    with fleet(tmp_path, fresh_postgres, ["all", "all"]) as (one, two):
        orders = made(api_of(one), "orders", receiver.url + path, retry={"attempts": 5, "backoff": "1s"})
        wait_until(lambda: api_of(two).get(f"/v1/destinations/{orders}").status == 200, what="the other host to know")
        receiver.script(path, Answer(503), Answer(503), Answer(200))
        with Callers(Caller(api_of(one), "one", pause=0.02), Caller(api_of(two), "two", pause=0.02)) as callers:
            callers.wait_for(50)

            async def migrate_beside_a_backup() -> None:
                async with Reader(fresh_postgres, "deliveries"):
                    migrating = asyncio.create_task(migrate(fresh_postgres, next_release))
                    before = len(callers.taken_at)
                    await asyncio.to_thread(
                        callers.wait_for, before + 100
                    )  # nobody stands behind the migration for long
                    assert not migrating.done()
                await migrating

            asyncio.run(migrate_beside_a_backup())
            callers.wait_for(len(callers.taken_at) + 50)
            status, said = check(fresh_postgres, tmp_path / "host1")
            one.restart()
            callers.wait_for(len(callers.taken_at) + 50)
        receiver.wait_for(path, len(callers.acknowledged) + 2)
        wait_until(lambda: set(event_ids(receiver.on(path))) == callers.acknowledged, what="every event to arrive")
        errors = [line for server in (one, two) for line in server.log_lines() if line["level"] == "error"]

    assert (status, "works on it beside the newer one" in said) == (0, True)
    assert errors == []
    assert set(callers.all[1].answers) == {200}  # the host that was not restarted took every event at the first try
    assert migrated_columns(fresh_postgres) == {"deliveries", "events"}


def migrated_columns(url: str) -> set[str]:
    """The tables that have got the column."""

    async def ask() -> set[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT table_name FROM information_schema.columns WHERE column_name = 'of_the_next_release'"
            )
        finally:
            await connection.close()
        return {row["table_name"] for row in rows} & set(metadata.tables)

    return asyncio.run(ask())


def save_as_the_next_release(url: str, destination_id: str, version: int, **fields: object) -> None:
    """A new version of a destination, the first one's configuration with `fields`, saved as a release does."""

    async def save() -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                first = await connection.fetchval(
                    "SELECT config FROM destination_versions WHERE destination_id = $1 AND version = 1", destination_id
                )
                await connection.execute(
                    "INSERT INTO destination_versions VALUES ($1, $2, $3, 'somebody', NULL, 0)",
                    *(destination_id, version, json.dumps({**json.loads(first), **fields}).encode()),
                )
                await connection.execute("UPDATE destinations SET version = $2 WHERE id = $1", destination_id, version)
        finally:
            await connection.close()

    asyncio.run(save())


@pytest.mark.timeout(120)
def test_a_destination_that_the_next_release_has_saved_is_held_back_until_this_one_knows_all_of_it_again(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    held, other = "/rolling/held", "/rolling/other"
    with fleet(tmp_path, fresh_postgres, ["all"]) as (server,):
        api = api_of(server)
        destination = made(api, "held", receiver.url + held)
        made(api, "other", receiver.url + other)
        save_as_the_next_release(fresh_postgres, destination, 2, hedging={"after": "2s"})
        wait_until(lambda: server.log_lines("destination_held_back"), what="the destination to be held back")

        send_all(api, [f"ord_{number}" for number in range(20)])
        receiver.wait_for(other, 20)
        refused = api.patch(f"/v1/destinations/{destination}", {"name": "renamed"})
        assert (refused.status, refused.body["code"]) == (409, "saved_by_newer_version")
        assert api.post(f"/v1/destinations/{destination}/resume").status == 409
        server.restart()
        assert api.get(f"/v1/destinations/{destination}").body["status"] == "paused"
        waiting = api.get("/v1/deliveries", destination_id=destination, limit=100).body["data"]
        assert [each["state"] for each in waiting] == ["pending"] * 20
        assert receiver.on(held) == []

        save_as_the_next_release(fresh_postgres, destination, 3)
        receiver.wait_for(held, 20)
    assert set(event_ids(receiver.on(held)).values()) == {1}


def test_this_release_does_not_start_where_the_schema_needs_a_newer_one(tmp_path: Path, fresh_postgres: str) -> None:
    asyncio.run(migrate(fresh_postgres, release(tmp_path / "next", ADDITIVE, NEEDS_NEWER_CODE)))
    server = host(tmp_path / "data", fresh_postgres, "all")
    server.start(ready=False)
    assert server.process is not None
    assert server.process.wait(60) == 1
    later = f"{int(newest()) + 2:04}"
    assert f"its schema is at {later} and needs code of {later} or later, this version knows {newest()}" in (
        server.log_text()
    )
    status, said = check(fresh_postgres, tmp_path / "data")
    assert status == 2
    assert f"is at {later}; this version knows {newest()}" in said


@pytest.mark.timeout(120)
def test_data_of_the_schema_before_many_machines_is_taken_over_on_sqlite(
    tmp_path: Path, receiver: ReceiverThread
) -> None:
    path = "/rolling/sqlite"
    with ServerProcess(tmp_path / "made") as made_with:
        api = Api(made_with.url, made_with.key)
        key = api.post("/v1/api-keys", {"name": "shop", "scopes": ["events:write"]}).body["key"]
        destination = made(api, "orders", receiver.url + path)
        send_all(api, [f"sent_{number}" for number in range(30)])
        receiver.wait_for(path, 30)
        api.post(f"/v1/destinations/{destination}/pause")
        send_all(api, [f"waiting_{number}" for number in range(30)])
    server = ServerProcess(tmp_path / "data")
    server.data_dir.mkdir()
    asyncio.run(migrate(f"sqlite:///{server.database_file}", release(tmp_path / "before", upto="0003")))
    copy_what_fits(made_with.database_file, server.database_file)
    (server.data_dir / "master.key").write_bytes((made_with.data_dir / "master.key").read_bytes())

    url = f"sqlite:///{server.database_file}"
    status, said = check(url, server.data_dir)
    assert status == 1
    assert "is at 0003" in said
    assert "pending  0004: What many processes on one database need" in said
    with server:
        api = Api(server.url, server.key)
        assert check(url, server.data_dir)[0] == 0
        assert Api(server.url, key).post("/v1/events", event("sent_0")).body["dedup_status"] == "duplicate"
        api.post(f"/v1/destinations/{destination}/resume")
        receiver.wait_for(path, 60)
        delivered = api.get("/v1/deliveries", state="delivered", limit=100).body["data"]
    assert set(event_ids(receiver.on(path)).values()) == {1}
    assert len(delivered) >= 30


def copy_what_fits(source: Path, target: Path) -> None:
    """Every row, in those tables and columns that the older schema has."""
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("ATTACH DATABASE ? AS made", [str(source)])
        tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version"}:
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM made.{table}")
        assert connection.execute("SELECT count(*) FROM deliveries").fetchone() == (60,)
        connection.commit()


def test_a_check_of_a_database_that_is_not_there_makes_none(tmp_path: Path, empty_postgres: str) -> None:
    status, said = check(f"sqlite:///{tmp_path}/none.db", tmp_path / "data")
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "is at nothing yet" in said
    assert check(empty_postgres, tmp_path / "data") == (status, said)
