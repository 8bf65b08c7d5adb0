"""Taking a rejected payload in again: as it would have been when it came, and once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Conflict, Invalid, NotFound, Unavailable
from tracklayer.model.moment import parse_rfc3339, rfc3339
from tracklayer.operate.intake import KEPT_AT_ONCE, About, encoded
from tracklayer.operate.rejected import Reingested
from tracklayer.operate.sources import Source
from tracklayer.store.rejected import RejectedRecord

KIM = "kim@example.com"
SHOP = About(type="shopify", topic="orders/paid", shop="mugs.myshopify.com")
HOUR = 3600.0


async def source(world: World, kind: str) -> Source:
    made, _ = await world.service.sources.create(world.workspace_id, type=kind, name=kind, settings={}, author=KIM)
    return made


async def mend(world: World, shop: Source) -> None:
    settings = {"topics": {"orders/paid": "purchase"}}
    await world.service.sources.change(world.workspace_id, shop.id, settings=settings, author=KIM)


async def refused(world: World, of: Source, payload: Any, about: About = SHOP) -> RejectedRecord:
    taken = await world.service.intake.take(of, about, [payload], now=world.clock.now(), size=0)
    assert taken.rejected == 1
    (record,) = await kept(world)
    return record


async def kept(world: World) -> list[RejectedRecord]:
    return await world.service.rejected.page(world.workspace_id, limit=10)


async def again(world: World, record: RejectedRecord) -> Reingested:
    return await world.service.rejected.reingest(world.workspace_id, record.id, author=KIM)


@in_virtual_time
async def test_an_event_that_says_no_time_happened_when_it_came_and_was_received_when_it_was_taken(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        shop = await source(world, "shopify")
        record = await refused(world, shop, {"id": 1})
        came = world.clock.now()
        await asyncio.sleep(5 * HOUR)
        await mend(world, shop)
        made = await again(world, record)
        stored = await world.service.history.event(world.workspace_id, made.event_id)
        assert stored is not None
        assert stored.event.occurred_at == rfc3339(came)
        assert stored.event.received_at == rfc3339(world.clock.now())
        assert stored.received_at == world.clock.now()


@in_virtual_time
async def test_the_senders_clock_is_put_right_by_when_the_payload_came(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        segment = await source(world, "segment")
        came = world.clock.now()
        call = {"type": "track", "messageId": "m", "timestamp": rfc3339(came - 60), "sentAt": rfc3339(came - 30)}
        record = await refused(world, segment, call, About(type="segment"))
        await asyncio.sleep(5 * HOUR)
        mended = encoded(call | {"event": "x"})
        await becomes(world, record, mended)
        made = await again(world, record)
        stored = await world.service.history.event(world.workspace_id, made.event_id)
        assert stored is not None
        assert parse_rfc3339(stored.event.occurred_at) == pytest.approx(came - 30, abs=0.001)


async def becomes(world: World, record: RejectedRecord, payload: bytes) -> None:
    """As if today's mapping could read what it could not: the payload is replaced by one that it understands."""
    store = world.service.rejected._store
    await store.remove(record.workspace_id, record.id)
    await store.add(record.workspace_id, [msgspec.structs.replace(record, payload=payload)])


@in_virtual_time
async def test_a_crash_between_the_event_and_its_removal_makes_no_second_event_even_days_later(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        shop = await source(world, "shopify")
        record = await refused(world, shop, {"id": 1})
        await mend(world, shop)
        store = world.service.rejected._store
        whole = await store.one(world.workspace_id, record.id)
        assert whole is not None
        first = await again(world, record)
        await store.add(world.workspace_id, [whole])  # as if its removal had never been written
        await asyncio.sleep(72 * HOUR)  # longer than the dedup window
        second = await again(world, record)
        assert (first.duplicate, second.duplicate) == (False, True)
        assert first.event_id == second.event_id
        assert await kept(world) == []


@in_virtual_time
async def test_where_the_event_cannot_be_stored_the_payload_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        shop = await source(world, "shopify")
        record = await refused(world, shop, {"id": 1})
        await mend(world, shop)

        async def refuse(*_: object, **__: object) -> None:
            raise Unavailable("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(world.service.ingest, "accept", refuse)
            with pytest.raises(Unavailable):
                await again(world, record)
        assert [each.id for each in await kept(world)] == [record.id]
        assert not (await again(world, record)).duplicate


@in_virtual_time
async def test_a_payload_without_an_id_of_its_own_is_named_for_its_rejection(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        segment = await source(world, "segment")
        record = await refused(world, segment, {"type": "page", "timestamp": "soon"}, About(type="segment"))
        await becomes(world, record, b'{"type":"page"}')
        made = await again(world, record)
        assert made.event_id == f"rejected:{record.id}"


@in_virtual_time
async def test_what_is_of_another_workspace_or_is_not_kept_whole_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "test")
        segment = await source(world, "segment")
        record = await refused(world, segment, {"type": "dance"}, About(type="segment"))
        with pytest.raises(NotFound):
            await world.service.rejected.reingest("ws_other", record.id, author=KIM)
        with pytest.raises(Conflict):
            await again(world, record)


@in_virtual_time
async def test_a_context_around_a_batch_is_not_kept_thousands_of_times(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        segment = await source(world, "segment")
        call = {"type": "dance", "context": {"x": "y" * 900_000}}
        about, now = About(type="segment"), world.clock.now()
        await world.service.intake.take(segment, about, [call] * 100, now=now, size=1_000_000)
        records = await world.service.rejected.page(world.workspace_id, limit=1_000)
        whole = [each for each in records if "withheld" not in each.about]
        assert (len(records), len(whole)) == (100, 1 + KEPT_AT_ONCE // 900_000)


@in_virtual_time
async def test_a_payload_that_is_still_wrong_keeps_its_place_with_todays_reason(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        shop = await source(world, "shopify")
        record = await refused(world, shop, {"no": "id"})
        await mend(world, shop)
        with pytest.raises(Invalid):
            await again(world, record)
        (now,) = await kept(world)
        assert (now.id, now.code, now.pointer) == (record.id, "required", "/id")
