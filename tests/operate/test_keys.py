"""The admin key of the settings: made once, and never again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.virtual_time import VirtualClock, in_virtual_time
from tests.world import KEY, Network, running
from tracklayer.errors import Unavailable
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.store.sqlite import SqliteDatabase


@in_virtual_time
async def test_an_admin_key_that_was_revoked_does_not_come_back_with_the_setting_that_made_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keys = world.service.keys
        found = keys.find(KEY)
        assert found is not None
        await keys.create(world.workspace_id, name="another", scopes=["admin"], author="test")
    async with running(tmp_path) as world:
        again = world.service.keys.find(KEY)
        assert again == found
        await world.service.keys.remove(world.workspace_id, found.id, author="test")
    with capture_logs() as logs:
        async with running(tmp_path) as world:
            assert world.service.keys.find(KEY) is None
    assert [each["hint"] for each in logs if each["event"] == "admin_key_was_revoked"] == [found.hint]


@in_virtual_time
async def test_another_admin_key_of_the_settings_is_made(tmp_path: Path) -> None:
    other = KEY[::-1]
    async with running(tmp_path):
        pass
    async with running(tmp_path, admin_key=other) as world:
        assert world.service.keys.find(KEY) is not None
        assert world.service.keys.find(other) is not None


@in_virtual_time
async def test_an_admin_key_of_the_settings_is_made_after_a_first_start_that_was_interrupted_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for commits in range(100):
        (tmp_path / str(commits)).mkdir()
        with monkeypatch.context() as failing:
            failing.setattr(SqliteDatabase, "write", _until(commits))
            interrupted = await _is_interrupted(tmp_path / str(commits))
        async with running(tmp_path / str(commits)) as world:
            assert world.service.keys.find(KEY) is not None, f"interrupted after {commits} commits"
        if not interrupted:
            break
    assert not interrupted
    assert commits > 2


def _until(commits: int) -> Any:
    """Writing that works so often, and then no more."""
    write, left = SqliteDatabase.write, iter(range(commits))

    async def limited(self: SqliteDatabase, *args: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise Unavailable("the disk is full")
        return await write(self, *args, **options)

    return limited


async def _is_interrupted(data_dir: Path) -> bool:
    """Whether a first start with the key ends before it is ready."""
    clock = VirtualClock()
    service = Service(Settings(data_dir=data_dir, admin_key=KEY), clock=clock, transport=Network(clock))
    try:
        await service.prepare()
    except Unavailable:
        return True
    else:
        return False
    finally:
        await service.close()
