"""How destinations fare: from what was counted as it happened, never by counting rows of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import ceil
from typing import Literal, TypeAlias, get_args

import msgspec

from tracklayer.catalog import Catalog
from tracklayer.ports import Clock
from tracklayer.store import Queue
from tracklayer.store.counts import (
    HOUR,
    LATENCY_BOUNDS,
    MINUTE,
    SUPPRESSED,
    UNSENT,
    Counts,
    HourCount,
    SlotCount,
    Step,
)
from tracklayer.store.queue import Backlog

HOURS = 24  # of an overview
FRESH = 2.0  # seconds for which what waits is not asked for again
MOST_DEAD = 10_000  # dead letters that `Totals` counts
LEAST_ELAPSED = 10.0  # seconds of a slot that has just begun: what happened in them is not written yet

Window = Literal["1h", "24h", "7d"]
WINDOWS: Mapping[Window, tuple[Step, int, int]] = {  # the step that is read, seconds of a slot, slots
    "1h": (MINUTE, 60, 60),
    "24h": (MINUTE, 600, 144),
    "7d": (HOUR, 3600, 168),
}

OutcomeClass = Literal[
    "delivered", "4xx", "429", "5xx", "timeout", "connection", "unsendable", "other", "suppressed"
]  # other: an answer without success that is none of these (a 2xx with the wrong body, a redirect), or an error of ours
OUTCOME_CLASSES: tuple[OutcomeClass, ...] = get_args(OutcomeClass)
_CLASS_OF: Mapping[str, OutcomeClass] = {
    "4xx": "4xx",
    "429": "429",
    "5xx": "5xx",
    "timeout": "timeout",
    **dict.fromkeys(("dns", "connect", "tls", "reset", "protocol", "refused_address"), "connection"),
    **dict.fromkeys(UNSENT, "unsendable"),
    "internal": "other",
}

Histogram: TypeAlias = dict[int, int]
"""Bucket → how many fell into it."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one destination has fared in the last 24 hours (the one that runs is the last), and what waits now.

    A latency is that of one request, to about 20 %; 60 s stands for everything above.
    """

    since: int  # unix seconds, when the first of the hours began
    delivered: tuple[int, ...]  # deliveries by the hour, oldest first
    failed: tuple[int, ...]  # attempts by the hour that led to a retry or a dead letter
    success_rate: float | None  # 0 to 1, delivered of those that were delivered or died; None where there were none
    p95_ms: float | None  # None without requests
    waiting: int  # deliveries, leased or not
    oldest_waiting_at: float | None  # unix seconds, when it was accepted
    next_due: float | None  # unix seconds; of one that is just being sent, the end of its lease
    dead: int  # dead letters


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one destination's attempts over a time, in slots of `step` seconds; the last one still runs.

    Every tuple has one value for each slot, oldest first.
    """

    window: Window
    step: int
    times: tuple[int, ...]  # unix seconds of each slot's beginning
    attempts: tuple[int, ...]
    rates: tuple[float, ...]  # attempts per second
    outcomes: dict[OutcomeClass, tuple[int, ...]]  # every class; suppressed ones are deliveries without an attempt
    p50_ms: tuple[float | None, ...]  # None where there was no request
    p95_ms: tuple[float | None, ...]
    p99_ms: tuple[float | None, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the frame of every page."""

    dead: int  # dead letters, counted up to `MOST_DEAD`


class Vitals:
    """Answers how destinations fare."""

    def __init__(self, catalog: Catalog, counts: Counts, queue: Queue, clock: Clock) -> None:
        self._catalog = catalog
        self._counts = counts
        self._queue = queue
        self._clock = clock
        self._backlogs: dict[str, Backlog] = {}
        self._stale_at = 0.0

    async def overview(self, workspace_id: str, only: Iterable[str] | None = None) -> dict[str, Health]:
        """The destinations of a workspace by their ids: every one, or only these."""
        known = self._catalog.tenant(workspace_id).destinations
        ids = list(known) if only is None else [each for each in only if each in known]
        since = _first_slot(self._clock.now(), HOUR, HOURS)
        hours, latencies, dead, backlogs = await asyncio.gather(
            self._counts.by_hour(ids, since=since),
            self._counts.latencies(ids, since=since),
            self._counts.dead(workspace_id),
            self._waiting(),
        )
        by_id: dict[str, list[HourCount]] = {destination_id: [] for destination_id in ids}
        for hour in hours:
            by_id[hour.destination_id].append(hour)
        return {
            destination_id: _health(
                since,
                by_id[destination_id],
                latencies.get(destination_id, {}),
                backlogs.get(destination_id),
                dead.get(destination_id, 0),
            )
            for destination_id in ids
        }

    async def series(self, workspace_id: str, destination_id: str, window: Window) -> Series:
        """One destination over a time. Raises `NotFound`."""
        destination = self._catalog.destination(workspace_id, destination_id)
        step, width, slots = WINDOWS[window]
        now = self._clock.now()
        since = _first_slot(now, width, slots)
        found = await self._counts.slots(destination.id, step, since=since, width=width)
        return _series(window, found, range(since, since + slots * width, width), now)

    async def totals(self, workspace_id: str) -> Totals:
        """What stands in the frame of every page."""
        return Totals(dead=await self._counts.all_dead(workspace_id, most=MOST_DEAD))

    async def _waiting(self) -> Mapping[str, Backlog]:
        """What waits, of every destination that has anything waiting; up to `FRESH` seconds old."""
        now = self._clock.now()
        if now >= self._stale_at:
            self._backlogs = {backlog.destination_id: backlog for backlog in await self._queue.backlog()}
            self._stale_at = now + FRESH
        return self._backlogs


def percentiles(histogram: Histogram, *fractions: float) -> tuple[float | None, ...]:
    """For each of the fractions (0 to 1) the milliseconds that so many of what was counted took at the most."""
    total = sum(histogram.values())
    return tuple(_percentile(histogram, max(1, ceil(fraction * total))) if total else None for fraction in fractions)


def _percentile(histogram: Histogram, rank: int) -> float:
    running = 0
    for bucket in sorted(histogram):
        running += histogram[bucket]
        if running >= rank:
            return _MILLISECONDS[bucket]
    raise AssertionError("the rank is not within the histogram")


def _middles() -> Iterable[float]:
    """What stands for a bucket, in milliseconds: its geometric middle; of the two open ones, their bound."""
    yield LATENCY_BOUNDS[0] * 1000
    for low, high in pairwise(LATENCY_BOUNDS):
        yield round((low * high) ** 0.5 * 1000, 1)
    yield LATENCY_BOUNDS[-1] * 1000


_MILLISECONDS = tuple(_middles())


def _first_slot(now: float, width: int, slots: int) -> int:
    return int(now) // width * width - (slots - 1) * width


def _health(since: int, hours: list[HourCount], latencies: Histogram, backlog: Backlog | None, dead: int) -> Health:
    by_slot = {hour.slot: hour for hour in hours}  # after the clock was set back there may be some ahead of `now`
    slots = range(since, since + HOURS * HOUR, HOUR)
    delivered = tuple(by_slot[slot].delivered if slot in by_slot else 0 for slot in slots)
    failed = tuple(by_slot[slot].retried + by_slot[slot].dead if slot in by_slot else 0 for slot in slots)
    succeeded = sum(hour.delivered for hour in hours)
    ended = succeeded + sum(hour.dead for hour in hours)
    (p95_ms,) = percentiles(latencies, 0.95)
    return Health(
        since=since,
        delivered=delivered,
        failed=failed,
        success_rate=succeeded / ended if ended else None,
        p95_ms=p95_ms,
        waiting=backlog.depth if backlog else 0,
        oldest_waiting_at=backlog.oldest_at if backlog else None,
        next_due=backlog.next_at if backlog else None,
        dead=dead,
    )


def _series(window: Window, counts: Iterable[SlotCount], times: range, now: float) -> Series:
    attempts = dict.fromkeys(times, 0)
    outcomes = {each: dict.fromkeys(times, 0) for each in OUTCOME_CLASSES}
    histograms: dict[int, Histogram] = {at: {} for at in times}
    for slot, action, outcome, bucket, count in map(msgspec.structs.astuple, counts):
        if slot not in attempts:
            continue  # ahead of `now`: the clock was set back
        outcomes[_class_of(action, outcome)][slot] += count
        if action != SUPPRESSED:
            attempts[slot] += count
            if outcome not in UNSENT:
                histograms[slot][bucket] = histograms[slot].get(bucket, 0) + count
    latencies = [percentiles(histograms[at], 0.5, 0.95, 0.99) for at in times]
    return Series(
        window=window,
        step=times.step,
        times=tuple(times),
        attempts=tuple(attempts.values()),
        rates=tuple(count / min(times.step, max(LEAST_ELAPSED, now - at)) for at, count in attempts.items()),
        outcomes={each: tuple(by_slot.values()) for each, by_slot in outcomes.items()},
        p50_ms=tuple(p50 for p50, _, _ in latencies),
        p95_ms=tuple(p95 for _, p95, _ in latencies),
        p99_ms=tuple(p99 for _, _, p99 in latencies),
    )


def _class_of(action: str, outcome: str) -> OutcomeClass:
    if action == "delivered":
        return "delivered"
    return "suppressed" if action == SUPPRESSED else _CLASS_OF.get(outcome, "other")
