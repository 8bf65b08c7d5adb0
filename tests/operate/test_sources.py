"""Changes of one source that come at the same moment, in one process or in two: each that is answered holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Conflict, NotFound
from tracklayer.operate.source_counting import SourceCounting
from tracklayer.operate.sources import Source, Sources
from tracklayer.store.sources import SourceStore


async def another(world: World) -> Sources:
    """The sources as another process on the same database knows them: it hears of no change."""
    service = world.service
    store = SourceStore(service._database)
    counting = SourceCounting(store, world.clock)
    sources = Sources(store, counting, service._vault, service.audit, world.clock, service.ids)
    await sources.load()
    return sources


async def made(world: World, kind: str = "segment") -> Source:
    source, _ = await world.service.sources.create(
        world.workspace_id, type=kind, name="shop", settings={}, author="test"
    )
    return source


async def rotated(sources: Sources, source: Source, **given: Any) -> str | None:
    _, key = await sources.rotate(source.record.workspace_id, source.id, author="test", **given)
    return key


async def changed(sources: Sources, source: Source, **given: Any) -> Source:
    return await sources.change(source.record.workspace_id, source.id, author="test", **given)


@in_virtual_time
async def test_a_key_that_another_process_has_made_meanwhile_outlives_a_change_of_the_name(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        here, source = world.service.sources, await made(world)
        there = await another(world)
        key = await rotated(there, source)
        assert (await changed(here, source, name="renamed")).record.name == "renamed"
        await there.load()
        for sources in (here, there):
            found = sources.by_key(key or "")
            assert found is not None
            assert found.record.name == "renamed"


@in_virtual_time
async def test_of_two_rotations_in_two_processes_that_saw_the_same_key_the_later_one_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        here, source = world.service.sources, await made(world)
        there = await another(world)
        key = await rotated(there, source, seen=source.record.hint)
        with pytest.raises(Conflict, match="replaced meanwhile"):
            await rotated(here, source, seen=source.record.hint)
        assert here.by_key(key or "") is not None


@pytest.mark.parametrize("kind", ["segment", "segment_webhook"])
@in_virtual_time
async def test_a_rotation_and_other_changes_at_once_all_hold(tmp_path: Path, kind: str) -> None:
    async with running(tmp_path) as world:
        sources, source = world.service.sources, await made(world, kind)
        key, *_ = await asyncio.gather(
            rotated(sources, source),
            changed(sources, source, name="renamed"),
            changed(sources, source, enabled=False),
            changed(sources, source, settings={"platform": "ios"}),
        )
        for known in (sources, await another(world)):
            found = known.get(world.workspace_id, source.id)
            assert (found.record.name, found.record.enabled, found.record.settings) == (
                "renamed",
                False,
                {"platform": "ios"},
            )
            assert (known.by_key(key or "") == found) if kind == "segment" else (found.secret == key)


@in_virtual_time
async def test_a_change_of_a_source_that_another_process_has_removed_finds_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        source = await made(world)
        there = await another(world)
        await there.remove(world.workspace_id, source.id, author="test")
        with pytest.raises(NotFound):
            await changed(world.service.sources, source, name="renamed")
