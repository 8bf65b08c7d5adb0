"""What only SQLite has: its pragmas, a full disk, another process that writes, files that are not to be written."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from tests.store.samples import NOW, WINDOW, WORKSPACE, acceptance, ended, refused_by_the_schema, settlement
from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.store import Database, History, Queue, open_database
from tracklayer.store import sqlite as sqlite_module
from tracklayer.store.tables import workspaces


@pytest.fixture
def path(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """A migrated, empty database file."""
    return Path(shutil.copyfile(migrated_sqlite, tmp_path / "tracklayer.db"))


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """The file, opened."""
    database = open_database(f"sqlite:///{path}")
    yield database
    await database.close()


@pytest.fixture
def stranger(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection to the same file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def add_workspace(connection: Connection) -> None:
    connection.execute(insert(workspaces).values(id=WORKSPACE, name="main", created_at=NOW))


async def workspace_count(database: Database) -> int:
    return await database.read(lambda connection: len(connection.execute(select(workspaces)).all()))


DURABLE = {
    "journal_mode": "wal",
    "wal_autocheckpoint": 4_000,
    "synchronous": 2,  # FULL: an fsync at every commit
    "foreign_keys": 1,
    "temp_store": 2,
}


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_the_writer_makes_every_commit_durable(database: Database, long: bool) -> None:
    found = await database.write(lambda connection: {name: pragma(connection, name) for name in DURABLE}, long=long)
    assert found == DURABLE


async def test_a_writer_that_was_replaced_after_an_error_is_durable_too(database: Database) -> None:
    await database.write(lambda connection: connection.detach())  # its connection is gone for good
    assert await database.write(lambda connection: {name: pragma(connection, name) for name in DURABLE}) == DURABLE


async def test_every_reader_reads_the_log_that_the_writer_writes(database: Database) -> None:
    found = await asyncio.gather(
        *(
            database.read(lambda connection: {name: pragma(connection, name) for name in DURABLE})
            for _ in range(2 * sqlite_module.READERS)
        )
    )
    assert found == [DURABLE] * len(found)


async def test_a_full_disk_is_unavailable_nothing_is_taken_and_all_goes_on_when_there_is_room(
    database: Database,
) -> None:
    queue, history = Queue(database, worker="wrk_1", dedup_window=WINDOW), History(database)
    await queue.accept([acceptance("before")])
    pages = await database.write(lambda connection: pragma(connection, "page_count"))
    await database.write(lambda connection: pragma(connection, f"max_page_count = {pages}"))
    many = [acceptance(f"ord_{number}", to=("dst_1", "dst_2")) for number in range(200)]

    for _ in range(2):
        with pytest.raises(Unavailable, match="database or disk is full"):
            await queue.accept(many)
    assert [stored.event.event_id for stored in await history.events(WORKSPACE, limit=10)] == ["before"]
    (work,) = await queue.claim("dst_1", 10, now=NOW, lease_until=NOW + 60)  # what needs no room still works
    await ended(queue, [settlement(work.delivery_id, DeliveryState.DELIVERED)])

    await database.write(lambda connection: pragma(connection, "max_page_count = 1000000"))
    answers = await queue.accept(many)
    assert [answer.duplicate for answer in answers] == [False] * 200
    assert len(await queue.claim("dst_1", 500, now=NOW, lease_until=NOW + 60)) == 200


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_a_commit_that_fails_is_rolled_back_and_the_writer_goes_on(database: Database, long: bool) -> None:
    """A deferred foreign key is checked by COMMIT, and a COMMIT that it stops leaves the transaction open."""

    def orphan(connection: Connection) -> None:
        add_workspace(connection)
        connection.execute(text("INSERT INTO child VALUES (404)"))

    await database.write(lambda connection: connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)")))
    await database.write(
        lambda connection: connection.execute(
            text("CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        )
    )

    with refused_by_the_schema():
        await database.write(orphan, long=long)
    assert await workspace_count(database) == 0

    await database.write(add_workspace, long=long)
    assert await workspace_count(database) == 1


async def test_while_another_process_writes_a_writer_waits_and_holds_nobody_up(
    database: Database, stranger: sqlite3.Connection
) -> None:
    stranger.execute("BEGIN IMMEDIATE")
    stranger.execute("INSERT INTO workspaces VALUES ('ws_0', 'stranger', 0)")

    writing = asyncio.create_task(database.write(add_workspace))
    for _ in range(3):
        await asyncio.sleep(0.02)  # the loop runs on, and so do readers
        assert await workspace_count(database) == 0
    assert not writing.done()
    stranger.execute("COMMIT")

    await writing
    assert await workspace_count(database) == 2


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_a_process_that_writes_for_too_long_makes_the_store_unavailable_and_not_more(
    database: Database, stranger: sqlite3.Connection, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "PATIENCE", 0.05)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await database.write(add_workspace, long=long)

    stranger.execute("ROLLBACK")
    await database.write(add_workspace, long=long)
    assert await workspace_count(database) == 1


async def test_a_long_reader_elsewhere_holds_no_writer_up(database: Database, stranger: sqlite3.Connection) -> None:
    stranger.execute("BEGIN")
    assert stranger.execute("SELECT count(*) FROM workspaces").fetchone() == (0,)
    await database.write(add_workspace)
    assert stranger.execute("SELECT count(*) FROM workspaces").fetchone() == (0,)
    stranger.execute("ROLLBACK")


async def test_an_error_of_the_database_is_unavailable_and_says_what_it_was(database: Database) -> None:
    def work(connection: Connection) -> None:
        add_workspace(connection)
        connection.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(Unavailable, match="no_such_table") as caught:
        await database.write(work)
    assert caught.value.__cause__ is not None
    with pytest.raises(Unavailable, match="no_such_table"):
        await database.read(work)
    assert await workspace_count(database) == 0


@pytest.fixture
def no_database(tmp_path: Path) -> Path:
    """A file of something else."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"these bytes are no database, and far from it" * 100)
    return path


@pytest.mark.parametrize("verb", ["migrate", "ping", "read"])
@pytest.mark.parametrize("what", ["no folder", "not a database"])
async def test_a_file_that_cannot_be_used_is_unavailable(
    tmp_path: Path, no_database: Path, what: str, verb: str
) -> None:
    file = no_database if what == "not a database" else tmp_path / "missing" / "tracklayer.db"
    database = open_database(f"sqlite:///{file}")
    try:
        with pytest.raises(Unavailable, match="the database cannot do this now"):
            await (workspace_count(database) if verb == "read" else getattr(database, verb)())
    finally:
        await database.close()


async def test_a_ping_commits_to_the_log(database: Database, path: Path) -> None:
    await database.ping()
    assert path.with_name(path.name + "-wal").stat().st_size > 0


async def test_a_file_that_may_only_be_read_is_read(path: Path) -> None:
    database = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert await workspace_count(database) == 0
    for work in (database.write(add_workspace), database.write(add_workspace, long=True), database.ping()):
        with pytest.raises(Unavailable, match="readonly"):
            await work
    assert await workspace_count(database) == 0
    await database.close()


async def test_the_log_is_folded_into_the_file_on_close(path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    await database.write(add_workspace)
    assert path.with_name(path.name + "-wal").exists()

    await database.close()

    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_another_kind_of_database_is_refused_with_its_name() -> None:
    with pytest.raises(Unavailable, match="mysql is not supported: expected sqlite"):
        open_database("mysql://localhost/tracklayer")
