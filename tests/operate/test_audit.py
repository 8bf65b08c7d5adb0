"""Every change leaves an entry: who, what, to what; and never the value of a secret."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running, status
from tracklayer.errors import Conflict, Invalid, PreconditionFailed, Unavailable
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import Json, encode_json
from tracklayer.operate.draft import read_draft
from tracklayer.store.history import DeliveryFilter

KIM = "kim@example.com"
Trail = list[tuple[str, str, str, dict[str, Json]]]


async def trail(world: World, since: int = 0) -> Trail:
    """What the audit has, oldest first, from the entry number `since` on."""
    entries = await world.service.audit.page(world.workspace_id, limit=100)
    return [(each.actor, each.action, each.target, each.detail) for each in entries[::-1]][since:]


def draft(**fields: Any) -> Any:
    return read_draft(encode_json({"name": "d", "transport": {"url": "https://receiver.test/d"}} | fields))


@in_virtual_time
async def test_what_is_done_to_a_destination(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destinations, workspace_id = world.service.destinations, world.workspace_id
        begin = len(await trail(world))
        made = await destinations.create(workspace_id, draft(signing={"secret": "dest_live_9f3b27"}), author=KIM)
        where = (workspace_id, made.id)
        changed = draft(template='{"a": 1}', retry={"attempts": 2}, signing={"secret": "dest_live_other"})
        await destinations.replace(*where, changed, author="key", seen=1)
        await destinations.restore(*where, 1, author=KIM, seen=2)
        for status in (
            DestinationStatus.PAUSED,
            DestinationStatus.ACTIVE,
            DestinationStatus.DRAFT,
            DestinationStatus.ACTIVE,
        ):
            await destinations.set_status(*where, status, author=KIM)
        await destinations.rotate_secret(*where, secret="dest_live_rotated", overlap=60.0, author=KIM)
        suppression = await destinations.suppress(
            *where, event_filter={"platform": ["x"]}, reason="incident", until=None, author=KIM
        )
        await destinations.lift(*where, suppression.id, author=KIM)
        await destinations.delete(*where, discard=False, seen=None, author=KIM)
        assert await trail(world, begin) == [
            (KIM, "destination.created", made.id, {"name": "d", "status": "active"}),
            (
                *("key", "destination.saved", made.id),
                {"version": 2, "changed": ["template", "retry.attempts", "signing.secret"]},
            ),
            (KIM, "destination.restored", made.id, {"version": 3, "restored": 1}),
            (KIM, "destination.paused", made.id, {"before": "active"}),
            (KIM, "destination.resumed", made.id, {"before": "paused"}),
            (KIM, "destination.made_a_draft", made.id, {"before": "active"}),
            (KIM, "destination.went_live", made.id, {"before": "draft"}),
            (KIM, "destination.secret_rotated", made.id, {"overlap_seconds": 60, "generated": False}),
            (
                *(KIM, "destination.suppressed", made.id),
                {
                    "suppression_id": suppression.id,
                    "reason": "incident",
                    "filter": {"platform": ["x"]},
                    "until": None,
                },
            ),
            (
                *(KIM, "destination.suppression_lifted", made.id),
                {"suppression_id": suppression.id, "reason": "incident"},
            ),
            (KIM, "destination.deleted", made.id, {"name": "d", "discarded": 0}),
        ]


@in_virtual_time
async def test_what_is_done_to_secrets_and_keys(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        secrets, keys, workspace_id = world.service.secrets, world.service.keys, world.workspace_id
        begin = len(await trail(world))
        for value in ("a-secret-value-1", "a-secret-value-2"):
            await secrets.put(workspace_id, "token", value, author=KIM)
        await secrets.remove(workspace_id, "token", author="shop")
        key, _ = await keys.create(workspace_id, name="shop", scopes=("events:write", "events:read"), author=KIM)
        await keys.remove(workspace_id, key.id, author=KIM)
        assert await trail(world, begin) == [
            (KIM, "secret.stored", "token", {"replaced": False}),
            (KIM, "secret.stored", "token", {"replaced": True}),
            ("shop", "secret.removed", "token", {}),
            (KIM, "key.created", key.id, {"name": "shop", "scopes": ["events:read", "events:write"]}),
            (KIM, "key.revoked", key.id, {"name": "shop"}),
        ]


@in_virtual_time
async def test_what_it_does_of_itself(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        ((actor, action, _, detail),) = await trail(world)
        assert (actor, action) == ("TrackLayer", "key.created")
        assert detail == {"name": "TRACKLAYER_ADMIN_KEY", "scopes": ["admin"]}


@in_virtual_time
async def test_what_is_done_to_dead_letters(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(404))
        destination_id = await world.destination("d")
        await world.send("ord_1", "ord_2", "ord_3")
        await world.all_end()
        one, two, three = [each.id for each in await world.deliveries()]
        letters, workspace_id = world.service.dead_letters, world.workspace_id
        begin = len(await trail(world))
        everything = DeliveryFilter(destination_id=destination_id, code=404)
        await letters.replay(workspace_id, one, "rerender", author=KIM)
        await letters.discard(workspace_id, two, "not wanted", author=KIM)
        await letters.replay_all(workspace_id, everything, "rerender", dry_run=True, author=KIM)
        await world.all_end()
        await letters.replay_all(workspace_id, everything, "as_sent", dry_run=False, author="shop")
        await world.all_end()
        chosen = DeliveryFilter(ids=(one, three))
        await letters.replay_all(workspace_id, chosen, "rerender", dry_run=False, author=KIM)
        await letters.replay_all(workspace_id, DeliveryFilter(event_id="none"), "rerender", dry_run=False, author=KIM)
        assert await trail(world, begin) == [
            (KIM, "dead_letter.replayed", one, {"mode": "rerender", "destination_id": destination_id}),
            (KIM, "dead_letter.discarded", two, {"reason": "not wanted", "destination_id": destination_id}),
            (
                *("shop", "dead_letter.replayed_all", destination_id),
                {"count": 2, "mode": "as_sent", "filter": {"destination_id": destination_id, "code": 404}},
            ),
            (
                *(KIM, "dead_letter.replayed_all", "all destinations"),
                {"count": 2, "mode": "rerender", "filter": {"ids": 2}},
            ),
        ]


@in_virtual_time
async def test_a_replay_that_fails_half_way_is_recorded_with_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(404))
        await world.destination("d")
        await world.send(*(f"ord_{number}" for number in range(5)))
        await world.all_end()
        letters, revive = world.service.dead_letters, world.service._queue.revive
        monkeypatch.setattr("tracklayer.operate.dead_letters.PAGE", 2)
        pages = 0

        async def twice(*args: Any, **kwargs: Any) -> Any:
            nonlocal pages
            pages += 1
            if pages == 3:
                raise Unavailable("the disk is full")
            return await revive(*args, **kwargs)

        monkeypatch.setattr(world.service._queue, "revive", twice)
        with pytest.raises(Unavailable):
            await letters.replay_all(world.workspace_id, DeliveryFilter(), "rerender", dry_run=False, author=KIM)
        (_, action, _, detail) = (await trail(world))[-1]
        assert (action, detail["count"]) == ("dead_letter.replayed_all", 4)


@in_virtual_time
async def test_what_is_refused_leaves_no_entry(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        service, workspace_id = world.service, world.workspace_id
        made = await service.destinations.create(workspace_id, draft(), author=KIM)
        (admin,) = service.keys.all(workspace_id)
        before = await trail(world)
        with pytest.raises(PreconditionFailed):
            await service.destinations.replace(workspace_id, made.id, draft(name="e"), author=KIM, seen=7)
        with pytest.raises(Conflict):
            await service.destinations.rotate_secret(workspace_id, made.id, secret=None, overlap=0, author=KIM)
        with pytest.raises(Invalid):
            await service.secrets.put(workspace_id, "token", "", author=KIM)
        with pytest.raises(Conflict):
            await service.keys.remove(workspace_id, admin.id, author=KIM)
        assert await trail(world) == before


@in_virtual_time
async def test_no_detail_holds_a_secret(tmp_path: Path) -> None:
    values = [f"s3cr3t-value-{number}" for number in range(5)]
    async with running(tmp_path) as world:
        service, workspace_id = world.service, world.workspace_id
        await service.secrets.put(workspace_id, "token", values[0], author=KIM)
        headers = {"Authorization": f"Bearer {values[1]}"}
        transport = {"url": "https://receiver.test/d", "headers": headers}
        signed = draft(signing={"secret": values[2]}, transport=transport)
        made = await service.destinations.create(workspace_id, signed, author=KIM)
        headers["Authorization"] = "Basic xyz"
        again = draft(signing={"secret": values[3]}, transport=transport)
        await service.destinations.replace(workspace_id, made.id, again, author=KIM, seen=None)
        await service.destinations.rotate_secret(workspace_id, made.id, secret=values[4], overlap=60.0, author=KIM)
        _, key = await service.keys.create(workspace_id, name="k", scopes=("admin",), author=KIM)
        kept = repr(await trail(world))
        assert "transport.headers.Authorization" in kept
        assert [value for value in [*values, key, "Basic xyz"] if value in kept] == []


@in_virtual_time
async def test_entries_bear_the_time_and_come_newest_first(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d")
        await asyncio.sleep(60)
        paused_at = world.clock.now()
        await world.pause(destination_id)
        newest, before = await world.service.audit.page(world.workspace_id, limit=2)
        assert (newest.action, newest.at) == ("destination.paused", paused_at)
        assert (before.action, before.at) == ("destination.created", paused_at - 60)
        assert newest.id > before.id
