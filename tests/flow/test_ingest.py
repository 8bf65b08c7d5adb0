"""Taking events in: durable before it is answered, deduplicated, bounded, and nothing half done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

from tests.virtual_time import in_virtual_time
from tests.world import Outage, World, running
from tracklayer.errors import Unavailable
from tracklayer.flow.ingest import Ingest, IngestOptions
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.records import DestinationRecord, VersionRecord
from tracklayer.pipeline.filter import Filter
from tracklayer.store import Queue


def bounded(world: World, **options: Any) -> Ingest:
    """The world's ingest, with other bounds."""
    service = world.service
    service.ingest = Ingest(
        service.catalog,
        service.completing,
        service._queue,
        service.engine,
        service.clock,
        service.ids,
        service.metrics,
        service._counting,
        service.tail,
        IngestOptions(**options),
    )
    return service.ingest


class Gate:
    """Lets the store's `take_in` through when it is opened."""

    def __init__(self, queue: Queue) -> None:
        self.opened = asyncio.Event()
        self.lots: list[int] = []
        self._take_in = queue.take_in

    async def __call__(self, items: Any, complete: Any) -> Any:
        self.lots.append(len(items))
        await self.opened.wait()
        return await self._take_in(items, complete)


@in_virtual_time
async def test_an_event_goes_to_every_destination_that_wants_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("all")
        await world.destination("purchases", filter={"event_name": ["purchase"]})
        await world.destination("leads", filter={"event_name": ["lead"]})
        await world.destination("draft", status="draft")
        await world.send("ord_1")
        await world.all_end()
        assert sorted(sent.path for sent in world.network.sent) == ["/all", "/purchases"]


@in_virtual_time
async def test_an_event_that_nobody_wants_is_accepted_and_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        (answer,) = await world.send("ord_1")
        assert not answer.duplicate
        assert await world.service.history.event(world.workspace_id, "ord_1") is not None
        assert await world.deliveries() == []


