"""What is counted and measured, for `/metrics` (Prometheus text format)."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tracklayer.store.queue import Backlog

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class DestinationMetrics:
    """The counters of one destination, bound once so that counting is cheap."""

    def __init__(self, metrics: Metrics, destination_id: str) -> None:
        self.accepted = metrics.accepted.labels(destination_id)
        self.delivered = metrics.delivered.labels(destination_id)
        self.retried = metrics.retried.labels(destination_id)
        self.dead = metrics.dead.labels(destination_id)
        self.suppressed = metrics.suppressed.labels(destination_id)
        self.attempt_seconds = metrics.attempt_seconds.labels(destination_id)
        self.delivery_seconds = metrics.delivery_seconds.labels(destination_id)


class Metrics:
    """One registry for one running TrackLayer."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        by = ("destination_id",)
        self.events = Counter("tracklayer_events", "Events by what became of them.", ("status",), registry=registry)
        self.commit_seconds = Histogram(
            "tracklayer_accept_seconds", "From an event's arrival to its commit.", buckets=_SECONDS, registry=registry
        )
        self.accepted = Counter("tracklayer_deliveries_accepted", "Deliveries made at accept.", by, registry=registry)
        self.delivered = Counter("tracklayer_deliveries_delivered", "Deliveries delivered.", by, registry=registry)
        self.retried = Counter("tracklayer_deliveries_retried", "Attempts to be tried again.", by, registry=registry)
        self.dead = Counter("tracklayer_deliveries_dead", "Deliveries that gave up.", by, registry=registry)
        self.suppressed = Counter("tracklayer_deliveries_suppressed", "Deliveries held back.", by, registry=registry)
        self.attempt_seconds = Histogram(
            "tracklayer_attempt_seconds", "One HTTP request.", by, buckets=_SECONDS, registry=registry
        )
        self.delivery_seconds = Histogram(
            "tracklayer_delivery_seconds", "From accept to delivered.", by, buckets=_SECONDS, registry=registry
        )
        self._depth = Gauge("tracklayer_queue_depth", "Deliveries that wait.", by, registry=registry)
        self._oldest = Gauge("tracklayer_queue_oldest_seconds", "Age of the oldest that waits.", by, registry=registry)
        self._bound: dict[str, DestinationMetrics] = {}

    def of(self, destination_id: str) -> DestinationMetrics:
        """The counters of one destination."""
        bound = self._bound.get(destination_id)
        if bound is None:
            bound = self._bound[destination_id] = DestinationMetrics(self, destination_id)
        return bound

    def exposition(self, backlogs: Iterable[Backlog], destination_ids: Iterable[str], now: float) -> bytes:
        """Everything as text; the queues as they are at `now`, zero where nothing waits."""
        self._depth.clear()
        self._oldest.clear()
        for destination_id in destination_ids:
            self._depth.labels(destination_id).set(0)
            self._oldest.labels(destination_id).set(0)
        for backlog in backlogs:
            self._depth.labels(backlog.destination_id).set(backlog.depth)
            self._oldest.labels(backlog.destination_id).set(max(0.0, now - backlog.oldest_at))
        return generate_latest(self._registry)
