"""`tracklayer migrate-database` with real processes: a running installation moves, and the new one goes on with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from bench.filled import fill
from tests import forking
from tests.forking import Forked
from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.running import Ran, clean_environment
from tests.traffic import Caller, event, event_ids, header, made, send_all
from tracklayer.data_lock import hold, moved_marker
from tracklayer.settings import load_settings
from tracklayer.store.tables import PARTITIONED

LONGEST = 60.0  # seconds that a run may take on a busy machine


def command(source: Path | str, target: str, *options: str) -> list[str]:
    """What `python -m` gets for a file, or a URL."""
    given = f"sqlite:///{source}" if isinstance(source, Path) else source
    return ["tracklayer", "migrate-database", "--from", given, "--to", target, *options]


def run_move(source: Path | str, target: str, *options: str, **settings: str) -> Ran:
    """Run it to its end."""
    done = forking.run(command(source, target, *options), env=clean_environment(**settings), timeout=LONGEST)
    return Ran(done.returncode, done.stdout, done.stderr)


def count(url: str, table: str) -> int:
    """How many rows a table has that may not be there yet."""

    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
        except asyncpg.UndefinedTableError:
            return 0
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.mark.timeout(180)
def test_a_running_installation_moves_and_the_new_server_delivers_what_waited(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    old = ServerProcess(tmp_path / "data")
    path = "/moving/orders"
    with old:
        api = Api(old.url, old.key)
        api.put("/v1/secrets/token", {"value": "s3cr3t-t0ken"})
        key = api.post("/v1/api-keys", {"name": "shop", "scopes": ["events:write"]}).body["key"]
        destination = made(
            api,
            "orders",
            receiver.url + path,
            transport={"headers": {"Authorization": "Bearer {{secrets.token}}"}},
            signing={"secret": "dest_live_9f3b27"},
        )
        send_all(api, [f"sent_{number}" for number in range(40)])
        receiver.wait_for(path, 40)
        api.post(f"/v1/destinations/{destination}/pause")
        send_all(api, [f"waiting_{number}" for number in range(40)])

        first = run_move(old.database_file, fresh_postgres, "--keep-running")
        assert first.status == 0, first
        assert "Copied" in first.out
        send_all(api, [f"late_{number}" for number in range(40)])
        refused = run_move(old.database_file, fresh_postgres)
        assert refused.status == 1
        assert f"another TrackLayer is running on {old.data_dir}" in refused.err

    last = run_move(old.database_file, fresh_postgres)
    assert last.status == 0, last
    assert "Both sides are equal" in last.out
    assert f'TRACKLAYER_MASTER_KEY="$(cat {old.data_dir}/master.key)"' in last.out

    old.start(ready=False)
    assert old.process is not None
    assert old.process.wait(LONGEST) == 1
    assert f"{old.database_file} was moved to postgresql://" in old.log_text()

    master_key = (old.data_dir / "master.key").read_text().strip()
    new = ServerProcess(tmp_path / "new", database_url=fresh_postgres, master_key=master_key)
    with new:
        api, shop = Api(new.url, new.key), Api(new.url, key)
        assert shop.post("/v1/events", event("waiting_0")).body["dedup_status"] == "duplicate"
        api.post(f"/v1/destinations/{destination}/resume")
        receiver.wait_for(path, 120)
        assert shop.post("/v1/events", event("new")).body["dedup_status"] == "accepted"
        receiver.wait_for(path, 121)

    assert set(event_ids(receiver.on(path)).values()) == {1}
    newest = receiver.on(path)[-1]
    assert header(newest, "Authorization") == "Bearer s3cr3t-t0ken"
    assert header(newest, "X-TrackLayer-Signature").startswith("sha256=")


@pytest.mark.timeout(180)
def test_a_move_that_is_killed_goes_on_and_meanwhile_no_server_starts(tmp_path: Path, fresh_postgres: str) -> None:
    file = tmp_path / "data" / "tracklayer.db"
    fill(file, 20_000)
    with (tmp_path / "killed.log").open("w") as log:
        killed = Forked(
            command(file, fresh_postgres), env=clean_environment(), stdout=log.fileno(), stderr=log.fileno()
        )
    wait_until(lambda: count(fresh_postgres, "attempts") > 0, LONGEST, what="the first attempts on the other side")
    killed.kill()
    assert killed.wait() != 0
    assert count(fresh_postgres, "attempts") > 0
    assert count(fresh_postgres, "events") == 0, "it was killed too late to show anything"

    server = ServerProcess(tmp_path / "server", database_url=fresh_postgres)
    server.start(ready=False)
    assert server.process is not None
    assert server.process.wait(LONGEST) == 1
    assert "an installation is being moved into this database" in server.log_text()

    ran = run_move(file, fresh_postgres)
    assert ran.status == 0, ran
    assert count(fresh_postgres, "events") == 4_000
    assert [count(fresh_postgres, f"{table}_default") for table in PARTITIONED] == [0] * len(PARTITIONED)
    assert run_move(file, fresh_postgres).status == 1


def test_a_running_server_is_noticed_whatever_data_directory_is_named(tmp_path: Path) -> None:
    data_dir, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    file = data_dir / "tracklayer.db"
    fill(file, 1)
    elsewhere.mkdir()
    with hold(load_settings({"TRACKLAYER_DATA_DIR": str(data_dir)})):
        refused = run_move(file, "postgresql://h/d", data_dir=str(elsewhere))
    assert refused.status == 1
    assert f"another TrackLayer is running on {file}" in refused.err


def test_a_password_in_the_targets_query_is_shown_nowhere(tmp_path: Path, fresh_postgres: str) -> None:
    file = tmp_path / "tracklayer.db"
    fill(file, 1)
    ran = run_move(file, f"{fresh_postgres}{'&' if '?' in fresh_postgres else '?'}password=s3cret")
    assert ran.status == 0, ran
    told = ran.out + ran.err + moved_marker(file).read_text()
    assert "TRACKLAYER_DATABASE_URL=postgresql://" in told
    assert "s3cret" not in told


@pytest.mark.timeout(180)
def test_a_server_that_the_lock_does_not_show_is_noticed_by_what_it_writes(tmp_path: Path, fresh_postgres: str) -> None:
    with ServerProcess(tmp_path / "data") as server:
        caller = Caller(Api(server.url, server.key), "busy", pause=0.01)
        caller.start()
        wait_until(lambda: caller.taken_at, what="a first event")
        server.database_file.with_name("tracklayer.db.lock").unlink()  # as somebody tidied up
        ran = run_move(server.database_file, fresh_postgres, data_dir=str(tmp_path))
        caller.stop()
    assert ran.status == 1, ran
    assert "was written to meanwhile: a server runs on it" in ran.out
    again = run_move(server.database_file, fresh_postgres)
    assert again.status == 0, again


@pytest.mark.parametrize(
    "source, target, said",
    [
        ("postgresql://h/d", "postgresql://h/d", "--from is what to move: expected sqlite:///file"),
        ("sqlite:///no/such.db", "postgresql://h/d", "there is no file no/such.db"),
        (f"sqlite:///{__file__}", "sqlite:///x.db", "--to is where to move: expected postgresql://"),
        (f"sqlite:///{__file__}", "postgresql://h/d", "cannot be read: file is not a database"),
    ],
)
def test_what_cannot_be_moved_is_said(source: str, target: str, said: str) -> None:
    ran = run_move(source, target)
    assert ran.status in (1, 2)
    assert said in ran.err
