from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import event_id
from bench.measure import flow, median, percentile, spread


@pytest.mark.parametrize(
    "percent,expected",
    [(0, 1.0), (1, 1.0), (50, 50.0), (50.5, 51.0), (95, 95.0), (99, 99.0), (99.9, 100.0), (100, 100.0)],
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], percent) == expected


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 50)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_the_least_value_that_enough_values_do_not_exceed(values: list[float], percent: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert sum(value <= found for value in ordered) >= len(ordered) * percent / 100
    assert found == ordered[0] or sum(value < found for value in ordered) < len(ordered) * percent / 100


def test_a_spread_is_in_milliseconds_and_needs_no_order() -> None:
    found = spread([0.003, 0.001, 0.002])
    assert found is not None
    assert (found.p50, found.p99, found.max) == (2.0, 3.0, 3.0)
    assert spread([]) is None


@pytest.mark.parametrize("values,expected", [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5), ([7.0], 7.0)])
def test_the_median_is_the_middle(values: list[float], expected: float) -> None:
    assert median(values) == expected


def test_a_flow_joins_both_ends_and_counts_what_is_missing() -> None:
    due = [100.0, 100.1, 100.2, 100.3]
    acked = [100.5, 100.6, 100.7, 0.0]  # the last was never acknowledged
    arrivals = {event_id("m", 0): 100.51, event_id("m", 1): 100.59, event_id("w", 2): 100.0}
    found = flow("m", due, acked, arrivals)
    assert (found.acknowledged, found.arrived, found.missing, found.early) == (3, 2, 1, 1)
    assert found.seconds == pytest.approx(0.59)
    assert found.events_per_second == pytest.approx(2 / 0.59)
    assert found.acknowledged_per_second == pytest.approx(3 / 0.7)
    assert found.delay is not None
    assert found.whole is not None
    assert found.delay.p50 == 0.0  # it came before its acknowledgement was read
    assert found.delay.max == pytest.approx(10.0)
    assert found.whole.max == pytest.approx(510.0)


def test_a_flow_without_any_answer_has_no_rates() -> None:
    found = flow("m", [100.0], [0.0], {})
    assert (found.acknowledged, found.missing, found.events_per_second, found.delay) == (0, 0, 0.0, None)
