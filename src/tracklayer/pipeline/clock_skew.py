"""When an event happened by our clock, where the sender's goes wrong.

A sender that tells when it sent (`sent_at`, Segment's `sentAt`) tells how far its clock is off: what happened so long
before the sending happened as long before the arrival. It is what Segment does with `timestamp`:
https://segment.com/docs/connections/spec/common/#timestamps
"""

from __future__ import annotations

from decimal import Decimal

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.model.event_time import parse_event_time
from tracklayer.model.moment import parse_rfc3339

LEAST = 1_000  # milliseconds: less is the way through the network
SURELY_THE_WAY = 0.99  # seconds: so much less that no rounding matters
MOST = 86_400_000  # a day or more is no clock's error: it was kept, or is sent again


def correct_clock(occurred_at: str, sent_at: Json, now: float) -> tuple[str, int] | None:
    """The canonical time `occurred_at` by our clock, and by how many milliseconds the sender's is behind it.

    None where `sent_at` is no time, or differs from `now` (unix seconds) by too little or too much.
    """
    try:
        sent = parse_event_time(sent_at)
    except Invalid:
        return None
    if abs(now - parse_rfc3339(sent)) < SURELY_THE_WAY:
        return None
    behind = round(now * 1000) - _milliseconds(sent)
    if not LEAST < abs(behind) < MOST:
        return None
    whole, fraction = _split(occurred_at)
    moment = Decimal(round(parse_rfc3339(whole)) * 1000 + behind) / 1000 + fraction
    try:
        return parse_event_time(moment), behind
    except Invalid:  # it leads out of the years 1 to 9999
        return None


def _milliseconds(canonical: str) -> int:
    whole, fraction = _split(canonical)
    return round(parse_rfc3339(whole)) * 1000 + int(fraction * 1000)


def _split(canonical: str) -> tuple[str, Decimal]:
    """The whole second, and the rest of it: exact to the nanosecond, as a float is not."""
    return canonical[:19] + "Z", Decimal(f"0{canonical[19:-1]}")
