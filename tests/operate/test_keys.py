"""The admin key of the settings: made once, and never again."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from tests.virtual_time import in_virtual_time
from tests.world import KEY, running


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
