"""Counting what sources send: at little cost, written soon and at the stop, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Unavailable
from tracklayer.operate.source_counting import DAY, DAYS_KEPT, EVERY, PRUNE_EVERY, WEBHOOK_IDS_KEPT
from tracklayer.store.sources import DayCount, SourceStore

WRITTEN = EVERY + 0.1


def store(world: World) -> SourceStore:
    return world.service._source_counting._store


async def written(world: World) -> list[DayCount]:
    return await store(world).counts(["src_1"], since=0)


@in_virtual_time
async def test_counts_are_written_soon_and_together(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        now = world.clock.now()
        counting = world.service._source_counting
        counting.count("src_1", "accepted", 2, now)
        counting.count("src_1", "accepted", 3, now)
        counting.count("src_1", "rejected", 0, now)
        assert await written(world) == []
        assert counting.unwritten("src_1", int(now // DAY), "accepted") == 5
        await asyncio.sleep(WRITTEN)
        assert await written(world) == [DayCount("src_1", int(now // DAY), "accepted", 5)]
        assert counting.unwritten("src_1", int(now // DAY), "accepted") == 0


@in_virtual_time
async def test_what_the_store_cannot_take_now_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as world:

        async def refuse(_: object) -> None:
            raise Unavailable("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(store(world), "add_counts", refuse)
            world.service._source_counting.count("src_1", "accepted", 1, world.clock.now())
            await asyncio.sleep(WRITTEN)
            world.service._source_counting.count("src_1", "accepted", 1, world.clock.now())
        await asyncio.sleep(WRITTEN)
        assert [each.count for each in await written(world)] == [2]


@in_virtual_time
async def test_old_days_and_the_ids_of_old_webhooks_go(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        counting, now = world.service._source_counting, world.clock.now()
        await store(world).note_webhook("src_1", "old", now)
        counting.count("src_1", "accepted", 1, now - (DAYS_KEPT + 1) * DAY)
        await asyncio.sleep(WRITTEN)
        assert await written(world) == []
        assert await store(world).came("src_1", "old")
        await asyncio.sleep(WEBHOOK_IDS_KEPT + PRUNE_EVERY)
        counting.count("src_1", "accepted", 1, world.clock.now())
        await asyncio.sleep(WRITTEN)
        assert not await store(world).came("src_1", "old")
        assert len(await written(world)) == 1
