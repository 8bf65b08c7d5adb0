"""Twenty-four hours as bars, in a box of 4 units an hour by 24: one path a kind, for a list draws fifty of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HEIGHT = 24
HIGHEST = 22  # of the fullest hour
PITCH = 4  # from one bar to the next
WIDTH = 3
LEAST_DELIVERED = 1.0  # a bar that can be seen, however few
LEAST_FAILED = 1.5


class Bars(NamedTuple):
    """The `d` of each kind's path; empty where it has no bar."""

    delivered: str
    failed: str
    none: str  # the ground line of hours without traffic


def bars(hours: Sequence[tuple[int, int]]) -> Bars:
    """What the bars of (delivered, failed) by the hour are, oldest first: failed at the foot, delivered above it."""
    most = max(map(sum, hours), default=0)
    delivered, failed, none = [], [], []
    for number, (good, bad) in enumerate(hours):
        left = number * PITCH
        if not good + bad:
            none.append(_bar(left, HEIGHT, 1))
            continue
        full = HIGHEST * (good + bad) / most
        red = full * bad / (good + bad)
        if good:
            height = max(full - red, LEAST_DELIVERED)
            delivered.append(_bar(left, HEIGHT - max(full, LEAST_DELIVERED) + height, height))
        if bad:
            failed.append(_bar(left, HEIGHT, max(red, LEAST_FAILED)))
    return Bars("".join(delivered), "".join(failed), "".join(none))


def _bar(left: int, foot: float, height: float) -> str:
    return f"M{left} {foot:.4g}v-{height:.3g}h{WIDTH}v{height:.3g}z"
