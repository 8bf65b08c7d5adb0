"""What is counted and measured, for `/metrics` (Prometheus text format).

Counting happens several times an event, on one thread; so it is plain addition here, and becomes the client library's
metric families only when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tracklayer.store.queue import Backlog
from tracklayer.store.tables import PARTITIONED
from tracklayer.store.volume import Volume

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Histogram:
    """How often a duration fell between two bounds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Take one duration in."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus wants them."""
        running, found = 0, []
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self.counts, strict=True):
            running += count
            found.append((bound, float(running)))
        return found


class DestinationMetrics:
    """What is counted for one destination."""

    __slots__ = ("accepted", "attempt_seconds", "dead", "delivered", "delivery_seconds", "retried", "suppressed")

    def __init__(self) -> None:
        self.accepted = 0  # deliveries made at accept
        self.delivered = 0
        self.retried = 0  # attempts to be tried again
        self.dead = 0
        self.suppressed = 0
        self.attempt_seconds = Histogram()  # one HTTP request
        self.delivery_seconds = Histogram()  # from accept to delivered


class Metrics(Collector):
    """The numbers of one running TrackLayer."""

    def __init__(self) -> None:
        self.events = {"accepted": 0, "duplicate": 0, "rejected": 0, "refused": 0}
        self.commit_seconds = Histogram()
        self.late_settlements = 0  # ends of attempts whose lease another process had taken over
        self.enrichment_failures: Counter[str] = Counter()
        self.pruned_rows: Counter[str] = Counter(dict.fromkeys(PARTITIONED, 0))  # by table
        self._destinations: dict[str, DestinationMetrics] = {}
        self._found: list[Metric] = []  # what the store says
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def of(self, destination_id: str) -> DestinationMetrics:
        """The numbers of one destination."""
        found = self._destinations.get(destination_id)
        if found is None:
            found = self._destinations[destination_id] = DestinationMetrics()
        return found

    def exposition(
        self, destination_ids: Iterable[str], stored: tuple[Iterable[Backlog], Volume] | None, now: float
    ) -> bytes:
        """Everything as text; the queues as they are at `now`, zero where nothing waits.

        `stored` is what the database says of backlogs and sizes; None: it does not answer, and those are left out.
        """
        for destination_id in destination_ids:
            self.of(destination_id)
        up = GaugeMetricFamily("tracklayer_database_up", "1 where the database answers this process.")
        up.add_metric([], 0 if stored is None else 1)
        self._found = [up] if stored is None else [up, *_of_backlogs(stored[0], destination_ids, now)]
        if stored is not None:
            self._found += _of_volume(stored[1], now)
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The metric families, for the client library."""
        events = CounterMetricFamily("tracklayer_events", "Events by what became of them.", labels=("status",))
        for status, count in self.events.items():
            events.add_metric([status], count)
        yield events
        failures = CounterMetricFamily("tracklayer_enrichment_failures", "Enrichers that failed.", labels=("by",))
        for by, count in self.enrichment_failures.items():
            failures.add_metric([by], count)
        yield failures
        accept = HistogramMetricFamily("tracklayer_accept_seconds", "From an event's arrival to its commit.")
        accept.add_metric([], self.commit_seconds.buckets(), self.commit_seconds.total)
        yield accept
        late = CounterMetricFamily("tracklayer_late_settlements", "Ends of attempts that came after their lease's end.")
        late.add_metric([], self.late_settlements)
        yield late
        yield self._counter("accepted", "Deliveries made at accept.", lambda of: of.accepted)
        yield self._counter("delivered", "Deliveries delivered.", lambda of: of.delivered)
        yield self._counter("retried", "Attempts to be tried again.", lambda of: of.retried)
        yield self._counter("dead", "Deliveries that gave up.", lambda of: of.dead)
        yield self._counter("suppressed", "Deliveries held back by a rule.", lambda of: of.suppressed)
        yield self._histogram("attempt", "One HTTP request.", lambda of: of.attempt_seconds)
        yield self._histogram("delivery", "From accept to delivered.", lambda of: of.delivery_seconds)
        removed = CounterMetricFamily("tracklayer_pruned_rows", "Rows removed for their age.", labels=("table",))
        for table, count in self.pruned_rows.items():
            removed.add_metric([table], count)
        yield removed
        yield from self._found

    def _counter(self, name: str, doc: str, value: Callable[[DestinationMetrics], int]) -> Metric:
        family = CounterMetricFamily(f"tracklayer_deliveries_{name}", doc, labels=_BY)
        for destination_id, numbers in self._destinations.items():
            family.add_metric([destination_id], value(numbers))
        return family

    def _histogram(self, name: str, doc: str, value: Callable[[DestinationMetrics], Histogram]) -> Metric:
        family = HistogramMetricFamily(f"tracklayer_{name}_seconds", doc, labels=_BY)
        for destination_id, numbers in self._destinations.items():
            histogram = value(numbers)
            family.add_metric([destination_id], histogram.buckets(), histogram.total)
        return family


_BY = ("destination_id",)


def _of_backlogs(backlogs: Iterable[Backlog], destination_ids: Iterable[str], now: float) -> list[Metric]:
    waiting = {backlog.destination_id: backlog for backlog in backlogs}
    depth = GaugeMetricFamily("tracklayer_queue_depth", "Deliveries that wait.", labels=_BY)
    oldest = GaugeMetricFamily("tracklayer_queue_oldest_seconds", "Age of the oldest that waits.", labels=_BY)
    for destination_id in {*destination_ids, *waiting}:
        backlog = waiting.get(destination_id)
        depth.add_metric([destination_id], backlog.depth if backlog else 0)
        oldest.add_metric([destination_id], max(0.0, now - backlog.oldest_at) if backlog else 0)
    return [depth, oldest]


def _of_volume(volume: Volume, now: float) -> list[Metric]:
    size = GaugeMetricFamily("tracklayer_database_bytes", "Bytes of the database, without its log.", value=volume.bytes)
    rows = GaugeMetricFamily("tracklayer_table_rows", "Rows, as far as the database can tell.", labels=("table",))
    for table, count in volume.rows.items():
        rows.add_metric([table], count)
    oldest_at = now if volume.oldest_event_at is None else volume.oldest_event_at
    age = max(0.0, now - oldest_at)
    oldest = GaugeMetricFamily("tracklayer_oldest_event_seconds", "Age of the oldest event, 0 for none.", value=age)
    return [size, rows, oldest]
