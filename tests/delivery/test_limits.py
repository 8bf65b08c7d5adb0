from __future__ import annotations

import random
from bisect import bisect_left, bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklayer.delivery.limits import Limit, TokenBucket, Window, compile_limit
from tracklayer.errors import Invalid
from tracklayer.model.destination import RateLimit

START = 1_700_000_000.0


def drain(bucket: TokenBucket, now: float) -> int:
    """How many tokens go at once."""
    taken = 0
    while bucket.take(now) == 0.0:
        taken += 1
    return taken


@pytest.mark.parametrize(
    "given_limit, expected",
    [
        (None, None),
        (RateLimit(), None),
        (RateLimit(profile="chatops"), Limit(2, 2)),
        (RateLimit(profile="internal"), Limit(25, 25)),
        (RateLimit(profile="warehouse", burst=10), Limit(100, 10)),
        (RateLimit(events_per_second=25), Limit(25, 25)),
        (RateLimit(events_per_second=0.5), Limit(0.5, 1)),
        (RateLimit(events_per_second=0.5, burst=2.5), Limit(0.5, 2.5)),
    ],
)
def test_a_limit_is_a_rate_or_a_profile_with_a_burst_of_one_second(
    given_limit: RateLimit | None, expected: Limit | None
) -> None:
    assert compile_limit(given_limit) == expected


