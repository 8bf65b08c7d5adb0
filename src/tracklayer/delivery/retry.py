"""When a delivery is tried again, and when it is given up.

One first attempt, then up to `attempts` retries, the i-th after the i-th delay; a shorter list repeats its last.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from tracklayer.errors import Invalid, pointer
from tracklayer.model.destination import Duration, Retry
from tracklayer.model.duration import format_duration, parse_duration

MAX_ATTEMPTS = 100  # retries
MAX_TOTAL = 30 * 86400.0  # seconds from the first attempt to the last, without jitter


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A compiled retry policy."""

    delays: tuple[float, ...]  # seconds before each retry; as many as there are retries
    jitter: float  # the largest share of a delay that chance adds to it


def compile_policy(retry: Retry) -> RetryPolicy:
    """Compile a destination's `retry`.

    Raises `Invalid` with a pointer such as `/retry/backoff/2` (`/retry/backoff` where the delays are one text) for what
    is impossible: more than 100 retries or delays, no delay at all, one that is not a duration, over 30 days in all, a
    jitter outside 0 to 1. A delay that was saved before is read as it was then: see `parse_duration`.
    """
    if not 0 <= retry.attempts <= MAX_ATTEMPTS:
        raise _refused(f"{retry.attempts} is no number of retries: expected 0 to {MAX_ATTEMPTS}", "attempts")
    if not 0 <= retry.jitter <= 1:
        raise _refused(f"{retry.jitter} is no jitter: expected a share of the delay, 0 to 1", "jitter")
    delays = read_backoff(retry.backoff, stored=True)
    repeated = tuple(delays[min(number, len(delays) - 1)] for number in range(retry.attempts))
    if sum(repeated) > MAX_TOTAL:
        raise _refused(
            f"the {retry.attempts} retries take {format_duration(sum(repeated))}: expected at most 30d in all",
            "backoff",
        )
    return RetryPolicy(repeated, retry.jitter)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the attempts of a delivery come that never succeeds, in seconds after its first.

    How long a receiver takes to answer comes on top, and so does a Retry-After.
    """

    attempts: tuple[float, ...]  # without jitter; the first is 0
    longest: float  # the last attempt's, where chance always adds the most


def schedule(policy: RetryPolicy) -> Schedule:
    """When a policy's attempts come."""
    attempts = tuple(accumulate(policy.delays, initial=0.0))
    return Schedule(attempts, attempts[-1] * (1 + policy.jitter))


def next_due(
    policy: RetryPolicy, retries_used: int, now: float, rng: random.Random, retry_after: float | None
) -> float | None:
    """When to try again (unix seconds); None: the retries are used up.

    `retry_after` (seconds that the receiver asked for) is a lower bound. Jitter only adds, and a share of the policy's
    own delay only: what a receiver asks for is long enough as it is.
    """
    if retries_used >= len(policy.delays):
        return None
    delay = policy.delays[retries_used]
    return now + max(delay, retry_after or 0.0) + delay * policy.jitter * rng.random()


def read_backoff(backoff: str | list[Duration], *, stored: bool = False) -> list[float]:
    """The delays of a list or of a comma-separated text, in seconds. Raises `Invalid` as `compile_policy` does."""
    texts = backoff.split(",") if isinstance(backoff, str) else backoff
    if not texts or (isinstance(backoff, str) and not backoff.strip()):
        raise _refused("backoff has no delay: expected at least one, such as 2s", "backoff")
    if len(texts) > MAX_ATTEMPTS:
        raise _refused(f"backoff has {len(texts)} delays: expected at most {MAX_ATTEMPTS}", "backoff")
    return [_delay(text, index, isinstance(backoff, str), stored) for index, text in enumerate(texts)]


def _delay(text: Duration, index: int, in_text: bool, stored: bool) -> float:
    try:
        return parse_duration(text, stored=stored)
    except Invalid as error:
        if in_text:
            raise _refused(f"delay {index + 1} of backoff: {error.detail}", "backoff") from None
        raise error.under(pointer("retry", "backoff", index)) from None


def _refused(detail: str, *place: str) -> Invalid:
    return Invalid(detail, code="invalid_retry", pointer=pointer("retry", *place))