@in_virtual_time
async def test_the_answer_waits_for_the_commit(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            sending = asyncio.create_task(world.send("ord_1"))
            await asyncio.sleep(IngestOptions().patience - 1)
            assert not sending.done()
            assert world.network.sent == []  # and so does the first attempt
            gate.opened.set()
            await sending
        await world.all_end()
        assert len(world.network.sent) == 1


@in_virtual_time
async def test_the_same_event_id_makes_no_new_delivery_within_the_window(tmp_path: Path) -> None:
    async with running(tmp_path, dedup_window=3600.0) as world:
        await world.destination("d")
        (first,) = await world.send("ord_1")
        await asyncio.sleep(3599)
        (again,) = await world.send("ord_1")
        assert (first.duplicate, again.duplicate) == (False, True)
        assert again.received_at == first.received_at
        await asyncio.sleep(2)
        (later,) = await world.send("ord_1")
        assert not later.duplicate
        await world.all_end()
        assert len(world.network.sent) == 2


@in_virtual_time
async def test_the_same_id_twice_at_the_same_moment_is_taken_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        answers = await asyncio.gather(*(world.send("ord_1", "ord_2", "ord_1") for _ in range(20)))
        fresh = [answer for each in answers for answer in each if not answer.duplicate]
        assert len(fresh) == 2
        await world.all_end()
        assert world.network.events("/d") == {"ord_1": 1, "ord_2": 1}
        assert world.memory == 0


@in_virtual_time
async def test_consent_and_suppression_are_decided_when_an_event_comes_in(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", consent={"requires": ["ad_storage"], "when_unknown": "deny"})
        await world.send("no", consent={"ad_storage": "denied"})
        await world.send("unknown")
        await world.send("yes", consent={"ad_storage": "granted"})
        await world.all_end()
        assert {each.event_id: each.state.value for each in await world.deliveries()} == {
            "no": "suppressed",
            "unknown": "suppressed",
            "yes": "delivered",
        }
        assert "ad_storage" in ((await world.delivery("no")).reason or "")


@in_virtual_time
async def test_a_caller_who_leaves_takes_nothing_with_him(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            leaving, staying = asyncio.create_task(world.send("ord_1")), asyncio.create_task(world.send("ord_2"))
            await asyncio.sleep(1)
            leaving.cancel()
            gate.opened.set()
            await staying
        await world.all_end()
        assert world.network.events("/d") == {"ord_1": 1, "ord_2": 1}


# Back-pressure


@in_virtual_time
async def test_too_many_waiting_events_are_refused_and_the_rest_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            bounded(world, waiting_events=5)
            sending = [asyncio.create_task(world.send(f"ord_{number}")) for number in range(20)]
            await asyncio.sleep(1)
            refused = [each for each in sending if each.done()]
            gate.opened.set()
            answers = await asyncio.gather(*sending, return_exceptions=True)
        errors = [each for each in answers if isinstance(each, BaseException)]
        assert len(errors) == len(refused) > 0
        assert all(isinstance(error, Unavailable) and error.code == "too_busy" for error in errors)
        await world.all_end()
        assert len(world.network.sent) == 20 - len(errors)
        assert world.memory == 0


@in_virtual_time
async def test_too_many_waiting_bytes_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            bounded(world, waiting_bytes=10_000)
            first = asyncio.create_task(world.send("ord_1", properties={"x": "y" * 9_000}))
            await asyncio.sleep(1)
            with pytest.raises(Unavailable, match="too many bytes"):
                await world.send("ord_2", properties={"x": "y" * 9_000})
            small = asyncio.create_task(world.send("ord_3"))
            gate.opened.set()
            await asyncio.gather(first, small)
        await world.send("ord_2", properties={"x": "y" * 9_000})


@in_virtual_time
async def test_what_nobody_waits_for_any_more_counts_until_it_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            bounded(world, waiting_bytes=10_000, patience=1)
            with pytest.raises(Unavailable, match="not stored within 1 seconds"):
                await world.send("ord_1", properties={"x": "y" * 9_000})
            with pytest.raises(Unavailable, match="too many bytes"):
                await world.send("ord_2", properties={"x": "y" * 9_000})
            gate.opened.set()
            await world.service.ingest._commits.drain()
        await world.send("ord_2", properties={"x": "y" * 9_000})


@in_virtual_time
async def test_one_batch_larger_than_the_bounds_is_taken_when_nothing_else_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        bounded(world, waiting_events=1, waiting_bytes=1)
        assert len(await world.send(*(f"ord_{number}" for number in range(500)))) == 500
        await world.all_end()
        assert len(world.network.sent) == 500


@in_virtual_time
async def test_a_commit_takes_no_more_than_its_share(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        gate = Gate(world.service._queue)
        gate.opened.set()
        with mock.patch.object(world.service._queue, "take_in", gate):
            bounded(world, largest_commit=100)
            sizes = {"a": 60, "b": 40, "c": 1, "d": 250, "e": 1}
            requests = [[f"{name}_{number}" for number in range(size)] for name, size in sizes.items()]
            await asyncio.gather(*(world.send(*request) for request in requests))
        assert gate.lots == [100, 1, 250, 1], "a request stays together"


# The store fails, or is slow


@in_virtual_time
@pytest.mark.parametrize("number", [1, 3])
async def test_who_has_waited_too_long_is_refused_and_what_it_sent_is_stored_all_the_same(
    tmp_path: Path, number: int
) -> None:
    ids = [f"ord_{each}" for each in range(number)]
    async with running(tmp_path) as world:
        await world.destination("d")
        gate = Gate(world.service._queue)
        with mock.patch.object(world.service._queue, "take_in", gate):
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable, match="not stored within 5 seconds"):
                await world.send(*ids)
            assert asyncio.get_running_loop().time() - began == pytest.approx(IngestOptions().patience)
            again = asyncio.create_task(world.send(*ids))
            gate.opened.set()
            assert [answer.duplicate for answer in await again] == [True] * number
        await world.all_end()
        assert len(world.network.sent) == number
        assert world.memory == 0


@in_virtual_time
async def test_nothing_is_kept_of_what_could_not_be_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        outage = Outage(world.service._queue.take_in)
        with mock.patch.object(world.service._queue, "take_in", outage):
            for _ in range(10):
                with pytest.raises(Unavailable, match="disk is full"):
                    await world.send("ord_1", "ord_2")
            assert world.memory == 0
            outage.on = False
            answers = await world.send("ord_1", "ord_2")
        assert [answer.duplicate for answer in answers] == [False, False]
        await world.all_end()
        assert world.network.events("/d") == {"ord_1": 1, "ord_2": 1}
        (lane,) = world.service.engine._lanes.values()
        assert lane.reserved == 0


@pytest.mark.parametrize("queue_bytes", [1_000_000, 1], ids=["memory", "store"])
@in_virtual_time
async def test_what_was_stored_although_the_commit_seemed_to_fail_is_delivered(
    tmp_path: Path, queue_bytes: int
) -> None:
    async with running(tmp_path, queue_bytes=queue_bytes) as world:
        await world.destination("d")
        outage = Outage(world.service._queue.take_in, after=True)
        with mock.patch.object(world.service._queue, "take_in", outage):
            with pytest.raises(Unavailable):
                await world.send("ord_1")
            outage.on = False
            (again,) = await world.send("ord_1")
        assert again.duplicate
        await world.all_end(within=61)
        assert (await world.delivery("ord_1")).state is DeliveryState.DELIVERED
        assert len(world.network.sent) == 1


# Many destinations


@in_virtual_time
async def test_an_event_costs_no_more_than_the_destinations_that_could_match(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        record = world.service.catalog.destination(world.workspace_id, await world.destination("first")).record
        await _many(world, record, 999)
        evaluated: list[Filter] = []
        matches = Filter.matches

        def counting(self: Filter, fields: Any) -> bool:
            evaluated.append(self)
            return matches(self, fields)

        with mock.patch.object(Filter, "matches", counting):
            await world.send("ord_1", event_name="event_7")
        # 999 destinations want 333 names, three each; one more wants every event
        assert len(evaluated) == 4
        await world.all_end()
        assert len(world.network.sent) == 4


async def _many(world: World, like: DestinationRecord, count: int) -> None:
    """Store `count` destinations at once, each for one of a third as many event names."""
    for number in range(count):
        config = msgspec.structs.replace(like.config, filter={"event_name": [f"event_{number % (count // 3)}"]})
        record = msgspec.structs.replace(like, id=f"{like.id[:-4]}{number:04}", config=config)
        version = VersionRecord(
            destination_id=record.id, version=1, config=config, author="test", note=None, created_at=record.created_at
        )
        await world.service.destinations._configuration.add_destination(record, version)
    await world.service.catalog.reload(world.workspace_id)
    world.service.engine.refresh()
