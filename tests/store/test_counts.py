"""Counting attempts: what is added stays added, minutes make hours, and what is asked for is what was counted."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.conftest import OpenDatabase
from tests.store.samples import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    acceptance,
    destination,
    ended,
    only_delivery,
    settlement,
)
from tests.store.samples import version_of as version
from tracklayer.model.delivery import DeliveryState
from tracklayer.store import Configuration, Database, Queue
from tracklayer.store.counts import (
    HOUR,
    LATENCY_BOUNDS,
    MINUTE,
    CountKey,
    Counts,
    HourCount,
    SlotCount,
    bucket_of,
)

T = int(NOW) // HOUR * HOUR  # the beginning of an hour


@pytest.fixture
def counts(database: Database) -> Counts:
    return Counts(database)


def key(minute: int = T, action: str = "delivered", outcome: str = "2xx", *, of: str = "dst_1", b: int = 3) -> CountKey:
    return (of, minute, action, outcome, b)


async def hours(counts: Counts, *of: str, since: int = 0) -> list[HourCount]:
    return await counts.by_hour(of, since=since)


async def slots(counts: Counts, width: int = MINUTE, since: int = 0) -> list[SlotCount]:
    found = await counts.slots("dst_1", MINUTE if width < HOUR else HOUR, since=since, width=width)
    return sorted(found, key=lambda each: (each.slot, each.action, each.outcome, each.bucket))


async def test_what_is_added_again_adds_up(counts: Counts, open_database: OpenDatabase) -> None:
    other = Counts(open_database())
    await asyncio.gather(*(one.add({key(): 2, key(outcome="429"): 1}) for one in (counts, other) for _ in range(3)))

    assert await slots(counts) == [SlotCount(T, "delivered", "2xx", 3, 12), SlotCount(T, "delivered", "429", 3, 6)]


async def test_minutes_make_hours(counts: Counts) -> None:
    await counts.add({key(T): 1, key(T + 60): 2, key(T + HOUR - 60): 4, key(T + HOUR): 8})

    assert [(each.slot, each.count) for each in await slots(counts)] == [
        (T, 1),
        (T + 60, 2),
        (T + HOUR - 60, 4),
        (T + HOUR, 8),
    ]
    assert [(each.slot, each.count) for each in await slots(counts, HOUR)] == [(T, 7), (T + HOUR, 8)]


async def test_minutes_can_be_read_in_wider_slots(counts: Counts) -> None:
    await counts.add({key(T + 60 * minute): 1 for minute in range(25)})

    assert [(each.slot - T, each.count) for each in await slots(counts, 600, since=T)] == [
        (0, 10),
        (600, 10),
        (1200, 5),
    ]


async def test_what_is_older_is_not_read(counts: Counts) -> None:
    await counts.add({key(T - HOUR): 1, key(T): 2})

    assert [each.slot for each in await slots(counts, since=T)] == [T]
    assert [each.slot for each in await hours(counts, "dst_1", since=T)] == [T]
    assert await counts.latencies(["dst_1"], since=T) == {"dst_1": {3: 2}}


async def test_an_hour_tells_what_came_of_its_attempts(counts: Counts) -> None:
    await counts.add(
        {
            key(outcome="2xx"): 5,
            key(T + 60, "retry", "5xx"): 3,
            key(T + 60, "dead", "4xx"): 2,
            key(T + 60, "suppressed", "", b=0): 9,
            key(of="dst_2"): 1,
            key(of="dst_3"): 1,
        }
    )

    assert await hours(counts, "dst_1", "dst_2") == [HourCount("dst_1", T, 5, 3, 2), HourCount("dst_2", T, 1, 0, 0)]


async def test_an_hour_in_which_everything_was_suppressed_has_no_attempts(counts: Counts) -> None:
    await counts.add({key(action="suppressed", outcome="", b=0): 9})

    assert await hours(counts, "dst_1") == []


async def test_latencies_are_those_of_requests(counts: Counts) -> None:
    await counts.add(
        {
            key(b=1): 1,
            key(T + HOUR, b=1): 2,
            key(action="retry", outcome="timeout", b=30): 4,
            key(action="dead", outcome="render", b=0): 8,
            key(action="suppressed", outcome="", b=0): 16,
        }
    )

    assert await counts.latencies(["dst_1", "dst_2"], since=0) == {"dst_1": {1: 3, 30: 4}}


async def test_what_is_forgotten_is_gone_and_the_rest_is_there(counts: Counts, configuration: Configuration) -> None:
    for destination_id in ("dst_1", "dst_2"):
        made = destination(destination_id)
        await configuration.add_destination(made, version(made))
    await counts.add({key(T): 1, key(T + 60): 1, key(T + 120, of="dst_2"): 1})
    assert await counts.oldest(MINUTE, before=T + 60) == {"dst_1": T}
    assert await counts.oldest(MINUTE, before=T + 121) == {"dst_1": T, "dst_2": T + 120}

    await counts.forget("dst_1", MINUTE, before=T + 60)

    assert [each.slot for each in await slots(counts)] == [T + 60]
    assert [each.count for each in await slots(counts, HOUR)] == [2]
    assert await counts.oldest(HOUR, before=T) == {}


async def test_dead_letters_are_counted_without_tests_and_by_workspace(counts: Counts, queue: Queue) -> None:
    dead = [acceptance(f"ord_{number}", to=("dst_1" if number else "dst_2",)) for number in range(3)]
    others = [
        acceptance("test", test=True),
        acceptance("foreign", workspace=OTHER_WORKSPACE),
    ]
    alive = acceptance("alive")
    await queue.accept([*dead, *others, alive])
    await ended(queue, [settlement(only_delivery(item), DeliveryState.DEAD) for item in [*dead, *others]])

    assert await counts.dead(WORKSPACE) == {"dst_1": 2, "dst_2": 1}
    assert await counts.all_dead(WORKSPACE, most=100) == 3
    assert await counts.all_dead(WORKSPACE, most=2) == 2


@given(seconds=st.floats(min_value=LATENCY_BOUNDS[0], max_value=LATENCY_BOUNDS[-1], exclude_min=True))
def test_the_middle_of_a_bucket_is_within_a_fifth_of_what_fell_into_it(seconds: float) -> None:
    bucket = bucket_of(seconds)
    low, high = LATENCY_BOUNDS[bucket - 1], LATENCY_BOUNDS[bucket]
    assert low < seconds <= high
    assert (low * high) ** 0.5 == pytest.approx(seconds, rel=0.2)


def test_the_first_and_the_last_bucket_are_open() -> None:
    assert bucket_of(0.0) == bucket_of(LATENCY_BOUNDS[0]) == 0
    assert LATENCY_BOUNDS[0] == 0.001
    assert LATENCY_BOUNDS[-1] == 60.0
    assert bucket_of(61.0) == len(LATENCY_BOUNDS)
