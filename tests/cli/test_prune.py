"""`tracklayer prune`: removes what is old now, and says what."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.releases import release
from tests.running import tracklayer as run
from tests.store.test_pruning import DEAD, DELIVERED, PENDING, Made, Told, contents, store
from tracklayer.operate.maintenance import TURN
from tracklayer.store import open_database


async def fill(url: str) -> None:
    """Something long past every age, and something that waits since then."""
    await migrate(url)
    database = open_database(url)
    told = [Told(1, (Made(DELIVERED, 1, 1), Made(DEAD, 1, 1, kept=True)), user="u_1") for _ in range(20)]
    await store(database, [*told, Told(1, (Made(PENDING, 1),))])
    await database.close()


async def events_left(url: str) -> int:
    database = open_database(url)
    try:
        return len((await contents(database))["events"])
    finally:
        await database.close()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A data directory with old data in it."""
    asyncio.run(fill(f"sqlite:///{tmp_path}/tracklayer.db"))
    return tmp_path


def left(data_dir: Path) -> int:
    return asyncio.run(events_left(f"sqlite:///{data_dir}/tracklayer.db"))


def test_a_dry_run_counts_and_removes_nothing(filled: Path) -> None:
    ran = run("prune", "--dry-run", "--json", data_dir=str(filled))
    counted = {"deliveries": 40, "attempts": 40, "kept_requests": 20, "events": 20}
    assert ran.json == {"dry_run": True, "rows": counted, "bytes": 0}
    assert left(filled) == 21
    assert "rows would be removed" in run("prune", "--dry-run", data_dir=str(filled)).out


def test_what_is_old_is_removed_and_said_and_what_waits_stays(filled: Path) -> None:
    ran = run("prune", data_dir=str(filled))
    assert ran.status == 0, ran
    said = dict(line.split() for line in ran.out.splitlines() if len(line.split()) == 2)
    assert (said["deliveries"], said["events"], said["attempts"]) == ("40", "20", "40")
    assert "MiB are free again" in ran.out
    assert left(filled) == 1
    assert run("prune", data_dir=str(filled)).out == "Nothing is old enough to be removed.\n"


def test_how_long_what_is_kept_is_read_from_the_settings(filled: Path) -> None:
    kept = run("prune", "--json", data_dir=str(filled), retention_events="3650d")
    assert kept.json["rows"].get("events", 0) == 0
    refused = run("prune", data_dir=str(filled), retention_events="5m")
    assert refused.status == 2
    assert "TRACKLAYER_RETENTION_EVENTS = '5m' cannot be used: expected a duration from 1h to 3650d" in refused.err


def test_where_a_server_runs_it_says_that_the_server_does_it(filled: Path) -> None:
    with (filled / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a server holds it
        ran = run("prune", data_dir=str(filled))
    assert ran.status == 1
    assert f"another TrackLayer is running on {filled}: it prunes by itself, about once an hour" in ran.err
    assert left(filled) == 21


def test_a_database_that_is_not_migrated_is_not_touched(tmp_path: Path) -> None:
    asyncio.run(migrate(f"sqlite:///{tmp_path}/tracklayer.db", release(tmp_path / "older", upto="0003")))
    ran = run("prune", data_dir=str(tmp_path))
    assert ran.status == 1
    assert "tracklayer migrate brings it there" in ran.err


@pytest.fixture
def turn(fresh_postgres: str) -> Iterator[asyncio.Runner]:
    """Another process's turn to prune."""
    database = open_database(fresh_postgres)
    with asyncio.Runner() as runner:
        taken = database.turn(TURN)
        assert runner.run(taken.__aenter__())
        yield runner
        runner.run(taken.__aexit__(None, None, None))
        runner.run(database.close())


def test_on_postgresql_it_runs_beside_servers_but_not_beside_itself(
    tmp_path: Path, fresh_postgres: str, turn: asyncio.Runner
) -> None:
    turn.run(fill(fresh_postgres))
    settings = {"data_dir": str(tmp_path), "database_url": fresh_postgres}
    refused = run("prune", **settings)
    assert refused.status == 1
    assert "another process is pruning this database now" in refused.err
    assert run("prune", "--dry-run", **settings).status == 1
    assert turn.run(events_left(fresh_postgres)) == 21


def test_on_postgresql_it_needs_no_data_directory(tmp_path: Path, fresh_postgres: str) -> None:
    asyncio.run(fill(fresh_postgres))
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = run("prune", "--json", data_dir=str(tmp_path), database_url=fresh_postgres)
    assert ran.json["rows"]["events"] == 20
    assert asyncio.run(events_left(fresh_postgres)) == 1


def test_on_postgresql_it_goes_by_the_databases_clock(
    tmp_path: Path, fresh_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(fill(fresh_postgres))
    monkeypatch.setattr("tracklayer.ports.SystemClock.now", lambda _self: 0.0)  # a host at whose start it was 1970
    assert run("prune", "--json", data_dir=str(tmp_path), database_url=fresh_postgres).json["rows"]["events"] == 20
