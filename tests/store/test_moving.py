"""Moving an installation from SQLite to PostgreSQL: all of it, in any number of passes, and over nothing in use."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, insert, select, text
from sqlalchemy.pool import NullPool

from tests.browser.played import play
from tests.store.samples import NOW, WINDOW, WORKER, WORKSPACE, acceptance, only_delivery
from tracklayer.errors import Conflict
from tracklayer.identity import first_id, made_at
from tracklayer.model.records import Workspace
from tracklayer.ports import SystemClock
from tracklayer.settings import Settings
from tracklayer.store import Configuration, Database, Queue, moving, open_database
from tracklayer.store.moving import Moved, Source, make_days, move, opened, refuse_half_moved
from tracklayer.store.moving import target as target_module
from tracklayer.store.moving.shape import INSTEAD, NUL, shapes
from tracklayer.store.partitions import DAY, Partition, Partitions
from tracklayer.store.retention import retention
from tracklayer.store.tables import PARTITIONED, deliveries, event_keys, events, people

# What the played days leave empty; each value stands for a row of some kind of its own.
ODDITIES: dict[str, dict[str, object]] = {
    "suppressions": {"id": "sup_1", "filter": b"{}", "reason": "ünïcode – ✓ 🙂", "until": None},
    "paces": {"destination_id": "dst_1", "tokens": -0.125, "refilled_at": 1e300, "hold_until": 0.1 + 0.2},
}


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with everything in it: three days of a shop's work, and rows in the few tables that they leave empty."""
    data_dir = tmp_path_factory.mktemp("played")
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(play, data_dir, 7, 300).result()
    file = data_dir / "tracklayer.db"
    with closing(sqlite3.connect(file)) as connection:
        for shape in shapes():
            if not connection.execute(f"SELECT count(*) FROM {shape.name}").fetchone()[0]:
                add_one(connection, shape.table)
        connection.commit()
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return file


def add_one(connection: sqlite3.Connection, table: Table) -> None:
    """A row of that table, with bytes that are no text and a number that has no short decimal."""
    kinds: dict[type, object] = {str: "x", int: 7, float: 0.1, bytes: b"\x00\xff", bool: 1}
    row = {column.name: kinds[column.type.python_type] for column in table.columns} | ODDITIES.get(table.name, {})
    names, places = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({places})", list(row.values()))


@pytest.fixture
def file(played: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copyfile(played, tmp_path / "tracklayer.db"))


@pytest.fixture
async def small_file(migrated_sqlite: Path, tmp_path: Path) -> Path:
    """A file with a workspace in it and nothing else."""
    file = Path(shutil.copyfile(migrated_sqlite, tmp_path / "small.db"))
    database = open_database(f"sqlite:///{file}")
    await Configuration(database).add_workspace(Workspace(id=WORKSPACE, name="default", created_at=NOW))
    await database.close()
    return file


@pytest.fixture
def change(file: Path) -> Callable[..., None]:
    """Changes the file, as a server does that goes on running."""
    return partial(execute, file)


def execute(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement, values)
        connection.commit()


@pytest.fixture
async def there(postgres_url: str) -> AsyncIterator[Database]:
    """The database on the other side, as a server sees it."""
    database = open_database(postgres_url)
    yield database
    await database.close()


async def one_pass(file: Path, url: str, *, rows: int = 50, finish: bool = False) -> dict[str, Moved]:
    """A pass in chunks of `rows`; what came of it by table."""
    with Source(file, rows=rows) as source:
        async with opened(url) as target:
            await target.begin(source.identity(), source.revision())
            moved = await move(source, target, lambda _table, _rows: None)
            if finish:
                await target.finish()
    return {each.table: each for each in moved}


def rows_of_file(file: Path, table: Table) -> list[tuple[Any, ...]]:
    """A table's rows as SQLAlchemy reads them."""
    with create_engine(f"sqlite:///{file}", poolclass=NullPool).connect() as connection:
        return all_rows(connection, table)


