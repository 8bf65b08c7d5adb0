"""Times as the API shows them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond: `2026-05-05T10:30:00.000Z`."""
    whole = math.floor(seconds)
    microseconds = round((seconds - whole) * 1_000_000)
    if microseconds == 1_000_000:
        whole, microseconds = whole + 1, 0
    return f"{_to_the_second(whole)}.{microseconds // 1000:03d}Z"


@lru_cache(maxsize=1_024)  # events come by the second, and naming one takes 2 µs
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_rfc3339(text: str) -> float:
    """Unix seconds of an RFC 3339 time; one without a zone is taken as UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def given_moment(text: str) -> float:
    """Unix seconds of a time that somebody gives, and that `rfc3339` can show again. Raises `ValueError`."""
    try:
        moment = parse_rfc3339(text)
        rfc3339(moment)
    except OverflowError as error:
        raise ValueError("its offset leads out of the years 1 to 9999") from error
    return moment
