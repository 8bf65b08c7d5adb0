"""What is old is removed about once an hour, by one process at a time, whatever goes wrong in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select
from structlog.testing import capture_logs

from tests.virtual_time import in_virtual_time
from tests.world import Outage, World, running, status
from tracklayer.errors import Unavailable
from tracklayer.metrics import Metrics
from tracklayer.model.delivery import DeliveryState
from tracklayer.operate.maintenance import AGAIN, EVERY, FIRST, PRUNED, LastPrune, Maintenance
from tracklayer.ports import SystemClock
from tracklayer.settings import Settings
from tracklayer.store import open_database
from tracklayer.store.clock import SharedClock
from tracklayer.store.listening import Listening
from tracklayer.store.retention import retention
from tracklayer.store.tables import events

DAY = 86_400.0


async def stored(world: World) -> int:
    statement = select(func.count()).select_from(events)
    return await world.service._database.read(lambda connection: connection.execute(statement).scalar_one())


async def metric(world: World, name: str, **labels: str) -> float:
    text = (await world.service.exposition()).decode()
    (found,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found


@in_virtual_time
async def test_what_is_old_goes_by_itself_and_what_waits_or_is_dead_stays(tmp_path: Path) -> None:
    async with running(tmp_path, retention_events=2 * DAY, retention_dead_letters=4 * DAY) as world:
        world.network.script("/dead", status(400))
        await world.destination("d")
        await world.destination("dead", filter={"event_name": ["dies"]})
        paused = await world.destination("paused", filter={"event_name": ["waits"]})
        await world.pause(paused)
        await world.send("ord_1", "ord_2")
        await world.send("ord_3", event_name="dies")
        await world.send("ord_4", event_name="waits")

        await asyncio.sleep(2 * DAY - FIRST)
        assert await stored(world) == 4
        await asyncio.sleep(EVERY)
        assert await stored(world) == 2
        assert await world.states() == {"dead": 1, "pending": 1}
        assert (await world.service.storage.facts()).pruned == world.service.maintenance.last
        assert world.service.maintenance.last is not None
        assert world.service.maintenance.last.at == pytest.approx(world.clock.now(), abs=EVERY)
        assert await metric(world, "tracklayer_pruned_rows_total", table="events") == 2
        assert await metric(world, "tracklayer_pruned_rows_total", table="deliveries") == 4
        assert await metric(world, "tracklayer_oldest_event_seconds") == pytest.approx(2 * DAY + EVERY, abs=2 * FIRST)
        assert await metric(world, "tracklayer_database_bytes") > 4096

        await asyncio.sleep(2 * DAY + EVERY)
        assert await world.states() == {"pending": 1}
        await world.resume(paused)
        await world.all_end()
        assert world.network.events("/paused") == {"ord_4": 1}


@in_virtual_time
async def test_how_long_what_is_kept_is_a_setting(tmp_path: Path) -> None:
    async with running(
        tmp_path, retention_events=2 * DAY, retention_attempts=DAY, retention_dead_letters=3 * DAY
    ) as world:
        world.network.script("/dead", status(400))
        await world.destination("d")
        await world.destination("dead")
        await world.send("ord_1")
        await asyncio.sleep(DAY + EVERY + FIRST)
        left = {each.state: each.id for each in await world.deliveries()}
        assert await world.service.history.attempts(left[DeliveryState.DELIVERED]) == []
        assert len(await world.service.history.attempts(left[DeliveryState.DEAD])) == 1
        await asyncio.sleep(DAY)
        assert await world.states() == {"dead": 1}
        await asyncio.sleep(DAY)
        assert await stored(world) == 0


@in_virtual_time
async def test_a_store_that_is_away_is_tried_again_soon(tmp_path: Path) -> None:
    async with running(tmp_path, retention_events=2 * DAY) as world:
        await world.send("ord_1")
        await asyncio.sleep(2 * DAY)
        outage = Outage(world.service._database.write)
        with mock.patch.object(world.service._database, "write", outage), capture_logs() as lines:
            await asyncio.sleep(2 * EVERY)
        assert outage.failures >= EVERY // AGAIN
        assert {line["event"] for line in lines} == {"not_pruned"}
        await asyncio.sleep(AGAIN)
        assert await stored(world) == 0


@in_virtual_time
async def test_a_fault_of_ours_does_not_end_it(tmp_path: Path) -> None:
    async with running(tmp_path, retention_events=2 * DAY) as world:
        await world.send("ord_1")
        pruner = world.service.maintenance._pruner
        with mock.patch.object(pruner, "prune", side_effect=KeyError("x")), capture_logs() as lines:
            await asyncio.sleep(3 * DAY)
        assert {line["event"] for line in lines} == {"not_pruned"}
        await asyncio.sleep(EVERY)
        assert await stored(world) == 0


@in_virtual_time
async def test_two_at_once_are_one(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        first, second = await asyncio.gather(*(world.service.maintenance.prune() for _ in range(2)))
        assert (first is None) != (second is None)
        assert await world.service.maintenance.prune() is not None


async def test_who_is_told_that_another_process_has_done_it_knows_it_too(fresh_postgres: str) -> None:
    """Over PostgreSQL's own announcements."""
    heard = asyncio.Event()
    databases = [open_database(fresh_postgres) for _ in range(2)]
    clock, kept = SystemClock(), retention(Settings())
    one, other = (Maintenance(each, kept, clock, Metrics()) for each in databases)

    def hear(topic: str, about: str) -> None:
        if topic == PRUNED:
            other.hear(about)
            heard.set()

    async def resume() -> None:
        raise AssertionError("the connection was not lost")

    listening = Listening(fresh_postgres, SharedClock(), hear, resume)
    await listening.start()
    await one.prune()
    await asyncio.wait_for(heard.wait(), 30)
    await listening.stop()
    for each in databases:
        await each.close()

    assert one.last is not None
    assert other.last == one.last


@in_virtual_time
async def test_what_another_process_announces_is_passed_on(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.service._hearing.hear(PRUNED, '{"at":5.0,"rows":7}')
        assert (await world.service.storage.facts()).pruned == LastPrune(at=5.0, rows=7)


@in_virtual_time
async def test_a_stop_does_not_wait_for_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, retention_events=2 * DAY) as world:
        await world.send(*(f"ord_{number}" for number in range(50)))
        await asyncio.sleep(2 * DAY)
        began = asyncio.Event()

        async def never(*_: object, **__: object) -> None:
            began.set()
            await asyncio.Event().wait()

        with mock.patch.object(world.service.maintenance._pruner, "prune", never):
            await began.wait()
            stopped = world.clock.now()
            await world.service.maintenance.stop()
        assert world.clock.now() == stopped
    with pytest.raises(Unavailable):
        await world.service.check()
