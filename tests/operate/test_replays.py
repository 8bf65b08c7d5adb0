"""Replays in the background: oldest first, at a set pace, to be watched and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time, until
from tests.world import Outage, World, running, status
from tracklayer.errors import Conflict, Invalid, NotFound
from tracklayer.model.delivery import DeliveryState
from tracklayer.operate.replays import Replay
from tracklayer.store.history import DeliveryFilter

KIM = "kim@example.com"
ALL = DeliveryFilter()


@asynccontextmanager
async def dead(tmp_path: Path, count: int, *codes: int) -> AsyncIterator[World]:
    """A world with `count` dead letters of the destination `d`; it answers `codes` from then on, 200 by default."""
    async with running(tmp_path) as world:
        world.network.script("/d", status(404))
        await world.destination("d", retry={"attempts": 0})
        for number in range(count):
            await world.send(f"ord_{number}")
        await world.all_end()
        world.network.sent.clear()
        world.network.script("/d", *[status(code) for code in codes or (200,)])
        yield world


async def start(world: World, wanted: DeliveryFilter = ALL, **options: Any) -> Replay:
    settings: dict[str, Any] = {"mode": "rerender", "per_second": None, "author": KIM} | options
    return await world.service.replays.start(world.workspace_id, wanted, settings.pop("mode"), **settings)


def now(world: World, replay: Replay) -> Replay:
    return world.service.replays.get(world.workspace_id, replay.id)


async def ended(world: World, replay: Replay) -> Replay:
    await until(lambda: now(world, replay).ended_at is not None, "the end of the replay")
    return now(world, replay)


def order(world: World) -> list[str]:
    return [sent.header("X-TrackLayer-Event-Id") for sent in world.network.to("/d")]


@in_virtual_time
async def test_the_oldest_go_first_at_the_pace_that_was_set(tmp_path: Path) -> None:
    async with dead(tmp_path, 5) as world:
        replay = await start(world, per_second=2.0)
        assert (replay.total, replay.done, replay.ended_at, replay.author) == (5, 0, None, KIM)
        assert replay.id.startswith("rpl_")

        after = await ended(world, replay)
        await world.all_end()

        assert (after.done, after.skipped, after.cancelled) == (5, 0, False)
        assert order(world) == [f"ord_{number}" for number in range(5)]
        assert world.network.times("/d") == [0, 0.5, 1.0, 1.5, 2.0]


@in_virtual_time
async def test_a_pace_of_many_a_second_goes_in_steps_and_is_never_faster(tmp_path: Path) -> None:
    async with dead(tmp_path, 30) as world:
        await ended(world, await start(world, per_second=40.0))
        await world.all_end()
        times = world.network.times("/d")
        assert len(times) == 30
        assert times.count(0) == 10
        assert times[-1] == pytest.approx(0.5, abs=0.02)


@in_virtual_time
async def test_without_a_pace_all_are_revived_at_once(tmp_path: Path) -> None:
    async with dead(tmp_path, 5) as world:
        after = await ended(world, await start(world))
        await world.all_end()
        assert after.ended_at == after.started_at
        assert await world.states() == {"delivered": 5}


@in_virtual_time
async def test_progress_can_be_watched(tmp_path: Path) -> None:
    async with dead(tmp_path, 4) as world:
        replay = await start(world, per_second=1.0)
        await asyncio.sleep(1.5)
        assert (now(world, replay).done, now(world, replay).ended_at) == (2, None)
        assert world.service.replays.all(world.workspace_id) == [now(world, replay)]
        assert world.service.replays.all("ws_other") == []


@in_virtual_time
async def test_what_dies_again_or_only_now_is_left_alone(tmp_path: Path) -> None:
    async with dead(tmp_path, 3, 404) as world:
        replay = await start(world, per_second=1.0)
        await asyncio.sleep(0.5)
        await world.send("later")
        after = await ended(world, replay)
        await world.all_end()
        assert (after.total, after.done, after.skipped) == (3, 3, 0)
        assert sorted(order(world)) == ["later", "ord_0", "ord_1", "ord_2"]
        assert await world.states() == {"dead": 4}


@in_virtual_time
async def test_what_somebody_else_took_and_what_has_no_destination_is_skipped(tmp_path: Path) -> None:
    async with dead(tmp_path, 3) as world:
        world.network.script("/gone", status(404))
        gone = await world.destination("gone", filter={"event_name": ["other"]})
        await world.pause((await world.deliveries())[0].destination_id)
        await world.send("ord_other", event_name="other")
        await asyncio.sleep(1)
        await world.delete(gone, discard=False)
        (letter, *_) = await world.deliveries(event_id="ord_2", state=DeliveryState.DEAD)
        replay = await start(world, per_second=1.0)
        await world.service.dead_letters.discard(world.workspace_id, letter.id, "not wanted", author=KIM)
        after = await ended(world, replay)
        assert (after.total, after.done, after.skipped) == (4, 2, 2)


@in_virtual_time
async def test_only_what_the_filter_selects_is_replayed(tmp_path: Path) -> None:
    async with dead(tmp_path, 3) as world:
        after = await ended(world, await start(world, DeliveryFilter(event_id="ord_1", cause="404")))
        nothing = await ended(world, await start(world, DeliveryFilter(cause="500")))
        await world.all_end()
        assert (after.total, after.done, nothing.total, nothing.done) == (1, 1, 0, 0)
        assert order(world) == ["ord_1"]


@in_virtual_time
async def test_a_cancelled_replay_stops_at_once_and_the_rest_stays_dead(tmp_path: Path) -> None:
    async with dead(tmp_path, 4) as world:
        replays = world.service.replays
        replay = await start(world, per_second=0.01)
        await asyncio.sleep(150)
        cancelled = await replays.cancel(world.workspace_id, replay.id, author="shop")
        await world.all_end()
        assert (cancelled.done, cancelled.skipped, cancelled.cancelled) == (2, 0, True)
        assert cancelled.ended_at == replay.started_at + 150
        assert await world.states() == {"delivered": 2, "dead": 2}
        assert await replays.cancel(world.workspace_id, replay.id, author=KIM) == cancelled
        entries = await world.service.audit.page(world.workspace_id, limit=2, target=replay.id)
        assert [(each.actor, each.action, each.detail) for each in entries] == [
            ("shop", "replay.cancelled", {"done": 2, "total": 4}),
            (KIM, "replay.started", {"mode": "rerender", "total": 4, "per_second": Decimal("0.01"), "filter": {}}),
        ]


@in_virtual_time
async def test_a_replay_that_has_ended_is_not_cancelled_any_more(tmp_path: Path) -> None:
    async with dead(tmp_path, 1) as world:
        after = await ended(world, await start(world))
        assert await world.service.replays.cancel(world.workspace_id, after.id, author=KIM) == after
        assert not after.cancelled


@in_virtual_time
async def test_while_the_store_is_away_a_replay_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with dead(tmp_path, 3) as world:
        outage = Outage(world.service._queue.revive)
        monkeypatch.setattr(world.service._queue, "revive", outage)
        replay = await start(world)
        await asyncio.sleep(5)
        assert (now(world, replay).done, now(world, replay).ended_at) == (0, None)
        outage.on = False
        assert (await ended(world, replay)).done == 3
        assert outage.failures > 5


@in_virtual_time
async def test_a_fault_of_ours_ends_a_replay_and_leaves_the_rest_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dead(tmp_path, 3) as world:

        async def fails(*_: object, **__: object) -> list[str]:
            raise RuntimeError("a bug")

        monkeypatch.setattr(world.service._queue, "revive", fails)
        after = await ended(world, await start(world))
        assert (after.done, after.skipped, after.cancelled) == (0, 0, False)
        assert await world.states() == {"dead": 3}


@in_virtual_time
async def test_a_stop_ends_a_replay_which_the_audit_tells_and_a_restart_knows_nothing_of_it(tmp_path: Path) -> None:
    async with dead(tmp_path, 3) as world:
        whole = await ended(world, await start(world, DeliveryFilter(cause="500")))
        replay = await start(world, per_second=0.1)
        await asyncio.sleep(1)
    async with running(tmp_path) as world:
        assert await world.states() == {"delivered": 1, "dead": 2}
        with pytest.raises(NotFound, match=replay.id):
            now(world, replay)
        told = await world.service.audit.page(world.workspace_id, limit=9, action="replay")
        assert [(each.actor, each.action, each.target) for each in told] == [
            ("TrackLayer", "replay.interrupted", replay.id),
            (KIM, "replay.started", replay.id),
            (KIM, "replay.started", whole.id),
        ]
        assert told[0].detail == {"done": 1, "total": 3}


@in_virtual_time
async def test_a_stop_while_the_store_is_away_ends_a_replay_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dead(tmp_path, 3) as world:
        replay = await start(world, per_second=0.1)
        await asyncio.sleep(1)
        outage = Outage(world.service.audit.record)
        monkeypatch.setattr(world.service.audit, "record", outage)
        await world.service.replays.stop()
        assert now(world, replay).ended_at is not None
        assert outage.failures == 1


@in_virtual_time
async def test_the_last_fifty_are_remembered_and_no_running_one_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracklayer.operate.replays.KEPT", 2)
    async with dead(tmp_path, 2) as world:
        runs = await start(world, per_second=0.01)
        first = await ended(world, await start(world, DeliveryFilter(cause="500")))
        second = await start(world, per_second=0.01)
        assert world.service.replays.all(world.workspace_id) == [now(world, second), now(world, runs)]
        with pytest.raises(NotFound):
            now(world, first)
        with pytest.raises(Conflict, match="2 replays are running"):
            await start(world)


@in_virtual_time
async def test_of_many_that_come_together_none_slips_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracklayer.operate.replays.KEPT", 2)
    async with dead(tmp_path, 2) as world:
        came = await asyncio.gather(*(start(world, per_second=0.01) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(each, Conflict) for each in came) == 2
        elsewhere = world.service.replays.start("ws_other", DeliveryFilter(), "rerender", per_second=None, author="kim")
        assert (await elsewhere).total == 0  # who belongs to another workspace does not wait for these


@pytest.mark.parametrize("per_second", [0.0, -1.0, 0.001, 10_001.0, float("nan"), float("inf")])
@in_virtual_time
async def test_a_pace_out_of_range_is_refused(tmp_path: Path, per_second: float) -> None:
    async with running(tmp_path) as world:
        with pytest.raises(Invalid, match="per_second") as refused:
            await start(world, per_second=per_second)
        assert refused.value.pointer == "/per_second"


@in_virtual_time
async def test_a_replay_is_of_its_own_workspace(tmp_path: Path) -> None:
    async with dead(tmp_path, 1) as world:
        replay = await start(world, per_second=0.01)
        with pytest.raises(NotFound):
            world.service.replays.get("ws_other", replay.id)
        with pytest.raises(NotFound):
            await world.service.replays.cancel("ws_other", replay.id, author=KIM)
