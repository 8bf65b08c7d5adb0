"""How often something may fail: counted by key, within a window, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracklayer.operate import failure_limit
from tracklayer.operate.failure_limit import FailureLimit


def test_so_many_may_fail_and_then_it_waits_for_the_oldest_to_leave_the_window() -> None:
    limit = FailureLimit(2, 100.0)
    limit.add("a", 0.0)
    assert limit.wait("a", 10.0) == 0
    limit.add("a", 10.0)
    assert limit.wait("a", 10.0) == 90
    assert limit.wait("b", 10.0) == 0
    assert limit.wait("a", 99.0) == 1
    assert limit.wait("a", 100.0) == 0


def test_what_did_not_fail_is_taken_back_or_clears_the_key() -> None:
    limit = FailureLimit(1, 100.0)
    limit.add("a", 0.0)
    limit.remove("a")
    assert limit.wait("a", 0.0) == 0
    limit.add("a", 0.0)
    limit.clear("a")
    assert limit.wait("a", 0.0) == 0
    limit.remove("unknown")
    limit.clear("unknown")


def test_memory_is_bounded_and_the_keys_that_failed_longest_ago_go_first() -> None:
    limit = FailureLimit(1, 1e9)
    limit.add("first", 0.0)
    limit.add("second", 1.0)
    limit.add("first", 2.0)
    for number in range(failure_limit.MOST_KEYS - 1):
        limit.add(f"key {number}", 3.0)
    assert limit.wait("second", 4.0) == 0
    assert limit.wait("first", 4.0) > 0


@given(
    st.integers(1, 5),
    st.lists(st.floats(0, 50), max_size=40),
)
def test_no_window_holds_more_failures_than_allowed(most: int, pauses: list[float]) -> None:
    limit = FailureLimit(most, 100.0)
    now, failed = 0.0, list[float]()
    for pause in pauses:
        now += pause
        if limit.wait("a", now) == 0:
            limit.add("a", now)
            failed.append(now)
    for begin in failed:
        assert sum(begin <= at < begin + 100.0 for at in failed) <= most
