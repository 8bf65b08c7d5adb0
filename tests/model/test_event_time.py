"""The time of an event: every way in which callers write a time, in one form."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.model.event_time import event_time, nanoseconds, parse_event_time


@pytest.mark.parametrize(
    "written, moment",
    [
        ("2026-05-05T10:30:00Z", "2026-05-05T10:30:00Z"),
        ("2026-05-05T10:30:00z", "2026-05-05T10:30:00Z"),
        ("2026-05-05t10:30:00Z", "2026-05-05T10:30:00Z"),
        (" 2026-05-05 10:30:00 ", "2026-05-05T10:30:00Z"),
        ("2026-05-05T10:30Z", "2026-05-05T10:30:00Z"),
        ("2026-05-05", "2026-05-05T00:00:00Z"),
        ("2026-05-05T10:30:00.000Z", "2026-05-05T10:30:00.000Z"),
        ("2026-05-05T10:30:00.1234567899Z", "2026-05-05T10:30:00.123456789Z"),
        ("2026-05-05T00:30:00.5+02:00", "2026-05-04T22:30:00.5Z"),
        ("2026-05-05T10:30:00-0530", "2026-05-05T16:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_777_977_000, "2026-05-05T10:30:00Z"),
        (1_777_977_000_250, "2026-05-05T10:30:00.25Z"),
        (1_777_977_000_000, "2026-05-05T10:30:00Z"),
        (Decimal("1777977000.120"), "2026-05-05T10:30:00.12Z"),
        (Decimal("1777977000123.5"), "2026-05-05T10:30:00.1235Z"),
        (Decimal("-0.25"), "1969-12-31T23:59:59.75Z"),
        (Decimal("1E-999999"), "1970-01-01T00:00:00Z"),
        (100_000_000_000, "5138-11-16T09:46:40Z"),
        (100_000_000_001, "1973-03-03T09:46:40.001Z"),
    ],
)
def test_a_time_is_written_in_utc(written: Json, moment: str) -> None:
    assert parse_event_time(written) == moment
    assert parse_event_time(moment) == moment


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "1777977000",
        "2026-02-31",
        "2026-05-05T25:00:00Z",
        "2026-05-05T10:30:61Z",
        "2026-05-05T10:30:00+25:00",
        "2026-05-05T10:30:00Z and more",
        "20260505",
        "２０２６-05-05",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        10**30,
        -(10**12),
        Decimal("1E+999999"),
        Decimal("-1E+999999"),
        True,
        None,
        [],
        {},
    ],
)
def test_what_is_no_time_is_refused(written: Json) -> None:
    with pytest.raises(Invalid) as refused:
        parse_event_time(written)
    assert (refused.value.code, refused.value.pointer) == ("invalid_time", "")
    assert "RFC 3339" in refused.value.detail


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_python_writes_is_read_as_the_same_moment(moment: datetime) -> None:
    assert datetime.fromisoformat(parse_event_time(moment.isoformat())) == moment


@given(st.integers(-62_135_596_800, 10**11))
def test_unix_seconds_are_read_as_the_same_moment(seconds: int) -> None:
    assert (
        datetime.fromisoformat(parse_event_time(seconds)) - datetime(1970, 1, 1, tzinfo=UTC)
    ).total_seconds() == seconds


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_a_moment_to_the_nanosecond_is_written_and_read_again(since_1970: int) -> None:
    written = event_time(since_1970)
    assert written is not None
    assert nanoseconds(written) == since_1970
    assert parse_event_time(written) == written


@pytest.mark.parametrize("beyond", [-62_135_596_800 * 10**9 - 1, 253_402_300_800 * 10**9])
def test_a_moment_beyond_the_calendar_is_not_written(beyond: int) -> None:
    assert event_time(beyond) is None
