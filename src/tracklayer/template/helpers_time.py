"""The `date` helper: a time in any canonical form, written as a receiver wants it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from tracklayer.errors import Invalid
from tracklayer.model.event_time import parse_event_time
from tracklayer.template.helper import SOMETHING, Helper, Kind, Refusal, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DIRECTIVE = re.compile("%(.?)", re.DOTALL)


def _offset(moment: datetime, colon: str = "") -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"


_DIRECTIVES: Mapping[str, Callable[[datetime], str]] = {
    "Y": lambda moment: f"{moment.year:04d}",
    "y": lambda moment: f"{moment.year % 100:02d}",
    "m": lambda moment: f"{moment.month:02d}",
    "d": lambda moment: f"{moment.day:02d}",
    "e": lambda moment: f"{moment.day}",
    "j": lambda moment: f"{moment.timetuple().tm_yday:03d}",
    "H": lambda moment: f"{moment.hour:02d}",
    "I": lambda moment: f"{(moment.hour + 11) % 12 + 1:02d}",
    "p": lambda moment: "AM" if moment.hour < 12 else "PM",
    "M": lambda moment: f"{moment.minute:02d}",
    "S": lambda moment: f"{moment.second:02d}",
    "f": lambda moment: f"{moment.microsecond:06d}",
    "L": lambda moment: f"{moment.microsecond // 1000:03d}",
    "A": lambda moment: _DAYS[moment.weekday()],
    "a": lambda moment: _DAYS[moment.weekday()][:3],
    "u": lambda moment: f"{moment.isoweekday()}",
    "B": lambda moment: _MONTHS[moment.month - 1],
    "b": lambda moment: _MONTHS[moment.month - 1][:3],
    "V": lambda moment: f"{moment.isocalendar().week:02d}",
    "G": lambda moment: f"{moment.isocalendar().year:04d}",
    "z": _offset,
    "Z": lambda moment: moment.tzname() or "",
    "s": lambda moment: f"{(moment - _EPOCH) // timedelta(seconds=1)}",
    "%": lambda _: "%",
}


def _date(value: object, style: str = "iso", *, tz: tzinfo = UTC) -> object:
    """The time in a style. Whole units only: digits below are cut off, except in `iso`, which keeps up to six."""
    try:
        written = parse_event_time(Decimal(str(value)) if isinstance(value, float) else value)
    except (Invalid, ArithmeticError, ValueError):
        raise Refusal(f"expected a time (RFC 3339, or unix seconds), got {shown(value)}") from None
    moment = datetime.fromisoformat(written)
    if style == "unix":
        return (moment - _EPOCH) // timedelta(seconds=1)
    if style == "unix_ms":
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    try:
        local = moment.astimezone(tz)
    except OverflowError:
        raise Refusal(f"the time {written} is not in the years 1 to 9999 in this time zone") from None
    if style == "iso":
        return _iso(local)
    return _DIRECTIVE.sub(lambda match: _DIRECTIVES[match[1]](local), style)


def _iso(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    offset = "Z" if moment.utcoffset() == timedelta() else _offset(moment, ":")
    return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}{fraction}{offset}"


def _style(value: object) -> object:
    if value in ("iso", "unix", "unix_ms"):
        return value
    if not isinstance(value, str) or "%" not in value:
        raise Refusal(f"expected iso, unix, unix_ms or a pattern such as %Y-%m-%d, got {shown(value)}")
    for directive in _DIRECTIVE.findall(value):
        if directive not in _DIRECTIVES:
            raise Refusal(f"unknown %{directive} in a time pattern: expected one of %{' %'.join(_DIRECTIVES)}")
    return value


def _zone(value: object) -> object:
    try:
        return UTC if value == "UTC" else ZoneInfo(value if isinstance(value, str) else "")
    except (KeyError, OSError, ValueError):  # KeyError: this machine's time zone database has no such zone
        raise Refusal(f"expected a time zone such as Europe/Berlin, got {shown(value)}") from None


STYLE = Kind("iso, unix, unix_ms or a pattern", _style, literal=True)
ZONE = Kind("a time zone", _zone, literal=True)  # read once, when the template is compiled: rendering reads no file

TIME_HELPERS = (Helper("date", _date, (SOMETHING,), (STYLE,), options={"tz": ZONE}, steps=10),)
