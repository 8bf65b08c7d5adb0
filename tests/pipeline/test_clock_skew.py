"""When it happened by our clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.event import Json
from tracklayer.model.moment import parse_rfc3339, rfc3339
from tracklayer.pipeline.clock_skew import correct_clock

NOW = 1_777_977_000.0  # 2026-05-05T10:30:00Z


def test_what_happened_so_long_before_the_sending_happened_as_long_before_the_arrival() -> None:
    assert correct_clock("2026-05-05T10:20:00Z", "2026-05-05T10:20:05Z", NOW) == ("2026-05-05T10:29:55Z", 595_000)
    assert correct_clock("2026-05-05T11:00:00Z", "2026-05-05T11:00:05Z", NOW) == ("2026-05-05T10:29:55Z", -1_805_000)


def test_digits_below_the_millisecond_are_kept() -> None:
    found = correct_clock("2026-05-05T10:20:00.123456789Z", "2026-05-05T10:20:05.250Z", NOW)
    assert found == ("2026-05-05T10:29:54.873456789Z", 594_750)


@pytest.mark.parametrize("off", [0, 0.4, 1.0, -1.0, 86_400, -86_400, 40_000_000])
def test_too_little_is_the_network_and_too_much_is_no_clock(off: float) -> None:
    assert correct_clock("2026-05-05T10:00:00Z", rfc3339(NOW - off), NOW) is None


@pytest.mark.parametrize("sent_at", ["soon", "", True, [], {}])
def test_what_is_no_time_corrects_nothing(sent_at: Json) -> None:
    assert correct_clock("2026-05-05T10:00:00Z", sent_at, NOW) is None


def test_a_time_beyond_the_calendar_is_not_made() -> None:
    assert correct_clock("0001-01-01T00:00:00Z", rfc3339(NOW + 60), NOW) is None


@given(st.integers(1_001, 86_399_999), st.sampled_from([1, -1]), st.integers(0, 10**7))
def test_the_clock_of_a_sender_does_not_matter(off: int, sign: int, before: int) -> None:
    behind = sign * off
    happened, sent = NOW - before / 1000 - behind / 1000, NOW - behind / 1000
    found = correct_clock(rfc3339(happened), rfc3339(sent), NOW)
    assert found is not None
    assert found[1] == behind
    assert parse_rfc3339(found[0]) == pytest.approx(NOW - before / 1000, abs=0.002)
