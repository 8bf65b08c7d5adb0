"""How destinations fare: hours, rates, percentiles, what waits and what is dead, all from what was counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual_time import START, in_virtual_time
from tests.world import World, failure, running, status
from tracklayer.errors import NotFound
from tracklayer.model.delivery import FailureKind
from tracklayer.operate.health import (
    FRESH,
    HOURS,
    MOST_DEAD,
    OUTCOME_CLASSES,
    WINDOWS,
    Health,
    OutcomeClass,
    Series,
    Totals,
    Window,
    percentiles,
)
from tracklayer.store.counts import HOUR, LATENCY_BOUNDS, MINUTE, CountKey, bucket_of

THIS_HOUR = int(START) // HOUR * HOUR
THIS_MINUTE = int(START) // MINUTE * MINUTE
WRITTEN = 2.1  # seconds until what was counted is in the store


async def overview(world: World) -> dict[str, Health]:
    return await world.service.health.overview(world.workspace_id)


async def series(world: World, destination_id: str, window: Window = "1h") -> Series:
    return await world.service.health.series(world.workspace_id, destination_id, window)


async def count(world: World, destination_id: str, *counted: tuple[int, str, str, float, int]) -> None:
    """(when, action, outcome, seconds, how often) into the store."""
    counts: dict[CountKey, int] = {}
    for at, action, outcome, seconds, often in counted:
        key = (destination_id, at // MINUTE * MINUTE, action, outcome, bucket_of(seconds))
        counts[key] = counts.get(key, 0) + often
    await world.service._counting._store.add(counts)


@in_virtual_time
async def test_an_overview_may_be_of_some_destinations_only(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        one, other = await world.destination("one"), await world.destination("other")
        await count(world, other, (THIS_MINUTE, "delivered", "2xx", 0.1, 3))
        all_of_them = await overview(world)
        assert list(all_of_them) == [one, other]
        found = await world.service.health.overview(world.workspace_id, [other, "dst_of_nobody"])
        assert found == {other: all_of_them[other]}


@in_virtual_time
async def test_a_destination_without_traffic_has_nothing_to_tell(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        assert await overview(world) == {
            made: Health(
                since=THIS_HOUR - 23 * HOUR,
                delivered=(0,) * HOURS,
                failed=(0,) * HOURS,
                success_rate=None,
                p95_ms=None,
                waiting=0,
                oldest_waiting_at=None,
                next_due=None,
                dead=0,
            )
        }
        assert await world.service.health.totals(world.workspace_id) == Totals(dead=0)


@in_virtual_time
async def test_live_traffic_is_seen_within_seconds(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 0.25
        world.network.script("/bad", status(503), status(503), status(401))
        good = await world.destination("good")
        bad = await world.destination("bad", retry={"attempts": 2, "backoff": "1s", "jitter": 0})
        await world.send("ord_1", "ord_2", "ord_3")
        await world.all_end()
        await asyncio.sleep(WRITTEN)

        found = await overview(world)
        assert found[good].delivered == (*(0,) * 23, 3)
        assert found[good].failed == (0,) * HOURS
        assert found[good].success_rate == 1
        assert found[good].p95_ms == pytest.approx(250, rel=0.2)
        assert (sum(found[bad].failed), sum(found[bad].delivered)) == (5, 0)
        assert (found[bad].success_rate, found[bad].dead) == (0, 3)
        assert await world.service.health.totals(world.workspace_id) == Totals(dead=3)


@in_virtual_time
async def test_a_retry_is_a_failure_of_its_hour_but_not_of_the_success_rate(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(
            world,
            made,
            (THIS_HOUR, "delivered", "2xx", 0.1, 9),
            (THIS_HOUR, "retry", "5xx", 0.1, 5),
            (THIS_HOUR, "dead", "4xx", 0.1, 1),
            (THIS_HOUR, "suppressed", "", 0.0, 70),
        )
        found = (await overview(world))[made]
        assert (found.delivered[-1], found.failed[-1], found.success_rate) == (9, 6, 0.9)


@in_virtual_time
async def test_an_overview_has_the_hour_that_runs_and_the_23_before_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        first = THIS_HOUR - 23 * HOUR
        await count(
            world, made, *((first + HOUR * number, "delivered", "2xx", 0.1, number + 1) for number in range(24))
        )
        await count(world, made, (first - MINUTE, "delivered", "2xx", 50.0, 1000))
        found = (await overview(world))[made]
        assert found.since == first
        assert found.delivered == tuple(range(1, 25))
        assert found.p95_ms == pytest.approx(100, rel=0.2)


@in_virtual_time
async def test_what_waits_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.pause(made)
        await asyncio.sleep(5)
        await world.send("ord_1")
        await asyncio.sleep(5)
        await world.send("ord_2")
        found = (await overview(world))[made]
        assert (found.waiting, found.oldest_waiting_at, found.next_due) == (2, START + 5, START + 5)


@in_virtual_time
async def test_what_waits_is_not_asked_for_again_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.pause(made)
        with mock.patch.object(world.service._queue, "backlog", wraps=world.service._queue.backlog) as backlog:
            assert (await overview(world))[made].waiting == 0
            await world.send("ord_1")
            await overview(world)
            assert backlog.await_count == 1
            await asyncio.sleep(FRESH)
            assert (await overview(world))[made].waiting == 1


@in_virtual_time
async def test_a_test_is_no_dead_letter(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(401))
        made = await world.destination("d")
        await world.service.rehearsals.test(world.workspace_id, made, None)
        assert (await overview(world))[made].dead == 0
        assert await world.service.health.totals(world.workspace_id) == Totals(dead=0)


@in_virtual_time
async def test_the_dead_letters_of_a_deleted_destination_count_in_the_totals(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(401))
        made = await world.destination("d")
        await world.send("ord_1")
        await world.all_end()
        await world.delete(made, discard=False)
        assert await overview(world) == {}
        assert await world.service.health.totals(world.workspace_id) == Totals(dead=1)


@in_virtual_time
async def test_the_totals_stop_counting_at_a_limit(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with mock.patch.object(world.service._counting._store, "all_dead") as all_dead:
            await world.service.health.totals(world.workspace_id)
        all_dead.assert_awaited_once_with(world.workspace_id, most=MOST_DEAD)


@in_virtual_time
async def test_what_was_counted_before_the_clock_was_set_back_stops_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(world, made, (THIS_HOUR + HOUR, "delivered", "2xx", 0.1, 3), (THIS_HOUR, "dead", "4xx", 0.1, 1))
        found = (await overview(world))[made]
        assert (sum(found.delivered), sum(found.failed), found.success_rate) == (0, 1, 0.75)
        assert sum((await series(world, made, "24h")).attempts) == 1


@pytest.mark.parametrize("window", WINDOWS)
@in_virtual_time
async def test_a_series_ends_with_the_slot_that_runs(tmp_path: Path, window: Window) -> None:
    _, width, slots = WINDOWS[window]
    now = int(START) // width * width
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(
            world,
            made,
            (now - slots * width, "delivered", "2xx", 0.1, 1000),  # just before the window
            (now - slots * width + width, "delivered", "2xx", 0.1, 3),
            (now, "delivered", "2xx", 0.1, 5),
        )
        found = await series(world, made, window)
        assert (found.window, found.step, found.times[-1], len(found.times)) == (window, width, now, slots)
        assert {later - earlier for earlier, later in zip(found.times, found.times[1:], strict=False)} == {width}
        assert found.attempts == (3, *(0,) * (slots - 2), 5)


@in_virtual_time
async def test_a_rate_is_attempts_per_second_also_of_the_slot_that_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await asyncio.sleep(THIS_MINUTE + MINUTE - START)
        begun = THIS_MINUTE + MINUTE
        await count(world, made, *((begun - MINUTE * n, "delivered", "2xx", 0.1, 120) for n in range(2)))
        assert (await series(world, made)).rates[-2:] == (2, 12)  # it has just begun: 10 s at the least
        await asyncio.sleep(30)
        assert (await series(world, made)).rates[-2:] == (2, 4)


CLASSES: dict[str, OutcomeClass] = {
    "2xx": "other",
    "3xx": "other",
    "4xx": "4xx",
    "429": "429",
    "5xx": "5xx",
    "timeout": "timeout",
    "dns": "connection",
    "connect": "connection",
    "tls": "connection",
    "reset": "connection",
    "protocol": "connection",
    "refused_address": "connection",
    "render": "unsendable",
    "validate": "unsendable",
    "internal": "other",
}


def test_every_way_to_fail_has_its_class() -> None:
    assert set(get_args(FailureKind)) < CLASSES.keys()


@pytest.mark.parametrize("action", ["retry", "dead"])
@pytest.mark.parametrize("outcome, expected", CLASSES.items())
@in_virtual_time
async def test_a_failure_is_told_by_its_class(
    tmp_path: Path, outcome: str, expected: OutcomeClass, action: str
) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(world, made, (THIS_MINUTE, action, outcome, 0.1, 7))
        found = await series(world, made)
        assert {each: values[-1] for each, values in found.outcomes.items()} == dict.fromkeys(OUTCOME_CLASSES, 0) | {
            expected: 7
        }


@in_virtual_time
async def test_whatever_is_delivered_is_delivered_and_what_is_suppressed_is_no_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(
            world,
            made,
            (THIS_MINUTE, "delivered", "2xx", 0.1, 1),
            (THIS_MINUTE, "delivered", "4xx", 0.1, 2),  # "409 is a success", the configuration says
            (THIS_MINUTE, "suppressed", "", 0.0, 4),
        )
        found = await series(world, made)
        assert (found.outcomes["delivered"][-1], found.outcomes["suppressed"][-1], found.attempts[-1]) == (3, 4, 3)


@in_virtual_time
async def test_percentiles_are_of_requests_and_empty_where_there_was_none(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await count(
            world,
            made,
            (THIS_MINUTE - MINUTE, "dead", "render", 0.0, 100),
            (THIS_MINUTE, "dead", "render", 0.0, 100),
            (THIS_MINUTE, "delivered", "2xx", 0.05, 90),
            (THIS_MINUTE, "delivered", "2xx", 0.5, 8),
            (THIS_MINUTE, "retry", "timeout", 10.0, 2),
        )
        found = await series(world, made)
        assert (found.p50_ms[-2], found.p95_ms[-2], found.p99_ms[-2]) == (None, None, None)
        assert found.p50_ms[-1] == pytest.approx(50, rel=0.2)
        assert found.p95_ms[-1] == pytest.approx(500, rel=0.2)
        assert found.p99_ms[-1] == pytest.approx(10_000, rel=0.2)


@in_virtual_time
async def test_a_series_of_live_traffic_has_its_failures(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", failure("connect"), status(429), status(200))
        made = await world.destination("d", retry={"backoff": "1s", "jitter": 0})
        await world.send("ord_1")
        await world.all_end()
        await asyncio.sleep(WRITTEN)
        found = await series(world, made)
        assert {each: sum(values) for each, values in found.outcomes.items() if sum(values)} == {
            "connection": 1,
            "429": 1,
            "delivered": 1,
        }


@in_virtual_time
async def test_there_is_no_series_of_what_is_not_there(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with pytest.raises(NotFound):
            await series(world, "dst_unknown")


@given(
    st.lists(st.floats(min_value=0.0011, max_value=59.9), min_size=1, max_size=200),
    st.floats(min_value=0, max_value=1),
)
def test_a_percentile_is_within_a_fifth_of_the_true_one(durations: list[float], fraction: float) -> None:
    histogram: dict[int, int] = {}
    for seconds in durations:
        histogram[bucket_of(seconds)] = histogram.get(bucket_of(seconds), 0) + 1
    (found,) = percentiles(histogram, fraction)
    enough = [
        each for each in sorted(durations) if sum(other <= each for other in durations) >= fraction * len(durations)
    ]
    assert found == pytest.approx(enough[0] * 1000, rel=0.2)


def test_the_open_buckets_stand_for_their_bounds() -> None:
    assert percentiles({0: 1}, 0.5) == (1.0,)
    assert percentiles({len(LATENCY_BOUNDS): 1}, 0.5) == (60_000.0,)
    assert percentiles({}, 0.5, 0.99) == (None, None)
