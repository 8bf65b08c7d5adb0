"""Adds to events what is known beside them, and says so when it cannot: enrich → consent → audiences."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tracklayer.catalog import Tenant
from tracklayer.geo import GeoFile
from tracklayer.metrics import Metrics
from tracklayer.model.event import Event
from tracklayer.model.facts import Facts
from tracklayer.pipeline.consent import Consented, Remembered, with_consent
from tracklayer.pipeline.devices import user_agent_reader
from tracklayer.pipeline.enrich import Enricher, Tools

QUIET = 60.0  # seconds between two lines of the log about one enricher

log = structlog.get_logger("tracklayer.enriching")


class Enriching:
    """The enrichers of one process, with what they remember."""

    def __init__(self, geo: GeoFile | None, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        """`geo` is closed with this. `monotonic` is a clock in seconds that never goes back."""
        self._geo = geo
        self._metrics = metrics
        self._monotonic = monotonic
        self._told: dict[str, float] = {}
        self._read_user_agent = user_agent_reader()
        self._enricher = Enricher(
            Tools(
                user_agent=self._read_user_agent,
                geo=geo.place if geo else None,
                monotonic=monotonic,
                failed=self._failed,
            )
        )

    def warm(self) -> None:
        """Load the patterns of user agents, which takes 0.6 s: in a thread, before there are events."""
        self._read_user_agent("Mozilla/5.0")

    def make_whole(
        self, tenant: Tenant, event: Event, facts: Facts, remembered: Remembered, *, gpc: bool = False
    ) -> Consented:
        """`event` with what its workspace wants added, its user's consent, and last, when all of that is known, the
        audiences. Never raises for what fails.

        `remembered` is what the user has consented to by now; `gpc`: the request came with the header `Sec-GPC: 1`.
        """
        enriched = self._enricher.enrich(event, facts, tenant.rules)
        consented, said, at = with_consent(enriched, remembered, tenant.consent_defaults, gpc=gpc)
        whole = self._enricher.join_audiences(consented, facts, tenant.rules, tenant.audiences)
        return Consented(whole, said, at)

    def close(self) -> None:
        """Let go of the database of places."""
        if self._geo is not None:
            self._geo.close()

    def _failed(self, by: str, why: str) -> None:
        self._metrics.enrichment_failures[by] += 1
        now = self._monotonic()
        if now >= self._told.get(by, now):
            self._told[by] = now + QUIET
            log.warning("enrichment_failed", by=by, error=why, failures=self._metrics.enrichment_failures[by])
