"""The filled database is one that TrackLayer could have made: it starts on it, and its counts agree with its rows."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.filled import DESTINATIONS, SPAN, WORKSPACE, destination_id, fill
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.store.counts import HOUR, MINUTE

DELIVERIES = 5_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled database."""
    path = tmp_path_factory.mktemp("filled") / "tracklayer.db"
    fill(path, DELIVERIES)
    return path


def ask(path: Path, statement: str, *parameters: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement, parameters).fetchall()


def test_it_has_every_state_in_its_share(path: Path) -> None:
    states = dict(ask(path, "SELECT state, count(*) FROM deliveries GROUP BY state"))
    assert sum(states.values()) == DELIVERIES
    assert {state: round(count / DELIVERIES, 2) for state, count in states.items()} == {
        "delivered": 0.96,
        "pending": 0.02,
        "dead": 0.01,
        "suppressed": 0.01,
    }


@pytest.mark.parametrize("step", [MINUTE, HOUR])
def test_its_counts_agree_with_its_attempts(path: Path, step: int) -> None:
    counted = "SELECT action, sum(count) FROM attempt_counts WHERE step = ? GROUP BY action ORDER BY action"
    suppressed = ask(path, "SELECT 'suppressed', count(*) FROM deliveries WHERE state = 'suppressed'")
    assert ask(path, counted, step) == [
        *ask(path, "SELECT action, count(*) FROM attempts GROUP BY action ORDER BY action"),
        *suppressed,
    ]


def test_a_file_that_is_there_is_left_alone(path: Path) -> None:
    with pytest.raises(FileExistsError, match="expected a new file"):
        fill(path, 10)


async def test_a_server_starts_on_it_and_has_nothing_to_do_at_once(path: Path) -> None:
    service = Service(Settings(data_dir=path.parent, admin_key="tl_live_a-key-for-tests-0123456789"))
    await service.start()
    try:
        overview = await service.health.overview(WORKSPACE)
        assert service.engine.sending() == []
    finally:
        await service.stop()
    assert list(overview) == [destination_id(number) for number in range(DESTINATIONS)]
    dead = sum(health.dead for health in overview.values())
    assert [(dead,)] == ask(path, "SELECT count(*) FROM deliveries WHERE state = 'dead'")
    due = [health.next_due for health in overview.values() if health.next_due is not None]
    assert min(due) > time.time() + HOUR / 2
    delivered = sum(sum(health.delivered) for health in overview.values())
    assert delivered / (0.96 * DELIVERIES) == pytest.approx(24 * HOUR / SPAN, rel=0.1)
