"""How the console says things: one state, one word, one icon; numbers, durations and sizes as people read them."""

from __future__ import annotations

import msgspec

from tracklayer.delivery.limits import PROFILES
from tracklayer.delivery.redact import REDACTED
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import RateLimit
from tracklayer.model.event import Json, encode_json
from tracklayer.model.moment import rfc3339
from tracklayer.store.history import StoredDelivery

_THIN = "\N{NARROW NO-BREAK SPACE}"
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

ICONS = {
    "pending": "clock",
    "sending": "send",
    "retrying": "retry",
    "delivered": "check",
    "dead": "cross",
    "suppressed": "shield",
    "discarded": "trash",
    "draft": "pencil",
    "paused": "pause",
    "active": "check",
    "passed": "check",
    "failed": "cross",
    "skipped": "minus",
}
"""State → the icon of its badge; the class of the badge is the state itself."""

SCHEMES = {"tracklayer": "TrackLayer (HMAC-SHA256)", "standard-webhooks": "Standard Webhooks"}
PROFILE_NAMES = {"chatops": "Chatops webhook", "internal": "Internal service", "warehouse": "Warehouse collector"}


def state_of(delivery: StoredDelivery, *, sending: bool = False) -> str:
    """The word for where a delivery stands: what waits after an attempt is `retrying`."""
    if delivery.state is not DeliveryState.PENDING:
        return delivery.state.value
    if sending:
        return DeliveryState.SENDING.value
    return "retrying" if delivery.attempts else "pending"


def count(number: float) -> str:
    """A whole number with thin separators: 12 345."""
    return f"{number:,.0f}".replace(",", _THIN)


def percent(share: float | None) -> str:
    """A share of 1 as percent, never 100 where anything failed: 0.99996 is `99.9 %`."""
    if share is None:
        return "–"
    tenths = int(share * 1000)
    return f"{tenths / 10:g}{_THIN}%"


def duration(seconds: float | None) -> str:
    """`2 m 12 s`: the two largest units; milliseconds below a second."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return milliseconds(seconds * 1000)
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f}{_THIN}s"
    left = round(seconds)
    parts = []
    for unit, size in _UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{_THIN}{unit}")
    return " ".join(parts[:2])


def milliseconds(value: float | None) -> str:
    """`0.8 ms`, `12 ms`, `1.2 s`."""
    if value is None:
        return "–"
    if value >= 1000:
        return duration(value / 1000)
    return f"{value:.{1 if value < 10 else 0}f}{_THIN}ms"


def size(amount: int) -> str:
    """Bytes as `812 B`, `12.4 KiB`, `3.0 GiB`."""
    if amount < 1024:
        return f"{amount}{_THIN}B"
    scaled, units = amount / 1024, iter(("KiB", "MiB", "GiB"))
    unit = next(units)
    while scaled >= 1024 and (larger := next(units, None)):
        scaled, unit = scaled / 1024, larger
    return f"{scaled:.1f}{_THIN}{unit}"


def masked(hint: str) -> str:
    """The hint of a secret, `…3b27`, as every other secret is shown: `••••3b27`."""
    return REDACTED + hint.removeprefix("…")


def scheme_name(scheme: str) -> str:
    """How requests are signed."""
    return SCHEMES[scheme]


def rate(limit: RateLimit) -> str:
    """A rate limit: the profile's name as the editor has it, and its number."""
    name = f"{PROFILE_NAMES[limit.profile]}, " if limit.profile else ""
    pace = limit.events_per_second if limit.events_per_second is not None else PROFILES.get(limit.profile or "")
    burst = f", {limit.burst:g} at once" if limit.burst is not None else ""
    return f"{name}{pace:g} events a second{burst}"


def sentence(detail: str) -> str:
    """An error's detail as a sentence: a plain first word with a capital, a full stop at the end."""
    first = detail.partition(" ")[0]
    begun = detail[:1].upper() + detail[1:] if first.isalpha() else detail
    return f"{begun}." if begun[-1:].isalnum() or begun.endswith(("'", '"', ")", "”")) else begun


def moment(seconds: float) -> str:
    """Unix seconds as RFC 3339, for `<time datetime>`."""
    return rfc3339(seconds)


def moment_text(seconds: float) -> str:
    """`12 May, 10:30:02` in UTC: what stands until the viewer's own zone is known."""
    iso = rfc3339(seconds)
    return f"{int(iso[8:10])} {_MONTHS[int(iso[5:7]) - 1]}, {iso[11:19]}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def pretty(value: Json) -> str:
    """JSON for reading: two spaces of indent, numbers digit for digit."""
    return msgspec.json.format(encode_json(value), indent=2).decode()
