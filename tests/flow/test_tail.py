"""Who watches is told what changes; who does not look costs nobody anything."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.flow.plans import NOW, work
from tests.virtual_time import in_virtual_time
from tests.world import World, running, status
from tracklayer.errors import Unavailable
from tracklayer.flow.tail import MOST_NOTES, MOST_WATCHERS, Missed, Note, Tail, Watcher
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Settlement


def settle(tail: Tail, number: int, workspace_id: str = "ws_1") -> None:
    settlement = Settlement(
        delivery_id=f"dlv_{number}",
        state=DeliveryState.DELIVERED,
        version=1,
        attempts=1,
        retries=0,
        now=NOW,
        due_at=NOW,
    )
    tail.settled(workspace_id, work(number), settlement)


async def numbers(watcher: Watcher, count: int) -> list[str | int]:
    """The next `count` notes: ids of events, and how many were missed."""
    notes = [await anext(watcher) for _ in range(count)]
    return [note.count if isinstance(note, Missed) else note.event_id for note in notes]


async def told(world: World, watcher: Watcher, count: int) -> list[Note]:
    found = [await anext(watcher) for _ in range(count)]
    assert all(isinstance(each, Note) and each.workspace_id == world.workspace_id for each in found)
    return [each for each in found if isinstance(each, Note)]


@in_virtual_time
async def test_a_delivery_is_told_of_when_it_is_stored_and_after_every_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.service.tail.watch(world.workspace_id) as watcher:
        made = await world.destination("d", retry={"backoff": "2s", "jitter": 0})
        world.network.script("/d", status(503), status(200))
        start = world.clock.now()
        await world.send("ord_1")
        notes = await told(world, watcher, 3)
        delivery = await world.delivery("ord_1")
        assert [(note.state.value, note.attempts, note.code, note.cause, round(note.at - start)) for note in notes] == [
            ("pending", 0, None, None, 0),
            ("pending", 1, 503, "503", 0),
            ("delivered", 2, 200, None, 2),
        ]
        assert not any(note.test for note in notes)
        assert {(note.delivery_id, note.destination_id, note.event_id, note.event_name) for note in notes} == {
            (delivery.id, made, "ord_1", "purchase")
        }


@in_virtual_time
async def test_what_a_rule_stops_is_told_of_too(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.service.tail.watch(world.workspace_id) as watcher:
        await world.destination("d", consent={"requires": ["ad_storage"]})
        await world.send("ord_1")
        (note,) = await told(world, watcher, 1)
        assert (note.state, note.code) == (DeliveryState.SUPPRESSED, None)


@in_virtual_time
async def test_a_duplicate_changes_nothing_and_is_not_told_of(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        await world.send("ord_1")
        await world.all_end()
        async with world.service.tail.watch(world.workspace_id) as watcher:
            await world.send("ord_1")
            await world.send("ord_2")
            assert [note.event_id for note in await told(world, watcher, 2)] == ["ord_2", "ord_2"]


@in_virtual_time
async def test_a_note_is_told_when_the_store_already_shows_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.service.tail.watch(world.workspace_id) as watcher:
        await world.destination("d")
        world.network.latency = 1.0
        await world.send("ord_1")
        for expected in (DeliveryState.PENDING, DeliveryState.DELIVERED):
            (note,) = await told(world, watcher, 1)
            assert (note.state, (await world.delivery("ord_1")).state) == (expected, expected)


@in_virtual_time
async def test_a_stop_ends_those_who_watch_and_does_not_wait_for_them(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        async with world.service.tail.watch(world.workspace_id) as watcher:
            waiting = asyncio.ensure_future(anext(watcher))
            await asyncio.sleep(1)
            await asyncio.wait_for(world.service.stop(), 1)
            with pytest.raises(StopAsyncIteration):
                await waiting
        with pytest.raises(Unavailable, match="stops"):
            async with world.service.tail.watch(world.workspace_id):
                pass


async def test_every_watcher_gets_the_notes_of_its_own_workspace() -> None:
    tail = Tail()
    async with tail.watch("ws_1") as one, tail.watch("ws_1") as same, tail.watch("ws_2") as other:
        settle(tail, 1)
        settle(tail, 2, "ws_2")
        settle(tail, 3)
        assert await numbers(one, 2) == await numbers(same, 2) == ["ord_1", "ord_3"]
        assert await numbers(other, 1) == ["ord_2"]


async def test_it_is_watched_only_while_somebody_does() -> None:
    tail = Tail()
    seen = [tail.watched]
    async with tail.watch("ws_1"):
        async with tail.watch("ws_1"):
            seen.append(tail.watched)
        seen.append(tail.watched)
    seen.append(tail.watched)
    assert seen == [False, True, True, False]


async def test_a_slow_watcher_is_told_how_much_it_missed_and_goes_on() -> None:
    tail = Tail()
    async with tail.watch("ws_1") as watcher:
        for number in range(MOST_NOTES + 7):
            settle(tail, number)
        assert await numbers(watcher, MOST_NOTES) == [f"ord_{number}" for number in range(MOST_NOTES)]
        assert await numbers(watcher, 1) == [7]
        settle(tail, 9999)
        assert await numbers(watcher, 1) == ["ord_9999"]


async def test_what_comes_after_a_gap_is_not_told_before_the_gap() -> None:
    tail = Tail()
    async with tail.watch("ws_1") as watcher:
        for number in range(MOST_NOTES + 1):
            settle(tail, number)
        await numbers(watcher, 1)  # there is room again
        settle(tail, 8888)
        rest = await numbers(watcher, MOST_NOTES)
        assert (rest[-2], rest[-1]) == (f"ord_{MOST_NOTES - 1}", 2)


async def test_a_watcher_that_was_cancelled_while_it_waited_has_lost_nothing() -> None:
    tail = Tail()
    async with tail.watch("ws_1") as watcher:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watcher), 0.001)
        settle(tail, 1)
        assert await numbers(watcher, 1) == ["ord_1"]


async def test_what_waits_is_still_given_after_the_end() -> None:
    tail = Tail()
    async with tail.watch("ws_1") as watcher:
        settle(tail, 1)
        tail.close()
        assert [note async for note in watcher] == [
            Note(
                workspace_id="ws_1",
                delivery_id="dlv_1",
                destination_id="dst_1",
                event_name="purchase",
                event_id="ord_1",
                state=DeliveryState.DELIVERED,
                attempts=1,
                code=None,
                cause=None,
                test=False,
                at=NOW,
            )
        ]
        with pytest.raises(StopAsyncIteration):
            await anext(watcher)


async def test_too_many_watchers_are_refused_and_one_that_leaves_makes_room() -> None:
    tail = Tail()
    async with AsyncExitStack() as stack:
        for _ in range(MOST_WATCHERS - 1):
            await stack.enter_async_context(tail.watch("ws_1"))
        async with tail.watch("ws_1"):
            with pytest.raises(Unavailable, match="the limit"):
                await stack.enter_async_context(tail.watch("ws_1"))
        await stack.enter_async_context(tail.watch("ws_1"))
