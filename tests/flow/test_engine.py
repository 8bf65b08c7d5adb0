"""The engine over a real store, with a scripted network and a clock that jumps: pacing, pausing, deleting, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import structlog

from tests.traffic import most_within
from tests.virtual_time import in_virtual_time, until
from tests.world import Outage, Outcome, World, running, status
from tracklayer.errors import Conflict, Unavailable
from tracklayer.flow.engine import CLAIMED_SIZE, OBJECTS, SCARCE_CLAIM
from tracklayer.model.delivery import DeliveryState, Request
from tracklayer.model.work import Settlement
from tracklayer.store.history import DeliveryFilter

NO_JITTER = {"attempts": 5, "backoff": "2s", "jitter": 0}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The log is not what these tests are about."""
    with structlog.testing.capture_logs():
        yield


def numbered(count: int, prefix: str = "ord") -> list[str]:
    return [f"{prefix}_{number}" for number in range(count)]


async def hangs(_: Request) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("it was woken")


# Rate limit


@in_virtual_time
async def test_a_backlog_goes_out_at_the_rate_and_never_over_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", rate_limit={"profile": "internal"})
        await world.send(*numbered(600))
        await world.all_end()
        times = world.network.times("/d")
        assert most_within(10, times) <= 25 * 10 + 25
        later = [at for at in times if at > 1]
        assert len(later) / (later[-1] - later[0]) >= 25 * 0.95
        assert set(world.network.events("/d").values()) == {1}


@in_virtual_time
async def test_a_limit_does_not_start_again_with_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", rate_limit={"events_per_second": 25})
        await world.send(*numbered(600))
        await asyncio.sleep(5)
        network = world.network
    async with running(tmp_path, network=network) as world:
        await world.all_end()
    assert most_within(10, network.times("/d")) <= 25 * 10 + 25
    assert set(network.events("/d").values()) == {1}
    assert len(network.sent) == 600


@in_virtual_time
async def test_a_destination_made_while_running_may_burst_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", rate_limit={"events_per_second": 1, "burst": 5})
        await world.send(*numbered(6))
        await world.all_end()
        assert world.network.times("/d")[:5] == pytest.approx([0] * 5, abs=0.01)
        assert world.network.times("/d")[5] == pytest.approx(1, abs=0.1)


