"""Durations as people write them: `500ms`, `2s`, `1m30s`, `2h`, `7d`."""

from __future__ import annotations

import re

from tracklayer.errors import Invalid

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# Each unit once, the largest first: "2s 10s" is two durations that have lost their comma.
_WHOLE = re.compile(r"\s*".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in _UNITS))
# What was saved before is read as it was then: "2s 10s" is 12 seconds.
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_STORED = re.compile(rf"(?:{_PART.pattern})+")


LONGEST = 30 * 86400.0  # seconds


def parse_duration(value: str | int | float, *, most: float = LONGEST, stored: bool = False) -> float:
    """Seconds of `value`: a number is seconds, a text is a sum of parts with units, the largest unit first.

    Of what is `stored` already the parts may also stand in any order, and units more than once.

    Raises `Invalid` for anything else, a negative value and one over `most` (30 days).
    """
    if isinstance(value, str):
        summed = _sum(value.strip(), stored)
        if summed is None:
            raise Invalid(
                f"{value!r} is not a duration: expected a number with a unit, such as 500ms, 2s, 1m30s, 2h",
                code="invalid_duration",
                pointer="",
            )
        seconds = summed
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{value!r} is not a duration: expected a text such as 10s", code="invalid_duration", pointer="")
    else:
        seconds = value
    if not 0 <= seconds <= most:
        raise Invalid(
            f"{value!r} is out of range: expected 0s to {format_duration(most)}", code="invalid_duration", pointer=""
        )
    return float(seconds)


def _sum(text: str, stored: bool) -> float | None:
    parts = _WHOLE.fullmatch(text)
    if parts is not None and text:
        numbers = zip(parts.groups(), _UNITS.values(), strict=True)
        return sum(float(number) * size for number, size in numbers if number is not None)
    text = text.replace(" ", "")
    if stored and _STORED.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return None


def format_duration(seconds: float) -> str:
    """The shortest text of `seconds` that `parse_duration` reads back: 90 is `1m30s`."""
    left = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
