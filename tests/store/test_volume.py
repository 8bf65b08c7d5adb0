"""How much there is, and how it grows, on each database."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE, acceptance
from tracklayer.model.records import Workspace
from tracklayer.store import Configuration, Database, Queue
from tracklayer.store.partitions import DAY, Partitions
from tracklayer.store.volume import Volumes


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


async def look_again(database: Database) -> None:
    """What autovacuum does by itself after a while."""
    if database.shared:
        await database.write(lambda connection: connection.execute(text("ANALYZE")))


@pytest.fixture
async def workspaces(configuration: Configuration) -> None:
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        await configuration.add_workspace(Workspace(id=workspace_id, name=workspace_id, created_at=NOW))


async def test_an_empty_database_does_not_grow(database: Database, workspaces: None) -> None:
    await look_again(database)  # the database may be an earlier test's, emptied, and autovacuum late
    volume = await Volumes(database).read(now=NOW)
    assert volume.bytes > 4096
    assert set(volume.rows.values()) == {0}
    assert (volume.oldest_event_at, volume.events_per_day, volume.bytes_per_day) == (None, 0, 0)


async def test_growth_is_that_of_the_last_seven_days_over_all_workspaces(
    database: Database, queue: Queue, workspaces: None
) -> None:
    if database.shared:
        await Partitions(database, Clock(NOW - 8 * DAY), ahead=9).ensure()
    for days, count, workspace in (
        (8, 50, WORKSPACE),
        (4, 20, OTHER_WORKSPACE),
        (2, 50, WORKSPACE),
        (0, 10, WORKSPACE),
    ):
        at = NOW - days * DAY
        await queue.accept([acceptance(f"e{days}_{number}", at=at, workspace=workspace) for number in range(count)])
    await look_again(database)

    volume = await Volumes(database).read(now=NOW)
    assert volume.rows["events"] == 130
    assert volume.oldest_event_at == NOW - 8 * DAY
    week = 6 + NOW % DAY / DAY  # today as far as it is gone, and six days before
    assert volume.events_per_day == pytest.approx(80 / week)
    assert volume.bytes_per_day == pytest.approx(volume.bytes * 80 / week / 130)