@pytest.mark.parametrize(
    "given_limit, place",
    [
        (RateLimit(events_per_second=0), "events_per_second"),
        (RateLimit(events_per_second=-1), "events_per_second"),
        (RateLimit(events_per_second=0.000001), "events_per_second"),
        (RateLimit(events_per_second=1e6), "events_per_second"),
        (RateLimit(events_per_second=float("nan")), "events_per_second"),
        (RateLimit(events_per_second=float("inf")), "events_per_second"),
        (RateLimit(events_per_second=5, burst=0.5), "burst"),
        (RateLimit(events_per_second=5, burst=float("inf")), "burst"),
        (RateLimit(burst=5), "burst"),
        (RateLimit(events_per_second=5, profile="internal"), "profile"),
    ],
)
def test_an_impossible_limit_is_refused_with_its_place(given_limit: RateLimit, place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_limit(given_limit)
    assert refusal.value.pointer == f"/rate_limit/{place}"


def send_for(seconds: float, limit: Limit, rng: random.Random) -> list[float]:
    """Arrivals of a backlog through a sender with late timers and a network with an unsteady delay."""
    bucket, now, arrivals = TokenBucket(limit, START), START, list[float]()
    while now < START + seconds:
        wait = bucket.take(now)
        if wait:
            now += wait + rng.uniform(0, 0.05)
        else:
            arrivals.append(now + 0.3 + rng.uniform(0, 0.15))
            now += rng.uniform(0, 0.0005)
    return sorted(arrivals)


@given(
    rate=st.sampled_from([0.5, 1, 2, 7.5, 25, 100, 200]),
    burst=st.sampled_from([0.0, 1.0, 3.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60)
def test_at_the_receiver_no_10_s_have_more_than_the_limit_nor_less_than_95_percent(
    rate: float, burst: float, seed: int
) -> None:
    limit = Limit(rate, max(1.0, burst * rate))
    arrivals = send_for(30, limit, random.Random(seed))
    most = max(bisect_right(arrivals, first + 10) - number for number, first in enumerate(arrivals))
    assert most <= rate * 10 + limit.burst
    starts = [START + 0.45 + step * 0.25 for step in range(75)]
    least = min(bisect_left(arrivals, start + 10) - bisect_left(arrivals, start) for start in starts)
    assert least >= 0.95 * rate * 10 - (1 if rate < 10 else 0)  # a slow rate counts in whole events


@pytest.mark.parametrize("rate", [0.5, 2, 25, 100, 1000])
@pytest.mark.parametrize("burst", [1, 50])
def test_the_limit_holds_when_a_sender_that_stalled_meets_a_network_that_gets_faster(rate: float, burst: float) -> None:
    bucket = TokenBucket(Limit(rate, burst), START)
    drain(bucket, START)
    now, sent = START + 1000, 0  # asleep far beyond the moment of the next token
    end = now + 10 + 0.15  # the first is under way 0.15 s longer than the last: all arrive within 10 s
    while now < end:
        wait = bucket.take(now)
        sent += wait == 0.0
        now += wait
    assert sent <= rate * 10 + burst


@given(
    rate=st.floats(0.00001, 100_000),
    start=st.floats(0, 4e9),
    burst=st.floats(1, 100),
    pauses=st.lists(st.floats(0, 3), max_size=10),
)
def test_after_the_wait_there_is_a_token(rate: float, start: float, burst: float, pauses: list[float]) -> None:
    bucket, now = TokenBucket(Limit(rate, burst), start), start
    for pause in pauses:
        now += pause
        drain(bucket, now)
        wait = bucket.take(now)
        assert 0 < wait <= 1.03 / rate + 1e-5
        now += wait
        assert bucket.take(now) == 0.0


def test_a_refusal_spends_nothing_and_says_how_long() -> None:
    bucket = TokenBucket(Limit(2, 1), START)
    assert bucket.take(START) == 0.0
    assert bucket.take(START) == bucket.take(START) == pytest.approx(1 / 1.96)


def test_a_quiet_destination_gets_its_burst_at_once_and_not_one_more() -> None:
    bucket = TokenBucket(Limit(100, 5), START)
    assert drain(bucket, START) == 5
    assert drain(bucket, START + 1) == 10  # somebody waited: 0.05 s of the rate to catch up with
    assert bucket.take(START + 1.1) == 0.0
    assert drain(bucket, START + 3600) == 5


def test_a_late_timer_loses_nothing() -> None:
    bucket, sent = TokenBucket(Limit(100, 1), START), 0
    for tick in range(1, 251):
        sent += drain(bucket, START + tick * 0.04)
    assert sent == pytest.approx(10 * 98, abs=2)


def test_a_clock_that_goes_back_earns_and_loses_nothing() -> None:
    bucket = TokenBucket(Limit(1, 10), START, tokens=3)
    assert bucket.take(START - 3600) == 0.0
    assert bucket.tokens == pytest.approx(2)
    assert drain(bucket, START - 3600) == 2
    assert bucket.take(START - 3600 + 1.1) == 0.0


def test_a_clock_that_jumps_ahead_earns_a_burst_at_most() -> None:
    bucket = TokenBucket(Limit(1, 10), START)
    drain(bucket, START)
    assert drain(bucket, START + 1e9) == 10


def test_a_bucket_is_made_again_from_its_state() -> None:
    limit = Limit(10, 20)
    bucket = TokenBucket(limit, START)
    for _ in range(17):
        bucket.take(START + 1)
    again = TokenBucket(limit, bucket.updated_at, bucket.tokens)
    assert drain(again, START + 1.5) == drain(bucket, START + 1.5) == 7
    assert drain(TokenBucket(limit, START, tokens=1000), START) == 20


def test_another_limit_keeps_what_is_saved_up_as_far_as_the_new_burst_allows() -> None:
    bucket = TokenBucket(Limit(10, 100), START)
    bucket.update(Limit(1, 5), START)
    assert drain(bucket, START) == 5
    bucket.update(Limit(10, 100), START + 2)
    assert drain(bucket, START + 2) == 1
    assert bucket.take(START + 2) < 0.1


def test_the_window_opens_by_one_with_every_success_up_to_its_cap() -> None:
    window = Window(initial=2, cap=4)
    assert window.admits(1)
    assert not window.admits(2)
    for _ in range(5):
        window.success()
    assert window.admits(3)
    assert not window.admits(4)


def test_the_window_halves_only_when_failures_follow_one_another() -> None:
    window = Window(initial=8)
    window.failure()
    assert window.size == 8
    window.success()
    window.failure()
    assert window.size == 9
    window.failure()
    assert window.size == 4
    for _ in range(5):
        window.failure()
    assert window.size == 1
    assert window.admits(0)


@given(st.lists(st.booleans()))
def test_the_window_always_admits_one_and_never_more_than_the_cap(outcomes: list[bool]) -> None:
    window = Window()
    for good in outcomes:
        window.success() if good else window.failure()
        assert window.admits(0)
        assert not window.admits(64)
