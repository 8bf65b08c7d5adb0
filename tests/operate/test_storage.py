from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import running

DAY = 86_400.0


@in_virtual_time
async def test_the_size_and_the_growth_follow_what_is_stored_and_the_disk_says_what_is_free(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        before = await world.service.storage.facts()
        assert before.directory == str(tmp_path)
        assert before.free > 0
        assert before.volume.bytes > 4096
        assert before.volume.rows["events"] == before.volume.events_per_day == before.volume.bytes_per_day == 0
        assert before.pruned is None

        await asyncio.sleep(3 * DAY)
        await world.send(*(f"ord_{number}" for number in range(600)), properties={"text": "x" * 1000})
        after = (await world.service.storage.facts()).volume
        assert after.bytes - before.volume.bytes > 600_000
        assert after.rows["events"] == 600
        assert after.oldest_event_at == pytest.approx(world.clock.now(), abs=60)
        assert after.events_per_day == 600  # within the first day

        await asyncio.sleep(5 * DAY)
        await world.send("late")
        later = (await world.service.storage.facts()).volume
        assert later.events_per_day == pytest.approx(601 / 5, rel=0.01)
        assert later.bytes_per_day == pytest.approx(later.bytes / 5, rel=0.01)
        await asyncio.sleep(6 * DAY)
        assert 0 < (await world.service.storage.facts()).volume.events_per_day < 1  # those 600 are longer ago
