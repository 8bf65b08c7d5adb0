"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.duration import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("1m30s", 90.0),
        ("1m 30s", 90.0),
        ("1m5ms", 60.005),
        (" 5 s ", 5.0),
        ("7d", 604_800.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("0s", 0.0),
        (10, 10.0),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_a_sum_of_parts_or_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["2s 10s", "1s1m", "1m1m", "90", "", " ", "-1s", "1w", "1,5s", "s", "1e3s", True])
def test_what_is_none_is_refused_also_two_of_them_that_lost_their_comma(text: str | bool) -> None:
    with pytest.raises(Invalid, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text, seconds", [("2s 10s", 12.0), ("30s 1m", 90.0), ("1s1s1ms", 2.001), ("1m 30s", 90.0)])
def test_what_is_stored_is_read_as_it_was_when_it_was_saved(text: str, seconds: float) -> None:
    assert parse_duration(text, stored=True) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["90", "", " ", "-1s", "2s, 10s", "40d", "20d 20d"])
def test_what_could_never_be_saved_is_refused_stored_or_not(text: str) -> None:
    with pytest.raises(Invalid, match=r"is not a duration|is out of range"):
        parse_duration(text, stored=True)


@pytest.mark.parametrize("value", [-1, LONGEST + 1, "31d", float("nan"), float("inf")])
def test_what_is_out_of_range_is_refused(value: str | float) -> None:
    with pytest.raises(Invalid, match="out of range: expected 0s to 30d"):
        parse_duration(value)


@given(st.integers(0, int(LONGEST * 1000)))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
