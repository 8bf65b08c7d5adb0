"""Changes of one destination that come at the same moment: each that is answered holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import Outage, World, running, status
from tracklayer.errors import Conflict, NotFound, PreconditionFailed, TrackLayerError, Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationStatus
from tracklayer.operate.destinations import Destinations, Rotated
from tracklayer.web.console.pages.delivery_story import tell

SIGNED = {"signing": {"secret": "first_secret_0001"}}


def of(world: World) -> Destinations:
    return world.service.destinations


async def patched(world: World, destination_id: str, seen: int | None = None, **fields: Any) -> None:
    await of(world).patch(world.workspace_id, destination_id, fields, author="test", seen=seen)


async def rotated(world: World, destination_id: str, secret: str, seen: str | None = None) -> Rotated:
    return await of(world).rotate_secret(
        world.workspace_id, destination_id, secret=secret, overlap=3600.0, author="test", seen=seen
    )


@in_virtual_time
async def test_a_pause_and_a_save_at_once_both_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        for number, status in enumerate([DestinationStatus.PAUSED, DestinationStatus.ACTIVE] * 2):
            turn = of(world).set_status(world.workspace_id, made, status, author="test")
            save = patched(world, made, name=f"name {number}")
            await asyncio.gather(*((turn, save) if number < 2 else (save, turn)))
            found = of(world).get(world.workspace_id, made).record
            assert (found.status, found.config.name, found.version) == (status, f"name {number}", number + 2)


@in_virtual_time
async def test_of_many_saves_at_once_none_takes_another_ones_fields_back(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        fields: list[dict[str, Any]] = [
            {"name": "n"},
            {"template": "{}"},
            {"on_missing": "null"},
            {"rate_limit": {"events_per_second": 9}},
        ]
        await asyncio.gather(*(patched(world, made, **each) for each in fields))
        found = of(world).get(world.workspace_id, made).record
        assert (found.config.name, found.config.template, found.config.on_missing, found.version) == (
            "n",
            "{}",
            "null",
            5,
        )
        assert found.config.rate_limit is not None
        assert [each.version for each in await of(world).versions(world.workspace_id, made)] == [5, 4, 3, 2, 1]


@in_virtual_time
async def test_of_two_rotations_at_once_the_later_one_signs_with_the_earlier_one_beside_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", **SIGNED)
        await asyncio.gather(rotated(world, made, "second_secret_01"), rotated(world, made, "third_secret_001"))
        found = of(world).get(world.workspace_id, made)
        assert {found.signing_secret, found.previous_secret} == {"second_secret_01", "third_secret_001"}


@in_virtual_time
async def test_of_two_rotations_at_once_that_saw_the_same_secret_one_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", **SIGNED)
        secrets = ("second_secret_02", "third_secret_003")
        results: list[Any] = await asyncio.gather(
            *(rotated(world, made, each, seen="…0001") for each in secrets), return_exceptions=True
        )
        assert sorted(isinstance(each, Conflict) for each in results) == [False, True]
        assert of(world).get(world.workspace_id, made).previous_secret == "first_secret_0001"


@in_virtual_time
async def test_a_rotation_and_a_pause_at_once_both_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", **SIGNED)
        pause = of(world).set_status(world.workspace_id, made, DestinationStatus.PAUSED, author="test")
        await asyncio.gather(rotated(world, made, "second_secret_01"), pause)
        found = of(world).get(world.workspace_id, made)
        assert (found.signing_secret, found.record.status) == ("second_secret_01", DestinationStatus.PAUSED)


@in_virtual_time
async def test_a_destination_that_was_deleted_stays_so_whoever_saves_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for first in ("delete", "save"):
            made = await world.destination("d")
            delete, save = world.delete(made, discard=True), patched(world, made, name="late")
            results: list[Any] = await asyncio.gather(
                *((delete, save) if first == "delete" else (save, delete)), return_exceptions=True
            )
            assert all(isinstance(each, NotFound) for each in results if isinstance(each, TrackLayerError))
            with pytest.raises(NotFound):
                of(world).get(world.workspace_id, made)


@in_virtual_time
async def test_who_names_a_version_is_refused_where_another_was_saved_and_not_for_a_pause(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await asyncio.gather(world.pause(made), patched(world, made, seen=1, name="second"))
        results = await asyncio.gather(
            patched(world, made, name="third"), patched(world, made, seen=2, name="late"), return_exceptions=True
        )
        assert [type(each) for each in results] == [type(None), PreconditionFailed]
        found = of(world).get(world.workspace_id, made).record
        assert (found.config.name, found.status) == ("third", DestinationStatus.PAUSED)


RESUMES: dict[str, Callable[[World, str], Awaitable[None]]] = {
    "resume": lambda world, made: world.resume(made),
    "patch": lambda world, made: patched(world, made, status="active"),
    "replace": lambda world, made: world.change(made, "d", status="active"),
}


@pytest.mark.parametrize("how", RESUMES)
@in_virtual_time
async def test_whichever_way_it_is_resumed_it_waits_no_longer_for_what_the_receiver_asked(
    tmp_path: Path, how: str
) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(503, retry_after="3600"), status(200))
        made = await world.destination("d", retry={"backoff": "1s", "jitter": 0})
        await world.send("ord_1")
        await asyncio.sleep(10)
        await world.pause(made)
        with mock.patch.object(world.service.engine._paces, "end_hold", Outage(world.service.engine._paces.end_hold)):
            with pytest.raises(Unavailable):
                await RESUMES[how](world, made)
            assert of(world).get(world.workspace_id, made).record.status is DestinationStatus.PAUSED
        await RESUMES[how](world, made)
        await world.send("ord_2")
        await asyncio.sleep(10)
        assert world.network.events("/d")["ord_2"] == 1


@in_virtual_time
async def test_one_that_cannot_be_used_as_it_is_stored_says_why_and_delivers_what_waited_once_it_is_saved_otherwise(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.destination("other")
        await world.stored_otherwise(made, template="{{#if}")
    async with running(tmp_path) as world:
        await world.send("ord_1")
        await asyncio.sleep(10)
        assert (len(world.network.to("/other")), world.network.to("/d")) == (1, [])
        found = of(world).get(world.workspace_id, made)
        (warning,) = await world.service.reviews.warnings(found)
        assert warning.startswith(
            "it cannot be used by this version, or settings, and its deliveries wait: /template: "
        )
        tried = await world.service.rehearsals.test(world.workspace_id, made, None)
        assert tried.failure is not None
        assert tried.failure.detail.startswith("the destination cannot be used: /template: ")
        assert world.network.to("/d") == []
        (waiting,) = [each for each in await world.deliveries(event_id="ord_1") if each.destination_id == made]
        assert (waiting.state, waiting.attempts) == (DeliveryState.PENDING, 0)
        story = await tell(world.service, world.workspace_id, waiting.id)
        assert (story.headline.title, "/template: " in story.headline.sentence) == ("d cannot be used", True)

        await patched(world, made, template="{}")
        await world.all_end()
        assert world.network.events("/d") == {"ord_1": 1}


@in_virtual_time
async def test_a_deletion_that_is_to_discard_nothing_is_refused_for_what_comes_at_the_same_moment(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.pause(made)
        queue = world.service._queue
        before = await queue.backlog()
        await world.send("ord_1")
        after = await queue.backlog()
        with mock.patch.object(queue, "backlog", side_effect=[before, after]), pytest.raises(Conflict) as refusal:
            await of(world).delete(world.workspace_id, made, discard=False, seen=None, author="test")
        assert refusal.value.code == "deliveries_waiting"
        assert (await world.delivery("ord_1")).state is DeliveryState.PENDING
        assert await of(world).delete(world.workspace_id, made, discard=True, seen=None, author="test") == 1


@in_virtual_time
async def test_a_suppression_may_be_as_deep_as_the_setting_allows(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"event_name": ["purchase"]}
    for _ in range(11):
        deep = {"$and": [deep]}
    async with running(tmp_path, filter_depth=20) as world:
        made = await world.destination("d")
        await of(world).suppress(
            world.workspace_id, made, event_filter=deep, reason="a test", until=None, author="test"
        )
        await world.send("ord_1")
        assert (await world.delivery("ord_1")).state is DeliveryState.SUPPRESSED
    async with running(tmp_path, filter_depth=20) as world:
        assert len(of(world).suppressions(world.workspace_id, made)) == 1
