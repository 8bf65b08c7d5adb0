from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.delivery.retry import RetryPolicy, compile_policy, next_due, schedule
from tracklayer.errors import Invalid
from tracklayer.model.destination import Retry

NOW = 1_700_000_000.0


def due(policy: RetryPolicy, used: int, retry_after: float | None = None, seed: int = 1) -> float | None:
    return next_due(policy, used, NOW, random.Random(seed), retry_after)


def test_the_guides_policy_sends_six_times_and_uses_all_five_delays() -> None:
    policy = compile_policy(Retry(jitter=0))
    assert list(policy.delays) == [2, 10, 30, 120, 600]
    assert [due(policy, used) for used in range(6)] == [NOW + 2, NOW + 10, NOW + 30, NOW + 120, NOW + 600, None]


@pytest.mark.parametrize(
    "attempts, backoff, expected",
    [
        (4, "1s, 5s", (1, 5, 5, 5)),
        (3, ["500ms", 2, "1m30s"], (0.5, 2, 90)),
        (1, "1s,5s,25s", (1,)),
        (0, "1s", ()),
        (2, "0s", (0, 0)),
    ],
)
def test_a_short_list_repeats_its_last_delay(attempts: int, backoff: Any, expected: tuple[float, ...]) -> None:
    assert compile_policy(Retry(attempts=attempts, backoff=backoff)).delays == expected


@pytest.mark.parametrize(
    "retry, place, word",
    [
        (Retry(attempts=-1), "/retry/attempts", "-1 is no number of retries: expected 0 to 100"),
        (Retry(attempts=101), "/retry/attempts", "101"),
        (Retry(jitter=-0.1), "/retry/jitter", "-0.1"),
        (Retry(jitter=1.1), "/retry/jitter", "1.1"),
        (Retry(jitter=float("nan")), "/retry/jitter", "nan"),
        (Retry(backoff=[]), "/retry/backoff", "no delay"),
        (Retry(backoff=""), "/retry/backoff", "no delay"),
        (Retry(backoff=["1s", "5s", "soon"]), "/retry/backoff/2", "'soon'"),
        (Retry(backoff=["1s", -5]), "/retry/backoff/1", "-5"),
        (Retry(backoff=["31d"]), "/retry/backoff/0", "31d"),
        (Retry(backoff=[float("nan")]), "/retry/backoff/0", "nan"),
        (Retry(backoff="1s, later, 5s"), "/retry/backoff", "delay 2"),
        (Retry(backoff="1s,"), "/retry/backoff", "delay 2"),
        (Retry(backoff=["1s"] * 101), "/retry/backoff", "101 delays"),
        (Retry(attempts=31, backoff="1d"), "/retry/backoff", "31d"),
    ],
)
def test_an_impossible_policy_is_refused_with_its_place(retry: Retry, place: str, word: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_policy(retry)
    assert refusal.value.pointer == place
    assert word in refusal.value.detail


def test_thirty_days_in_all_are_allowed() -> None:
    assert sum(compile_policy(Retry(attempts=30, backoff="1d")).delays) == 30 * 86400


def test_the_guides_policy_gives_up_after_12_minutes_and_42_seconds() -> None:
    found = schedule(compile_policy(Retry()))
    assert list(found.attempts) == [0, 2, 12, 42, 162, 762]
    assert found.longest == pytest.approx(762 * 1.1)


def test_without_retries_there_is_the_first_attempt() -> None:
    found = schedule(compile_policy(Retry(attempts=0)))
    assert (list(found.attempts), found.longest) == ([0], 0)


@given(
    attempts=st.integers(0, 20),
    backoff=st.lists(st.integers(0, 3600), min_size=1, max_size=5),
    jitter=st.floats(0, 1),
    rng=st.randoms(),
)
def test_no_chance_makes_it_shorter_or_longer_than_the_schedule(
    attempts: int, backoff: list[Any], jitter: float, rng: random.Random
) -> None:
    policy = compile_policy(Retry(attempts=attempts, backoff=backoff, jitter=jitter))
    found = schedule(policy)
    times = [NOW]
    while (at := next_due(policy, len(times) - 1, times[-1], rng, None)) is not None:
        times.append(at)
    assert len(times) == len(found.attempts)
    assert all(NOW + least - 1e-3 <= at for least, at in zip(found.attempts, times, strict=True))
    assert times[-1] <= NOW + found.longest + 1e-3


def test_retry_after_is_a_lower_bound_and_does_not_shorten() -> None:
    policy = compile_policy(Retry(backoff="10s", jitter=0))
    assert due(policy, 0, retry_after=60) == NOW + 60
    assert due(policy, 0, retry_after=1) == NOW + 10
    assert due(policy, 5, retry_after=60) is None


def test_jitter_spreads_what_failed_together() -> None:
    policy = compile_policy(Retry(backoff="100s", jitter=0.1))
    times = {due(policy, 0, seed=seed) for seed in range(50)}
    assert len(times) == 50
    assert due(policy, 0, seed=7) == due(policy, 0, seed=7)


@given(
    attempts=st.integers(0, 100),
    backoff=st.lists(st.floats(0, 86400) | st.sampled_from(["2s", "1m30s", "4h"]), min_size=1, max_size=5),
    jitter=st.floats(0, 1),
    used=st.integers(0, 120),
    retry_after=st.none() | st.floats(0, 86400),
    seed=st.integers(0, 1000),
)
def test_a_retry_is_never_early_and_jitter_adds_at_most_its_share(
    attempts: int, backoff: list[Any], jitter: float, used: int, retry_after: float | None, seed: int
) -> None:
    try:
        policy = compile_policy(Retry(attempts=attempts, backoff=backoff, jitter=jitter))
    except Invalid as refusal:
        assert refusal.pointer == "/retry/backoff"  # over 30 days in all
        return
    at = due(policy, used, retry_after, seed)
    if used >= attempts:
        assert at is None
        return
    assert at is not None
    least = max(policy.delays[used], retry_after or 0)
    assert NOW + least - 1e-6 <= at <= NOW + least + policy.delays[used] * jitter + 1e-6
