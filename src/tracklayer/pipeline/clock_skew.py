"""When an event happened by our clock, where the sender's goes wrong.

A sender that tells when it sent (`sent_at`, Segment's `sentAt`) tells how far its clock is off: what happened so long
before the sending happened as long before the arrival. It is what Segment does with `timestamp`:
https://segment.com/docs/connections/spec/common/#timestamps
"""

from __future__ import annotations

from functools import lru_cache

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.model.event_time import event_time, nanoseconds, parse_event_time

LEAST = 1_000  # milliseconds: less is the way through the network
MOST = 86_400_000  # a day or more is no clock's error: it was kept, or is sent again


def correct_clock(occurred_at: str, sent_at: Json, now: float) -> tuple[str, int] | None:
    """The canonical time `occurred_at` by our clock, and by how many milliseconds the sender's is behind it.

    None where `sent_at` is no time, or differs from `now` (unix seconds) by too little or too much.
    """
    try:
        sent = nanoseconds(_parsed(sent_at) if type(sent_at) is str else parse_event_time(sent_at))
    except Invalid:
        return None
    behind = round(now * 1000) - sent // 10**6
    if not LEAST < abs(behind) < MOST:
        return None
    corrected = event_time(nanoseconds(occurred_at) + behind * 10**6)
    return None if corrected is None else (corrected, behind)


_parsed = lru_cache(maxsize=256)(parse_event_time)  # all of a batch was sent at the same moment
