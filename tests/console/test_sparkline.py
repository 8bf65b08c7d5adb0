"""Bars by the hour as paths."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tracklayer.web.console.sparkline import HEIGHT, HIGHEST, Bars, bars

HOURS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=24)


def _drawn(path: str) -> list[tuple[int, float, float]]:
    """Left, foot and height of each bar."""
    found = re.findall(r"M(\d+) ([\d.]+)v-([\d.]+)h3v([\d.]+)z", path)
    assert "".join(f"M{left} {foot}v-{up}h3v{down}z" for left, foot, up, down in found) == path
    assert all(up == down for *_, up, down in found)
    return [(int(left), float(foot), float(up)) for left, foot, up, _ in found]


def test_no_hours_draw_nothing() -> None:
    assert bars([]) == Bars("", "", "")


def test_the_fullest_hour_is_the_highest_and_failures_stand_at_the_foot() -> None:
    drawn = bars([(6, 2), (2, 2), (0, 0)])
    assert _drawn(drawn.failed) == [(0, 24, 5.5), (4, 24, 5.5)]
    assert _drawn(drawn.delivered) == [(0, 18.5, 16.5), (4, 18.5, 5.5)]
    assert _drawn(drawn.none) == [(8, 24, 1)]


@given(HOURS)
def test_every_hour_with_traffic_can_be_seen_and_none_leaves_the_box(hours: list[tuple[int, int]]) -> None:
    drawn = bars(hours)
    assert [left // 4 for left, *_ in _drawn(drawn.delivered)] == [n for n, (good, _) in enumerate(hours) if good]
    assert [left // 4 for left, *_ in _drawn(drawn.failed)] == [n for n, (_, bad) in enumerate(hours) if bad]
    assert [left // 4 for left, *_ in _drawn(drawn.none)] == [n for n, hour in enumerate(hours) if hour == (0, 0)]
    for path in drawn:
        for _, foot, height in _drawn(path):
            assert height >= 1
            assert HEIGHT - HIGHEST - 0.1 <= foot - height <= foot <= HEIGHT
