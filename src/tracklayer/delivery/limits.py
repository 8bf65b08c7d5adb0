"""How fast a destination is sent to: the rate limit, and how many requests are under way at once."""

from __future__ import annotations

from dataclasses import dataclass

from tracklayer.errors import Invalid, pointer
from tracklayer.model.destination import RateLimit

PROFILES = {"chatops": 2.0, "internal": 25.0, "warehouse": 100.0}  # events per second, from the guide
MIN_RATE = 0.00001  # events per second: about one a day
MAX_RATE = 100_000.0
MAX_BURST = 1_000_000.0

_REFILL = 0.98  # the share of the rate at which tokens come back
_LATENESS = 0.05  # seconds of the rate that a late timer may catch up with
HORIZON = 0.25  # seconds: how far ahead of its time a token is granted to one of several who share a bucket
_PRECISION = 1e-6  # seconds; unix time in a float is no finer


@dataclass(frozen=True, slots=True)
class Limit:
    """A compiled rate limit."""

    rate: float  # events per second
    burst: float  # events that may go at once


def compile_limit(rate_limit: RateLimit | None) -> Limit | None:
    """Compile a destination's `rate_limit`; None: no limit.

    Raises `Invalid` with a pointer below `/rate_limit` for a rate or a burst that is impossible, for a burst without a
    rate, and for a profile and a rate together: one of them would silently not hold.
    """
    if rate_limit is None or rate_limit == RateLimit():
        return None
    rate, burst, profile = rate_limit.events_per_second, rate_limit.burst, rate_limit.profile
    if profile is not None:
        if rate is not None:
            raise _refused(
                f"profile {profile} and events_per_second {rate} exclude each other: expected one", "profile"
            )
        rate = PROFILES[profile]
    if rate is None:
        raise _refused("a burst needs a rate: expected events_per_second or profile", "burst")
    if not MIN_RATE <= rate <= MAX_RATE:
        expected = f"expected {MIN_RATE:f} to {MAX_RATE:.0f}"
        raise _refused(f"{rate} events per second are out of range: {expected}", "events_per_second")
    if burst is not None and not 1 <= burst <= MAX_BURST:
        raise _refused(f"a burst of {burst} is out of range: expected 1 to {MAX_BURST:.0f}", "burst")
    return Limit(float(rate), max(1.0, rate) if burst is None else float(burst))


class TokenBucket:
    """Spends a destination's rate limit so that it holds where the events arrive.

    The promise: in any 10 s at the receiver never more than `rate * 10 + burst` events, and at least 95 % of
    `rate * 10` while events wait. Between our clock and the receiver's lie timers that fire late and a network whose
    delay varies: what is sent within `10 + d` seconds can arrive within 10, where `d` is by how much the delay varies.
    So tokens come back at 98 % of the rate, which leaves a reserve of 0.2 s of the rate in every 10 s:

    - 0.05 s of it lets a late timer catch up. While events wait, the bucket holds that much over `burst`; without it, a
      fast rate with a small burst would lose all that comes back between the moment of a token and the late wake-up.
    - The rest covers `d` up to 0.15 s.

    A quiet bucket (nobody waits, nothing was taken for 0.05 s) holds `burst` and not more: that many may go at once.

    `tokens` and `updated_at` are its whole state; give them back to make the same bucket again. Times are unix seconds.
    A clock that goes back earns nothing and loses nothing; one that jumps ahead earns a full bucket at most.
    """

    __slots__ = ("_limit", "_waited_for", "tokens", "updated_at")

    def __init__(self, limit: Limit, now: float, tokens: float | None = None) -> None:
        """A bucket as of `now`; full unless `tokens` says otherwise."""
        self.tokens = limit.burst if tokens is None else min(tokens, limit.burst)
        self.updated_at = now
        self._limit = limit
        self._waited_for = False

    def take(self, now: float) -> float:
        """Spend a token and return 0.0; or spend none and return the seconds after which one will be there."""
        self._refill(now)
        refill = self._limit.rate * _REFILL
        missing = 1.0 - self.tokens
        # A sum of floats may end a hair below 1 when its time has come; the hair stays owed.
        self._waited_for = missing > refill * _PRECISION + 1e-9
        if self._waited_for:
            return missing / refill
        self.tokens -= 1.0
        return 0.0

    def grant(self, wanted: int, now: float) -> tuple[list[float], float]:
        """Spend up to `wanted` tokens at once, also those that come back within the next quarter of a second.

        Answers when each of them may be used, and when there will be more. For several who share one
        bucket: each asks rarely, and none is given so much that the others starve.
        """
        self._refill(now)
        refill = self._limit.rate * _REFILL
        times: list[float] = []
        wait = max(0.0, (1.0 - self.tokens) / refill)
        while len(times) < wanted and wait <= HORIZON:
            self.tokens -= 1.0
            times.append(now + wait)
            wait = max(0.0, (1.0 - self.tokens) / refill)
        return times, now + max(0.0, wait - HORIZON)

    def give_back(self, tokens: int, now: float) -> None:
        """Take back tokens that were granted and not used."""
        self._refill(now)
        self.tokens = min(self._limit.burst, self.tokens + tokens)

    def update(self, limit: Limit, now: float) -> None:
        """Go on under another limit: what is saved up stays, as far as the new burst allows."""
        self._refill(now)
        self._limit = limit
        self.tokens = min(self.tokens, limit.burst)

    def _refill(self, now: float) -> None:
        elapsed = max(0.0, now - self.updated_at)
        quiet = elapsed > _LATENESS and not self._waited_for
        room = self._limit.burst + (0.0 if quiet else self._limit.rate * _LATENESS)
        self.tokens = min(room, self.tokens + elapsed * self._limit.rate * _REFILL)
        self.updated_at = now


class Window:
    """How many requests a destination may have under way: more while it answers, half when it fails twice in a row.

    So a receiver that recovers is met by few requests and not by all that waited, and a single failure costs nothing.
    """

    __slots__ = ("_cap", "_last_failed", "size")

    def __init__(self, initial: int = 8, cap: int = 64) -> None:
        self.size = min(initial, cap)
        self._cap = cap
        self._last_failed = False

    def admits(self, in_flight: int) -> bool:
        """Whether one more request may go beside the `in_flight` ones."""
        return in_flight < self.size

    def success(self) -> None:
        """A request was answered."""
        self.size = min(self._cap, self.size + 1)
        self._last_failed = False

    def failure(self) -> None:
        """A request failed in a way that speaks of the receiver's health."""
        if self._last_failed:
            self.size = max(1, self.size // 2)
        self._last_failed = True


def _refused(detail: str, field: str) -> Invalid:
    return Invalid(detail, code="invalid_rate_limit", pointer=pointer("rate_limit", field))
