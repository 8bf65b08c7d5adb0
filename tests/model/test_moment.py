"""Times as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracklayer.model.moment import parse_rfc3339, rfc3339


@pytest.mark.parametrize(
    "seconds, written",
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-0.25, "1969-12-31T23:59:59.750Z"),
        (1_777_977_000.1239, "2026-05-05T10:30:00.123Z"),
        (1_777_977_000.999_999_9, "2026-05-05T10:30:01.000Z"),
    ],
)
def test_a_moment_is_written_in_utc_to_the_millisecond(seconds: float, written: str) -> None:
    assert rfc3339(seconds) == written


@given(st.floats(-62_135_596_800, 253_402_300_799, exclude_max=True))
@example(1e9 + 0.999_999_5)
def test_any_moment_is_written_as_the_calendar_has_it(seconds: float) -> None:
    whole = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    assert rfc3339(seconds) == whole.replace("+00:00", "Z")


@given(st.integers(0, 4_102_444_800_000))  # until 2100: further away a float cannot tell every millisecond
def test_what_is_written_is_read_back_to_the_millisecond(milliseconds: int) -> None:
    assert round(parse_rfc3339(rfc3339(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e20])
def test_what_no_calendar_has_is_refused(seconds: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        rfc3339(seconds)
