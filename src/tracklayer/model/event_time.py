"""The time of an event, in every way in which callers write it: RFC 3339, unix seconds, unix milliseconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tracklayer.errors import Invalid
from tracklayer.model.event import Json

_SECONDS_END = 10**11  # as seconds this is the year 5138, as milliseconds it is March 1973: beyond it are milliseconds
_LOCAL_EPOCH = datetime(1970, 1, 1)  # all of this is UTC, and naming the zone costs as much again
_YEARS_1_TO_9999 = (-62_135_596_800, 253_402_300_799)  # unix seconds
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2})(?:(:[0-9]{2})(?:[.,]([0-9]+))?)? ?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def parse_event_time(value: Json) -> str:
    """`value` in UTC with `Z`: a text as RFC 3339 (section 5.6), or a number of unix seconds (milliseconds over 10^11).

    A date alone is its midnight, and a time without an offset is UTC. Up to nine digits below the second are kept as
    they are. Raises `Invalid` for anything else, with the pointer "".
    """
    if type(value) is str:
        match = _DATE_TIME.fullmatch(value.strip())
        written = _utc_of_text(*match.groups()) if match else None
    elif type(value) is int or type(value) is Decimal:
        written = _utc_of_number(value)
    else:
        written = None
    if written is None:
        shown = f'"{value[:40]}"' if type(value) is str else "this value"
        raise Invalid(
            f"{shown} is not a time: expected RFC 3339, such as 2026-05-05T10:30:00Z, or unix seconds; years 1 to 9999",
            code="invalid_time",
            pointer="",
        )
    return written


def _utc_of_text(
    date: str, minute: str | None, second: str | None, fraction: str | None, offset: str | None
) -> str | None:
    """None for what no calendar has, such as the 31st of February."""
    local = f"{date}T{minute or '00:00'}{second or ':00'}"
    try:
        if offset and offset not in "Zz":
            moment = datetime.fromisoformat(local + offset).astimezone(UTC)
        else:
            moment = datetime.fromisoformat(local)
    except (ValueError, OverflowError):
        return None
    return f"{moment.isoformat()[:19]}{f'.{fraction[:9]}' if fraction else ''}Z"


def _utc_of_number(value: int | Decimal) -> str | None:
    """None outside of the years 1 to 9999."""
    per_second = 1 if value <= _SECONDS_END else 1000
    first, last = _YEARS_1_TO_9999
    if not first <= value <= last * per_second:
        return None
    return event_time(math.floor(value * (10**9 // per_second)))


def nanoseconds(canonical: str) -> int:
    """Since 1970, of what `parse_event_time` answered: exact, as a float is not."""
    whole = datetime.fromisoformat(canonical[:19]) - _LOCAL_EPOCH
    second = whole.days * 86_400 + whole.seconds
    return second * 10**9 + int(canonical[20:-1].ljust(9, "0") or 0)


def event_time(since_1970: int) -> str | None:
    """Nanoseconds since 1970 as `parse_event_time` writes a time; None outside of the years 1 to 9999."""
    second, nanosecond = divmod(since_1970, 10**9)
    first, last = _YEARS_1_TO_9999
    if not first <= second <= last:
        return None
    fraction = f".{nanosecond:09d}".rstrip("0") if nanosecond else ""
    return f"{(_LOCAL_EPOCH + timedelta(seconds=second)).isoformat()}{fraction}Z"