def keys_of_file(file: Path, table: str, key: str) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [each for (each,) in connection.execute(f"SELECT {key} FROM {table}")]


def hash_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


async def rows_of(database: Database, table: Table) -> list[tuple[Any, ...]]:
    """… on the other side."""
    return await database.read(lambda connection: all_rows(connection, table))


def all_rows(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


async def test_every_row_of_every_table_is_moved_as_it_is(file: Path, postgres_url: str, there: Database) -> None:
    moved = await one_pass(file, postgres_url)

    for shape in shapes():
        found = await rows_of(there, shape.table)
        assert found, shape.name
        assert found == rows_of_file(file, shape.table), shape.name
        assert moved[shape.name].rows == (len(found), len(found))
        assert moved[shape.name].copied == len(found)
        assert moved[shape.name].equal


async def places_of(database: Database, table: str) -> dict[str, set[str]]:
    """The ids of a table's rows, by the part that they lie in."""
    statement = text(f"SELECT tableoid::regclass::text, array_agg({PARTITIONED[table]}) FROM {table} GROUP BY 1")
    rows = await database.read(lambda connection: connection.execute(statement).all())
    return {part: set(ids) for part, ids in rows}


async def test_rows_of_the_days_that_are_kept_lie_in_their_days_and_older_ones_in_none(
    file: Path, postgres_url: str, there: Database, change: Callable[..., None]
) -> None:
    kept, clock = retention(Settings()), SystemClock()
    long_ago = first_id("evt", clock.now() - kept.events - 2 * DAY)
    absurd = first_id("evt", 0)
    for pk in (long_ago, absurd):
        change("INSERT INTO events SELECT workspace_id, ?, ?, event_name, 1.5, 1, body FROM events LIMIT 1", pk, pk)

    with Source(file) as source:
        async with opened(postgres_url) as target:
            await target.begin(source.identity(), source.revision())
            await make_days(source, target, kept, clock)
            moved = await move(source, target, lambda _table, _rows: None)

    assert all(each.equal for each in moved)
    for table, key in PARTITIONED.items():
        parts: dict[str, set[str]] = {}
        for each in keys_of_file(file, table, key):
            old = each in (long_ago, absurd)
            part = f"{table}_default" if old else Partition(table, int(made_at(each) // DAY)).name
            parts.setdefault(part, set()).add(each)
        assert await places_of(there, table) == parts
        assert table != "events" or len(parts) > 3
    first = min(made_at(row[1]) for row in rows_of_file(file, events) if row[1] > long_ago)
    days = {each.day for each in await Partitions(there, clock).all()}
    assert min(days) == int(first // DAY)


async def test_of_a_long_retention_the_last_days_are_made_alone(
    file: Path, postgres_url: str, there: Database, change: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "MOST_DAYS", 8)
    clock = SystemClock()
    for days in (10, 6):
        pk = first_id("evt", clock.now() - days * DAY)
        change("INSERT INTO events SELECT workspace_id, ?, ?, event_name, 1.5, 1, body FROM events LIMIT 1", pk, pk)
    with Source(file) as source:
        async with opened(postgres_url) as target:
            await make_days(source, target, retention(Settings()), clock)
    made = {each.day for each in await Partitions(there, clock).all()}
    assert min(made) == int(clock.now() // DAY) - 6


async def test_a_pass_over_equal_sides_writes_nothing(file: Path, postgres_url: str) -> None:
    first = await one_pass(file, postgres_url)
    again = await one_pass(file, postgres_url)
    assert sum(each.copied for each in first.values()) > 2_000
    assert [each.copied for each in again.values()] == [0] * len(first)
    assert {name: each.checksums for name, each in again.items()} == {
        name: each.checksums for name, each in first.items()
    }


async def test_what_changed_came_and_went_meanwhile_is_put_right_by_the_next_pass(
    file: Path, postgres_url: str, there: Database, change: Callable[..., None]
) -> None:
    await one_pass(file, postgres_url)
    ids = [row[1] for row in rows_of_file(file, events)]
    change("DELETE FROM events WHERE pk = ?", ids[0])
    change("DELETE FROM events WHERE pk >= ?", ids[-70])  # more than a chunk, and the last ones
    change("UPDATE events SET body = ? WHERE pk = ?", b"changed", ids[100])
    change("INSERT INTO events SELECT workspace_id, pk || 'b', 'new', event_name, 1.5, 1, body FROM events LIMIT 1")
    change("DELETE FROM attempts")

    moved = await one_pass(file, postgres_url)

    assert await rows_of(there, events) == rows_of_file(file, events)
    assert all(each.equal for each in moved.values())
    assert 0 < moved["events"].copied < moved["events"].rows[0]
    assert moved["attempts"].rows == (0, 0)
    assert moved["deliveries"].copied == 0


async def test_what_is_unique_may_pass_from_a_later_row_to_an_earlier_one(
    small_file: Path, postgres_url: str, there: Database
) -> None:
    for number in range(4):
        execute(
            small_file,
            "INSERT INTO people VALUES (?, 'ws_1', ?, 'hash', 1.0)",
            f"prs_{number}",
            f"{number}@example.com",
        )
    await one_pass(small_file, postgres_url, rows=1)
    execute(small_file, "DELETE FROM people WHERE id = 'prs_2'")
    execute(small_file, "UPDATE people SET email = '2@example.com' WHERE id = 'prs_0'")

    moved = await one_pass(small_file, postgres_url, rows=1)

    assert moved["people"].equal
    assert await rows_of(there, people) == rows_of_file(small_file, people)


async def test_an_interrupted_pass_is_gone_on_with(file: Path, postgres_url: str) -> None:
    class Interrupted(Exception):
        pass

    seen = 0

    def interrupt(table: str, rows: int) -> None:
        nonlocal seen
        seen += rows
        if table == "deliveries":
            raise Interrupted

    with Source(file, rows=50) as source:
        async with opened(postgres_url) as target:
            await target.begin(source.identity(), source.revision())
            with pytest.raises(Interrupted):
                await move(source, target, interrupt)

    moved = await one_pass(file, postgres_url)
    assert all(each.equal for each in moved.values())
    assert sum(each.copied for each in moved.values()) == sum(each.rows[0] for each in moved.values()) - seen


async def test_leases_stay_behind_and_a_test_under_a_lease_is_let_go(
    small_file: Path, postgres_url: str, there: Database
) -> None:
    database = open_database(f"sqlite:///{small_file}")
    live = acceptance("ord_1", lease_until=NOW + 60)
    test = acceptance("ord_2", lease_until=NOW + 60, test=True)
    await Queue(database, worker=WORKER, dedup_window=WINDOW).accept([live, test])
    await database.close()

    moved = await one_pass(small_file, postgres_url, finish=True)

    assert moved["deliveries"].equal
    columns = select(deliveries.c.id, deliveries.c.state, deliveries.c.lease_owner)
    kept = await there.read(lambda connection: {tuple(row) for row in connection.execute(columns)})
    assert kept == {(only_delivery(live), "pending", None), (only_delivery(test), "discarded", None)}
    queue = Queue(there, worker="wrk_2", dedup_window=WINDOW)
    claimed = await queue.claim("dst_1", 10, now=NOW, lease_until=NOW + 60)
    assert [work.delivery_id for work in claimed] == [only_delivery(live)]


async def test_a_nul_in_a_text_becomes_another_character_everywhere_and_is_told(
    file: Path, postgres_url: str, there: Database, change: Callable[..., None]
) -> None:
    bad = f"a{NUL}b"  # by its new name it stands behind `axb`
    change("UPDATE events SET event_id = ? WHERE pk = (SELECT min(pk) FROM events)", bad)
    for event_id in ("aab", bad, "axb", "b"):
        change("INSERT INTO event_keys SELECT workspace_id, ?, event_pk, 1.5 FROM event_keys LIMIT 1", event_id)

    moved = await one_pass(file, postgres_url, rows=20)
    again = await one_pass(file, postgres_url, rows=30)

    assert moved["events"].mended == {"event_id": 1}
    assert moved["event_keys"].mended == {"event_id": 1}
    assert all(each.equal for each in moved.values())
    assert [each.copied for each in again.values()] == [0] * len(again)
    good = f"a{INSTEAD}b"
    assert good in {row[2] for row in await rows_of(there, events)}
    kept = [row[1] for row in await rows_of(there, event_keys) if row[3] == 1.5]
    assert kept == ["aab", "axb", good, "b"]


async def test_keys_that_differ_by_a_nul_alone_are_refused_by_name(small_file: Path, postgres_url: str) -> None:
    for key in (f"a{NUL}b", f"a{INSTEAD}b"):
        execute(small_file, "INSERT INTO webhook_ids VALUES ('src_1', ?, 1.0)", key)
    with pytest.raises(Conflict, match="webhook_ids has two rows"):
        await one_pass(small_file, postgres_url)


async def test_positions_go_on_behind_the_greatest(
    file: Path, postgres_url: str, there: Database, change: Callable[..., None]
) -> None:
    change("UPDATE deliveries SET position = 4711, order_key = 'u' WHERE id = (SELECT min(id) FROM deliveries)")
    await one_pass(file, postgres_url, finish=True)
    following = text("SELECT nextval('delivery_positions')")
    assert await there.write(lambda connection: connection.execute(following).scalar()) == 4712


async def test_a_database_that_is_in_use_is_refused_and_left_alone(
    small_file: Path, postgres_url: str, there: Database
) -> None:
    statement = insert(people).values(
        id="prs_1", workspace_id="ws", email="a@example.com", password_hash="h", created_at=NOW
    )
    await there.write(lambda connection: connection.execute(statement))
    with pytest.raises(Conflict, match="in use: its table people has rows"):
        await one_pass(small_file, postgres_url)
    assert len(await rows_of(there, people)) == 1
    assert await rows_of(there, events) == []


async def test_another_installation_is_not_mixed_in(small_file: Path, postgres_url: str) -> None:
    await one_pass(small_file, postgres_url)
    execute(small_file, "UPDATE workspaces SET id = 'ws_other'")
    with pytest.raises(Conflict, match=r"filled from another one \(ws_\w+, not ws_other\)"):
        await one_pass(small_file, postgres_url)


async def test_a_move_that_came_to_its_end_is_not_done_again(
    small_file: Path, postgres_url: str, there: Database
) -> None:
    await one_pass(small_file, postgres_url)
    with pytest.raises(Conflict, match="not all of it is here"):
        await refuse_half_moved(there)

    await one_pass(small_file, postgres_url, finish=True)

    await refuse_half_moved(there)
    with pytest.raises(Conflict, match="in use"):
        await one_pass(small_file, postgres_url)


async def test_one_at_a_time(small_file: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(target_module._SESSION, "lock_timeout", "50ms")
    async with opened(postgres_url):
        with pytest.raises(Conflict, match="filled by another process"):
            await one_pass(small_file, postgres_url)


async def test_another_schema_is_refused(small_file: Path, postgres_url: str) -> None:
    execute(small_file, "UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(Conflict, match="schema to move is at 0003, the one to move into at"):
        await one_pass(small_file, postgres_url)


async def test_the_file_is_only_read(file: Path, postgres_url: str) -> None:
    before = hash_of(file)
    await one_pass(file, postgres_url)
    assert hash_of(file) == before
    with Source(file) as source, pytest.raises(sqlite3.OperationalError, match="readonly"):
        source._connection.execute("DELETE FROM workspaces")


async def test_a_file_that_nobody_has_started_a_server_on_is_refused(migrated_sqlite: Path) -> None:
    with Source(migrated_sqlite) as source, pytest.raises(Conflict, match="no workspace"):
        source.identity()


async def test_a_writer_beside_it_is_noticed(small_file: Path) -> None:
    with Source(small_file) as source:
        assert not source.written()
        execute(small_file, "DELETE FROM webhook_ids")
        assert source.written()