@in_virtual_time
async def test_a_bulk_replay_obeys_the_limit(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", *[status(404)] * 100, status(200))
        destination_id = await world.destination("d", rate_limit={"events_per_second": 10})
        await world.send(*numbered(100))
        await world.all_end()
        ids = {each.id for each in await world.deliveries(state=DeliveryState.DEAD)}
        assert len(ids) == 100

        replayed = await world.service.dead_letters.replay_all(
            world.workspace_id,
            DeliveryFilter(destination_id=destination_id),
            "rerender",
            dry_run=False,
            author="test",
        )
        await world.all_end()

        assert replayed.count == 100
        assert most_within(10, world.network.times("/d")) <= 10 * 10 + 10
        assert await world.states() == {"delivered": 100}
        assert {each.header("X-TrackLayer-Delivery-Id") for each in world.network.sent[100:]} == ids


@in_virtual_time
async def test_a_changed_limit_holds_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", rate_limit={"events_per_second": 1})
        await world.send(*numbered(100))
        await asyncio.sleep(10)
        assert 10 <= len(world.network.sent) <= 11
        await world.change(destination_id, "d", rate_limit={"events_per_second": 50})
        await asyncio.sleep(2.5)
        assert len(world.network.sent) == 100


# Isolation and concurrency


@in_virtual_time
async def test_a_destination_that_hangs_delays_no_neighbour(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/hangs", hangs)
        await world.destination("hangs")
        await world.destination("quick")
        for number in range(500):
            await world.send(f"ord_{number}")
            await asyncio.sleep(0.01)
        assert len(world.network.to("/quick")) == 500
        late = [sent.at - at for sent, at in zip(world.network.to("/quick"), _arrivals(world, 500), strict=True)]
        assert max(late) < 0.001
        assert len(world.network.to("/hangs")) == 8  # the window opens with answers only


def _arrivals(world: World, count: int) -> list[float]:
    first = world.network.sent[0].at
    return [first + number * 0.01 for number in range(count)]


@in_virtual_time
async def test_no_more_attempts_are_in_flight_than_the_cap_allows(tmp_path: Path) -> None:
    in_flight, most = 0, 0

    async def slow(_: Request) -> Outcome:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(1)
        in_flight -= 1
        return status(200)

    async with running(tmp_path, concurrency=20) as world:
        world.network.script("/d", slow)
        await world.destination("d")
        await world.send(*numbered(400))
        await world.all_end()
        assert most == 20
        assert set(world.network.events("/d").values()) == {1}


@in_virtual_time
async def test_what_does_not_fit_into_memory_waits_in_the_store_and_is_delivered(tmp_path: Path) -> None:
    async with running(tmp_path, queue_bytes=20_000 * OBJECTS) as world:
        world.network.latency = 0.1
        await world.destination("d")
        await world.destination("e")
        for lot in range(10):
            await world.send(*numbered(200, f"lot{lot}"))
            assert world.memory <= 20_000 + 2 * (200 + SCARCE_CLAIM) * CLAIMED_SIZE  # each lane may be claiming
        await world.all_end()
        assert await world.states() == {"delivered": 4000}
        assert world.memory == 0
        for path in ("/d", "/e"):
            assert len(world.network.to(path)) == 2000
            assert set(world.network.events(path).values()) == {1}


# Pause, resume, change


@in_virtual_time
async def test_nothing_is_sent_while_paused_and_nothing_is_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", rate_limit={"events_per_second": 10})
        await world.send(*numbered(100))
        await asyncio.sleep(2)
        await world.pause(destination_id)
        sent = len(world.network.sent)
        await world.send(*numbered(50, "later"))
        await asyncio.sleep(300)
        assert len(world.network.sent) == sent
        assert world.memory == 0
        assert await world.leased() == 0

        await world.resume(destination_id)
        await world.all_end()

        assert await world.states() == {"delivered": 150}
        assert set(world.network.events("/d").values()) == {1}
        assert world.network.sent[sent].at - world.network.sent[sent - 1].at == pytest.approx(300, abs=1)


@in_virtual_time
async def test_what_a_claim_brings_while_the_destination_is_being_paused_is_given_back(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", status="paused")
        await world.send(*numbered(10))
        claim, claimed = world.service._queue.claim, asyncio.Event()

        async def slow_claim(*args: Any, **kwargs: Any) -> Any:
            found = await claim(*args, **kwargs)
            claimed.set()
            await asyncio.sleep(5)
            return found

        with mock.patch.object(world.service._queue, "claim", slow_claim):
            await world.resume(destination_id)
            await claimed.wait()
            await world.pause(destination_id)
            await asyncio.sleep(10)
        assert world.network.sent == []
        assert world.memory == 0
        assert await world.leased() == 0
        await world.resume(destination_id)
        await world.all_end()
        assert await world.states() == {"delivered": 10}


@in_virtual_time
async def test_an_event_whose_destination_is_paused_while_it_is_stored_is_delivered_at_once_when_resumed(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d")
        async with _slow(world, "take_in"):
            sending = asyncio.create_task(world.send("ord_1"))
            await asyncio.sleep(0.5)
            await world.pause(destination_id)
            await sending
        await asyncio.sleep(1)
        assert world.network.sent == []
        await world.resume(destination_id)
        await asyncio.sleep(1)
        assert len(world.network.sent) == 1


class _slow:  # noqa: N801 (reads as the state that it is in a with statement)
    """A verb of the store whose answer takes two seconds longer than its commit."""

    def __init__(self, world: World, verb: str) -> None:
        real = getattr(world.service._queue, verb)

        async def slow(*args: Any, **kwargs: Any) -> Any:
            answer = await real(*args, **kwargs)
            await asyncio.sleep(2)
            return answer

        self._patch = mock.patch.object(world.service._queue, verb, slow)

    async def __aenter__(self) -> None:
        self._patch.start()

    async def __aexit__(self, *_: object) -> None:
        self._patch.stop()


@in_virtual_time
async def test_what_waits_is_sent_as_the_newest_version_says(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", status="paused", template='{"v": 1}')
        await world.send("ord_1")
        await world.change(destination_id, "d", template='{"v": 2}', status="active")
        await world.all_end()
        (sent,) = world.network.sent
        assert sent.request.body == b'{"v": 2}'
        assert (await world.delivery("ord_1")).version == 2


# Suppression and consent at the time of sending


@in_virtual_time
async def test_a_suppression_stops_what_waits_already(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", status="paused")
        await world.send("ord_1", properties={"vip": True})
        await world.send("ord_2")
        await world.service.destinations.suppress(
            world.workspace_id,
            destination_id,
            event_filter={"properties.vip": True},
            reason="they asked us to",
            until=None,
            author="test",
        )
        await world.resume(destination_id)
        await world.all_end()
        assert set(world.network.events("/d")) == {"ord_2"}
        stopped = await world.delivery("ord_1")
        assert stopped.state is DeliveryState.SUPPRESSED
        assert "they asked us to" in (stopped.reason or "")


@in_virtual_time
async def test_consent_is_asked_again_when_a_retry_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500), status(200))
        destination_id = await world.destination("d", retry=NO_JITTER)
        await world.send("ord_1", consent={"ad_storage": "denied"})
        await asyncio.sleep(1)
        await world.change(destination_id, "d", retry=NO_JITTER, consent={"requires": ["ad_storage"]})
        await world.all_end()
        stopped = await world.delivery("ord_1")
        assert len(world.network.sent) == 1
        assert stopped.state is DeliveryState.SUPPRESSED
        assert "ad_storage" in (stopped.reason or "")
        assert stopped.attempts == 1


# Deleting


@in_virtual_time
async def test_deleting_is_refused_while_deliveries_wait_and_explicit_where_they_are_to_go(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", status="paused")
        await world.send(*numbered(3))
        with pytest.raises(Conflict, match="3 deliveries wait"):
            await world.delete(destination_id, discard=False)
        assert await world.delete(destination_id, discard=True) == 3
        assert await world.states() == {"discarded": 3}
        await asyncio.sleep(100)
        assert world.network.sent == []


@in_virtual_time
async def test_an_attempt_in_flight_while_its_destination_is_deleted_is_not_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 1.0
        world.network.script("/d", status(500))
        destination_id = await world.destination("d", retry=NO_JITTER)
        await world.send(*numbered(20))
        await asyncio.sleep(0.5)
        await world.delete(destination_id, discard=True)
        await asyncio.sleep(100)
        assert len(world.network.sent) == 8
        assert await world.states() == {"discarded": 20}
        assert world.memory == 0


@in_virtual_time
async def test_a_retry_whose_settlement_ends_after_the_deletion_is_let_go(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500))
        destination_id = await world.destination("d", retry=NO_JITTER)
        async with _slow(world, "settle"):
            await world.send("ord_1")
            await asyncio.sleep(1)
            await world.delete(destination_id, discard=True)
            await asyncio.sleep(10)
        assert len(world.network.sent) == 1
        assert (await world.delivery("ord_1")).state is DeliveryState.DISCARDED


@pytest.mark.parametrize("waits_in", ["memory", "store"])
@in_virtual_time
async def test_an_event_that_is_stored_while_its_destination_is_deleted_is_let_go(
    tmp_path: Path, waits_in: str
) -> None:
    queue_bytes = 1_000_000 if waits_in == "memory" else 1
    async with running(tmp_path, queue_bytes=queue_bytes) as world:
        gone = await world.destination("gone")
        await world.destination("stays")
        async with _stored_before(world, lambda: world.delete(gone, discard=True)):
            await world.send("ord_1")
        await asyncio.sleep(200)
        states = {each.destination_id: each.state for each in await world.deliveries()}
        assert states.pop(gone) is DeliveryState.DISCARDED
        assert list(states.values()) == [DeliveryState.DELIVERED]
        assert [sent.path for sent in world.network.sent] == ["/stays"]


class _stored_before:  # noqa: N801
    """Lets something happen between storing an event with its deliveries and handing those over."""

    def __init__(self, world: World, then: Any) -> None:
        real = world.service._queue.take_in

        async def take_in(items: Any, complete: Any) -> Any:
            answers = await real(items, complete)
            await then()
            return answers

        self._patch = mock.patch.object(world.service._queue, "take_in", take_in)

    async def __aenter__(self) -> None:
        self._patch.start()

    async def __aexit__(self, *_: object) -> None:
        self._patch.stop()


@in_virtual_time
async def test_nothing_is_sent_to_a_deleted_destination_whatever_is_left_in_the_store(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500))
        destination_id = await world.destination("d", retry=NO_JITTER)
        await world.send("ord_1")
        await asyncio.sleep(1)
        with mock.patch.object(world.service._queue, "discard_pending", Outage(world.service._queue.discard_pending)):
            with pytest.raises(Unavailable):
                await world.delete(destination_id, discard=True)
            await asyncio.sleep(10)
        assert len(world.network.sent) == 1
        assert await world.states() == {"pending": 1}
        network = world.network
    async with running(tmp_path, network=network) as world:  # a start finds it and lets it go
        await world.all_end()
        assert await world.states() == {"discarded": 1}
        assert len(network.sent) == 1


# The store fails


@in_virtual_time
async def test_a_settlement_waits_for_the_store_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        outage = Outage(world.service._queue.settle)
        with mock.patch.object(world.service._queue, "settle", outage):
            await world.send(*numbered(100))
            await asyncio.sleep(30)
            assert outage.failures > 10
            assert await world.states() == {"pending": 100}
            outage.on = False
            await world.all_end()
        assert await world.states() == {"delivered": 100}
        assert set(world.network.events("/d").values()) == {1}


@in_virtual_time
async def test_a_settlement_that_the_store_refuses_takes_no_other_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        settle = world.service._queue.settle

        async def refusing(settlements: list[Settlement]) -> None:
            if any(each.delivery_id == poisoned for each in settlements):
                raise ValueError("this row cannot be stored")
            await settle(settlements)

        poisoned = ""
        world.network.latency = 1.0
        with mock.patch.object(world.service._queue, "settle", refusing):
            await world.send(*numbered(8))
            poisoned = (await world.delivery("ord_3")).id
            await asyncio.sleep(5)
        assert await world.states() == {"delivered": 7, "pending": 1}
        await world.all_end()
        assert await world.states() == {"delivered": 8}


@in_virtual_time
async def test_a_claim_that_fails_is_made_again(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", status="paused")
        await world.send(*numbered(10))
        outage = Outage(world.service._queue.claim, after=True)
        with mock.patch.object(world.service._queue, "claim", outage):
            await world.resume(destination_id)
            await asyncio.sleep(5)
            outage.on = False
            await world.all_end()
        assert await world.states() == {"delivered": 10}
        assert set(world.network.events("/d").values()) == {1}


# Stopping


@in_virtual_time
async def test_a_stop_finishes_what_is_in_flight_and_leaves_the_rest_for_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 3.0
        await world.destination("d")
        await world.send(*numbered(100))
        await asyncio.sleep(1)
        network, began = world.network, world.clock.now()
        await world.service.engine.stop(patience=20)
        assert world.clock.now() - began == pytest.approx(2, abs=0.1)
        assert await world.states() == {"delivered": 8, "pending": 92}
        assert await world.leased() == 0
    async with running(tmp_path, network=network) as world:
        await world.all_end()
        assert await world.states() == {"delivered": 100}
    assert set(network.events("/d").values()) == {1}


@in_virtual_time
async def test_a_stop_does_not_wait_longer_than_its_patience(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", hangs)
        await world.destination("d")
        await world.send(*numbered(20))
        await asyncio.sleep(1)
        network, began = world.network, world.clock.now()
        await world.service.engine.stop(patience=5)
        assert world.clock.now() - began == pytest.approx(5, abs=0.1)
        assert await world.states() == {"pending": 20}
        assert await world.leased() == 0
    network.script("/d", status(200))
    async with running(tmp_path, network=network) as world:
        await world.all_end()
        assert await world.states() == {"delivered": 20}


@in_virtual_time
async def test_nothing_new_is_sent_once_a_stop_has_begun(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 1.0
        await world.destination("d")
        await world.send("ord_1")
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(world.service.engine.stop(patience=20))
        await asyncio.sleep(0.1)
        await world.send("ord_2")
        await stopping
        await asyncio.sleep(10)
        assert set(world.network.events("/d")) == {"ord_1"}
        assert await world.states() == {"delivered": 1, "pending": 1}


@in_virtual_time
async def test_a_synthetic_test_waits_for_its_token_and_says_when_there_is_none_soon(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", rate_limit={"events_per_second": 0.05, "burst": 1})
        first = await world.service.rehearsals.test(world.workspace_id, destination_id, None)
        assert first.state is DeliveryState.DELIVERED
        began = world.clock.now()
        await world.service.rehearsals.test(world.workspace_id, destination_id, None)
        assert world.clock.now() - began == pytest.approx(20 / 0.98, abs=0.1)
        await world.send("ord_1")
        await asyncio.sleep(10)
        waiting = asyncio.create_task(world.service.rehearsals.test(world.workspace_id, destination_id, None))
        await until(waiting.done, "an answer")
        assert len(world.network.sent) in (3, 4)
