"""Counting attempts: every live one once, at little cost, written soon and at the stop, whatever the store does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest
from sqlalchemy import func, select

from tests.virtual_time import in_virtual_time
from tests.world import Outage, World, failure, running, status
from tracklayer.flow import engine
from tracklayer.flow.counting import EVERY, LARGEST, PRUNE_EVERY
from tracklayer.store.counts import HOUR, MINUTE, Counts, bucket_of
from tracklayer.store.tables import attempt_counts

DAY = 86_400.0
WRITTEN = EVERY + 0.1


def store(world: World) -> Counts:
    return world.service._counting._store


async def counted(world: World, destination_id: str) -> dict[tuple[str, str], int]:
    """(action, outcome) → count, over all time."""
    slots = await store(world).slots(destination_id, HOUR, since=0, width=HOUR)
    found: dict[tuple[str, str], int] = {}
    for each in slots:
        found[each.action, each.outcome] = found.get((each.action, each.outcome), 0) + each.count
    return found


async def rows(world: World) -> int:
    statement = select(func.count()).select_from(attempt_counts)
    return await world.service._database.read(lambda connection: connection.execute(statement).scalar_one())


@in_virtual_time
async def test_every_attempt_is_counted_by_what_came_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        retry = {"attempts": 3, "backoff": "1s", "jitter": 0}
        world.network.script("/d", status(503), status(429), failure("timeout"), status(200), status(401))
        made = await world.destination("d", retry=retry)
        await world.send("ord_1")
        await world.all_end()
        await world.send("ord_2")
        await asyncio.sleep(WRITTEN)
        assert await counted(world, made) == {
            ("retry", "5xx"): 1,
            ("retry", "429"): 1,
            ("retry", "timeout"): 1,
            ("delivered", "2xx"): 1,
            ("dead", "4xx"): 1,
        }


@in_virtual_time
async def test_the_last_retry_that_fails_counts_as_dead(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(503))
        made = await world.destination("d", retry={"attempts": 1, "backoff": "1s", "jitter": 0})
        await world.send("ord_1")
        await world.all_end()
        await asyncio.sleep(WRITTEN)
        assert await counted(world, made) == {("retry", "5xx"): 1, ("dead", "5xx"): 1}


@in_virtual_time
async def test_how_long_an_attempt_took_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 0.25
        made = await world.destination("d")
        await world.send("ord_1", "ord_2")
        await world.all_end()
        await asyncio.sleep(WRITTEN)
        (only,) = await store(world).slots(made, MINUTE, since=0, width=MINUTE)
        assert (only.bucket, only.count) == (bucket_of(0.25), 2)


@in_virtual_time
async def test_what_a_rule_suppresses_is_counted_at_accept_and_before_sending(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent={"requires": ["ad"], "when_unknown": "allow"})
        await world.send("denied", consent={"ad": "denied"})
        await world.pause(made)
        await world.send("waits")
        await world.service.destinations.suppress(
            world.workspace_id, made, event_filter={}, reason="a flood", until=None, author="test"
        )
        await world.resume(made)
        await world.all_end()
        await asyncio.sleep(WRITTEN)
        assert await counted(world, made) == {("suppressed", ""): 2}


@in_virtual_time
async def test_a_synthetic_test_is_not_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.service.rehearsals.test(world.workspace_id, made, None)
        await asyncio.sleep(WRITTEN)
        assert len(world.network.to("/d")) == 1
        assert await counted(world, made) == {}


@in_virtual_time
async def test_nothing_runs_while_nothing_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        await world.send("ord_1")
        await world.all_end()
        await asyncio.sleep(2 * WRITTEN)
        await world.service.maintenance.stop()  # which has a clock of its own to look at
        with mock.patch.object(world.clock, "sleep", side_effect=AssertionError("nothing is to be waited for")):
            await asyncio.sleep(DAY)
        assert world.service._counting._writing is None


@in_virtual_time
async def test_the_stop_writes_what_is_left(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.send("ord_1")
        await asyncio.sleep(EVERY / 2)
        assert await counted(world, made) == {}
    async with running(tmp_path) as world:
        assert await counted(world, made) == {("delivered", "2xx"): 1}


@in_virtual_time
async def test_a_stop_during_a_write_counts_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.send("ord_1")
        await asyncio.sleep(1)
        counting = world.service._counting
        writing = asyncio.Event()
        add = counting._store.add

        async def slow(counts: dict[object, int]) -> None:
            writing.set()
            await add(counts)  # type: ignore[arg-type]  # whatever comes is passed on

        with mock.patch.object(counting._store, "add", slow):
            await writing.wait()
            await counting.stop()
    async with running(tmp_path) as world:
        assert await counted(world, made) == {("delivered", "2xx"): 1}


@in_virtual_time
async def test_many_counts_are_written_in_several_transactions(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        counting = world.service._counting
        with mock.patch.object(counting._store, "add", wraps=counting._store.add) as add:
            for number in range(LARGEST + 1):
                counting.suppressed(f"dst_{number}", world.clock.now())
            await asyncio.sleep(WRITTEN)
            assert [len(call.args[0]) for call in add.await_args_list] == [LARGEST, 1]
        assert await rows(world) == 2 * (LARGEST + 1)


@in_virtual_time
async def test_what_the_store_does_not_take_is_kept_and_written_later(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        outage = Outage(store(world).add)
        with mock.patch.object(store(world), "add", outage):
            await world.send("ord_1")
            await asyncio.sleep(3 * WRITTEN)
            await world.send("ord_2")
            await asyncio.sleep(WRITTEN)
            assert outage.failures == 4
            assert await counted(world, made) == {}
            outage.on = False
            await asyncio.sleep(WRITTEN)
        assert await counted(world, made) == {("delivered", "2xx"): 2}


@in_virtual_time
async def test_a_stop_without_a_store_ends_all_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.send("ord_1")
        await asyncio.sleep(1)
        with mock.patch.object(store(world), "add", Outage(store(world).add)):
            await world.service._counting.stop()
        assert await counted(world, made) == {}


@pytest.mark.parametrize(
    "after, kept",
    [(2 * DAY - 120, 4), (2 * DAY + 120, 3), (90 * DAY - 2 * HOUR, 3), (90 * DAY + 2 * HOUR, 2)],
    ids=["everything", "no old minutes", "old hours", "no old hours"],
)
@in_virtual_time
async def test_old_counts_are_forgotten(tmp_path: Path, after: float, kept: int) -> None:
    # To look at the clock, and at what is to be pruned, again and again would only take the time of every hour.
    with mock.patch.object(engine, "LOOK_AT_CLOCK_EVERY", DAY):
        async with running(tmp_path) as world:
            await world.service.maintenance.stop()
            await world.destination("d")
            await world.send("ord_1")
            await asyncio.sleep(WRITTEN)
            assert await rows(world) == 2
            await asyncio.sleep(after)
            await world.send("ord_2")
            await asyncio.sleep(2 * WRITTEN)
            assert await rows(world) == kept


@in_virtual_time
async def test_old_counts_are_looked_for_once_an_hour(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        with mock.patch.object(store(world), "oldest", wraps=store(world).oldest) as oldest:
            for number in range(6):
                await world.send(f"ord_{number}")
                await asyncio.sleep(PRUNE_EVERY / 2)
        assert oldest.await_count == 3 * 2  # each by the minute and by the hour
