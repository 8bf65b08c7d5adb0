"""Backup and restore as docs/deploy.md has them: its commands, on servers that run and are being sent to."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.conftest import MigratedPostgres
from tests.deploy.page import paste
from tests.fleet import api_of, host
from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, delivery_ids, event, header, made
from tracklayer.demo.receiver import Answer

ORDERS = [f"ord_{number}" for number in range(30)]
BUSY, DOWN = "/backup/busy", "/backup/down"


@pytest.fixture
def second_postgres(migrated_postgres: MigratedPostgres) -> Iterator[str]:
    """The URL of a database with nothing in it, to restore into, as a role that owns it and nothing else."""
    with asyncio.Runner() as runner:
        made = postgres.owned_database_on(migrated_postgres.server_url)
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))


@pytest.fixture
def own_receiver() -> Iterator[ReceiverThread]:
    with ReceiverThread() as running:
        yield running


def fill(api: Api, receiver: ReceiverThread) -> None:
    """A receiver that takes everything and one that is down; the requests of the latter carry a secret."""
    receiver.script(DOWN, Answer(503))
    api.put("/v1/secrets/token", {"value": "s3cr3t-t0ken"})
    made(api, "busy", receiver.url + BUSY, filter={"event_name": ["page_view"]})
    made(
        api,
        "down",
        receiver.url + DOWN,
        filter={"event_name": ["purchase"]},
        transport={"headers": {"Authorization": "Bearer {{secrets.token}}"}},
        retry={"attempts": 100, "backoff": "1s"},
    )
    for order in ORDERS:
        assert api.post("/v1/events", event(order)).status == 200


class Story:
    """What is sent before, while and after a backup is made, and what must be there when it is restored."""

    def __init__(self, api: Api, receiver: ReceiverThread) -> None:
        self._receiver = receiver
        fill(api, receiver)
        self._settled = [f"seen_{number}" for number in range(20)]
        for seen in self._settled:
            assert api.post("/v1/events", event(seen, event_name="page_view")).status == 200
        receiver.wait_for(BUSY, len(self._settled))
        _wait_for_delivery(api, self._settled)
        self._caller = Caller(api, "meanwhile")
        self._caller.start()
        wait_until(lambda: len(self._caller.taken_at) >= 20, what="a busy server")
        self._before = list(self._caller.taken_at)

    def accepts(self, api: Api, event_id: str) -> None:
        """One more, of which the backup that counts is made only afterwards."""
        assert api.post("/v1/events", event(event_id)).status == 200
        self._before.append(event_id)

    def goes_on(self, api: Api) -> None:
        """The backup has been made: the receiver is mended, what waited is delivered, more is accepted."""
        self._caller.stop()
        self._receiver.script(DOWN, Answer(200))
        assert api.post("/v1/events", event("after")).status == 200
        wait_until(lambda: _state(api, "after") == "delivered", what="an event after the backup")
        _wait_for_delivery(api, {*ORDERS, *self._before, *self._caller.taken_at})
        self._requests = len(self._receiver.requests)

    def is_told_by(self, restored: Api) -> None:
        """What was acknowledged before the backup is there, and what was pending is delivered, under the same key."""
        for known in (*ORDERS, *self._settled, *self._before):
            assert _state(restored, known) is not None, f"{known} was acknowledged before the backup"
        waiting = {*ORDERS, *self._before}
        _wait_for_delivery(restored, waiting)
        earlier, again = self._receiver.requests[: self._requests], self._receiver.requests[self._requests :]
        assert {header(request, "Authorization") for request in again} == {"Bearer s3cr3t-t0ken"}
        assert {request.target for request in again} == {DOWN}, "what was delivered before the backup is not sent again"
        assert waiting <= delivery_ids(again).keys()
        known_as = delivery_ids(earlier)
        assert {of: known_as[of] for of in delivery_ids(again)} == delivery_ids(again), "under the same delivery id"

        assert _state(restored, "after") is None
        assert restored.post("/v1/events", event("after")).body["dedup_status"] == "accepted"
        assert restored.post("/v1/events", event(ORDERS[0])).body["dedup_status"] == "duplicate"
        wait_until(lambda: _state(restored, "after") == "delivered", what="what was sent again")


def _wait_for_delivery(api: Api, event_ids: Iterable[str]) -> None:
    """Until each of the events is delivered."""
    open_ones = set(event_ids)

    def none_is_left() -> bool:
        open_ones.difference_update({event_id for event_id in open_ones if _state(api, event_id) == "delivered"})
        return not open_ones

    wait_until(none_is_left, what="every delivery to be settled")


def _state(api: Api, event_id: str) -> str | None:
    """The state of an event's one delivery; None where the event is not known."""
    answer = api.get(f"/v1/events/{event_id}")
    if answer.status == 404:
        return None
    (delivery,) = answer.body["deliveries"]
    return str(delivery["state"])


@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed: apt-get install sqlite3")
def test_a_backup_of_sqlite_that_is_restored_has_what_was_acknowledged_and_delivers_what_waited(
    tmp_path: Path, own_receiver: ReceiverThread
) -> None:
    places = {name: str(tmp_path / name.lower()) for name in ("DATA", "BACKUP", "KEYS", "NEW_DATA")}
    Path(places["KEYS"]).mkdir()
    with ServerProcess(Path(places["DATA"])) as server:
        story = Story(api_of(server), own_receiver)
        paste("backup sqlite", **places)
        (Path(places["BACKUP"]) / "tracklayer.db.part").write_bytes(b"of a backup that was interrupted")
        story.accepts(api_of(server), "between_two_backups")
        paste("backup sqlite", **places)
        paste("backup key", **places)
        story.goes_on(api_of(server))
        server.kill()
    paste("restore sqlite", **places)
    assert (Path(places["NEW_DATA"]) / "master.key").stat().st_mode & 0o777 == 0o600
    with ServerProcess(Path(places["NEW_DATA"])) as restored:
        story.is_told_by(api_of(restored))


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed: apt-get install sqlite3")
def test_a_backup_of_a_mistyped_place_fails_and_makes_neither_a_database_nor_a_backup(tmp_path: Path) -> None:
    mistyped = tmp_path / "mistyped"
    mistyped.mkdir()
    with pytest.raises(AssertionError, match="unable to open database file"):
        paste("backup sqlite", DATA=str(mistyped), BACKUP=str(tmp_path / "backup"))
    assert list(mistyped.iterdir()) == []
    assert list((tmp_path / "backup").iterdir()) == []


@pytest.mark.timeout(180)
def test_a_dump_of_postgresql_that_is_restored_has_what_was_acknowledged_and_delivers_what_waited(
    tmp_path: Path, fresh_postgres: str, second_postgres: str, own_receiver: ReceiverThread
) -> None:
    places = {
        "BACKUP": str(tmp_path),
        "TRACKLAYER_DATABASE_URL": fresh_postgres,
        "NEW_DATABASE_URL": second_postgres,
    }
    short = {"lease": "5s"}  # what was under way at the dump is taken up when its lease ends
    with (
        host(tmp_path / "api", fresh_postgres, "api", **short) as entrance,
        host(tmp_path / "worker", fresh_postgres, "worker", **short) as worker,
    ):
        story = Story(api_of(entrance), own_receiver)
        paste("backup postgresql", **places)
        story.goes_on(api_of(entrance))
        entrance.kill()
        worker.kill()
    paste("restore postgresql", **places)
    with (
        host(tmp_path / "new_api", second_postgres, "api", **short) as entrance,
        host(tmp_path / "new_worker", second_postgres, "worker", **short),
    ):
        story.is_told_by(api_of(entrance))
