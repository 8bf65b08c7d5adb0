"""Migrations make the schema of `tables.py`, once, whole or not at all."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, insert, select, update

from tests.store.conftest import OpenDatabase
from tests.store.samples import NOW
from tracklayer.errors import Conflict, Unavailable
from tracklayer.store import Database, open_database
from tracklayer.store.schema import schema_state
from tracklayer.store.tables import PARTITIONED, metadata, schema_needs, workspaces


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[OpenDatabase]:
    """Opens a database that has no schema yet; every call is another process's view of it."""
    async with AsyncExitStack() as opened:

        def open_one() -> Database:
            database = open_database(f"sqlite:///{tmp_path}/empty.db")
            opened.push_async_callback(database.close)
            return database

        yield open_one


def is_partition(name: str) -> bool:
    return any(re.fullmatch(rf"{table}_(default|p\d+)", name) for table in PARTITIONED)


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or not is_partition(name)}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def sqlite_schema(path: Path) -> dict[str, str]:
    """Name → the statement that made it, without its spelling; partial indexes show their condition here only."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: ", ".join(sorted(re.split(r", ", re.sub(r"\s+", " ", sql))))
        for name, sql in made
        if name != "alembic_version"
    }


def test_a_schema_that_is_up_to_date_is_seen_without_alembic(migrated_sqlite: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from tracklayer.store import open_database\n"
        "async def start(database):\n"
        "    await database.migrate()\n"
        "    await database.close()\n"
        f"asyncio.run(start(open_database('sqlite:///{migrated_sqlite}')))\n"
        "print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


async def test_the_migrated_schema_is_the_one_of_the_tables(database: Database) -> None:
    assert await database.read(differences) == []


async def test_on_sqlite_the_migrated_schema_is_the_same_to_the_letter(tmp_path: Path, migrated_sqlite: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/made.db")
    metadata.create_all(engine)
    engine.dispose()
    made = sqlite_schema(tmp_path / "made.db")
    assert sqlite_schema(migrated_sqlite).keys() == made.keys()
    for name in made:
        assert sqlite_schema(migrated_sqlite)[name] == made[name]


async def test_migrating_again_does_nothing(database: Database, open_database: OpenDatabase) -> None:
    await database.write(
        lambda connection: connection.execute(insert(workspaces).values(id="w", name="n", created_at=NOW))
    )

    await database.migrate()
    await open_database().migrate()

    assert await database.read(differences) == []
    assert await database.read(lambda connection: len(connection.execute(select(workspaces)).all())) == 1


async def test_processes_that_migrate_at_once_make_one_schema(empty: OpenDatabase) -> None:
    processes = [empty() for _ in range(3)]
    await asyncio.gather(*(process.migrate() for process in processes))
    assert await processes[0].read(differences) == []


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, empty: OpenDatabase) -> None:
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("CREATE TABLE workspaces (in_the_way)")  # the last that the first migration makes

    with pytest.raises(Unavailable, match="workspaces already exists"):
        await empty().migrate()
    assert sqlite_schema(tmp_path / "empty.db") == {"workspaces": "CREATE TABLE workspaces (in_the_way)"}

    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("DROP TABLE workspaces")
    database = empty()
    await database.migrate()
    assert await database.read(differences) == []


async def made_newer(database: Database, *, needs: str) -> None:
    """Let the schema look as if a newer release had migrated it."""

    def work(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(update(schema_needs).values(code_revision=needs))

    await database.write(work)


async def test_a_schema_that_needs_newer_code_is_refused_and_left_alone(database: Database) -> None:
    await made_newer(database, needs="9998")
    with pytest.raises(Conflict, match="its schema is at 9999 and needs code of 9998 or later, this version knows"):
        await database.migrate()
    assert await database.read(differences) == []
    assert (await database.read(schema_state)).too_new


async def test_a_newer_schema_that_this_code_may_work_on_is_left_as_it_is(database: Database) -> None:
    known = (await database.read(schema_state)).known
    await made_newer(database, needs=known)
    await database.migrate()
    state = await database.read(schema_state)
    assert (state.found, state.newer, state.too_new, state.pending) == ("9999", True, False, ())


def test_migrations_are_written_by_hand_and_in_one_line() -> None:
    """Each names itself, goes forward only, and follows the one before."""
    folder = Path(__file__).parents[2] / "src" / "tracklayer" / "store" / "migrations" / "versions"
    sources = [path.read_text() for path in sorted(folder.glob("*.py"))]
    assert sources
    for number, source in enumerate(sources, start=1):
        before = f'"{number - 1:04}"' if number > 1 else "None"
        assert f'revision = "{number:04}"\ndown_revision = {before}\n' in source
        assert "def downgrade" not in source
        assert "auto generated" not in source
