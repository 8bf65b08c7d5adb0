"""From times to numbers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.events import event_id


@dataclass(frozen=True)
class Spread:
    """A distribution, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What became of the events of one run."""

    acknowledged: int
    arrived: int  # of those acknowledged
    missing: int  # acknowledged and never arrived: must be 0
    early: int  # arrived before their acknowledgement was read; their delay counts as 0
    seconds: float  # from the first POST to the last arrival
    events_per_second: float  # arrived, over those seconds
    acknowledged_per_second: float  # from the first POST to the last acknowledgement
    delay: Spread | None  # from acknowledgement to arrival
    whole: Spread | None  # from the POST's due time to arrival
    answer: Spread | None  # from the POST's due time to acknowledgement


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the `ordered` values that at least `percent` % of them do not exceed (nearest rank)."""
    if not ordered:
        raise ValueError("a percentile of nothing: expected at least one value")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(seconds: Sequence[float]) -> Spread | None:
    """The distribution of `seconds`; None where there are none."""
    if not seconds:
        return None
    ordered = sorted(1000 * value for value in seconds)
    return Spread(percentile(ordered, 50), percentile(ordered, 95), percentile(ordered, 99), ordered[-1])


def median(values: Sequence[float]) -> float:
    """The middle one (the mean of the two in the middle)."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def flow(run: str, due: Sequence[float], acked: Sequence[float], arrivals: Mapping[str, float]) -> Flow:
    """Join the load generator's times (one entry per event number of `run`) with the receiver's (by event id)."""
    acknowledged = [(due[n], acked[n], arrivals.get(event_id(run, n))) for n in range(len(acked)) if acked[n]]
    there = [(planned, answered, came) for planned, answered, came in acknowledged if came is not None]
    first = min((time for time in due if time), default=0.0)
    last_arrival = max((came for _, _, came in there), default=first)
    last_answer = max((answered for _, answered, _ in acknowledged), default=first)
    return Flow(
        acknowledged=len(acknowledged),
        arrived=len(there),
        missing=len(acknowledged) - len(there),
        early=sum(came < answered for _, answered, came in there),
        seconds=last_arrival - first,
        events_per_second=_rate(len(there), last_arrival - first),
        acknowledged_per_second=_rate(len(acknowledged), last_answer - first),
        delay=spread([max(0.0, came - answered) for _, answered, came in there]),
        whole=spread([came - planned for planned, _, came in there]),
        answer=spread([answered - planned for planned, answered, _ in acknowledged]),
    )


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
