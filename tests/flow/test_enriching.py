"""The enrichers of a process: places out of a real file, and failures that are counted and told without flooding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from structlog.testing import capture_logs

from tests.geo_file import write_geo_file
from tests.store.samples import NOW, event
from tracklayer.catalog import Tenant
from tracklayer.flow.enriching import QUIET, Enriching
from tracklayer.geo import GeoFile
from tracklayer.metrics import Metrics
from tracklayer.model.event import Event
from tracklayer.model.facts import NO_FACTS, Facts
from tracklayer.model.records import Workspace
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.audience import compile_audiences
from tracklayer.pipeline.route import RouteTable

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 Version/17.2 Mobile/15E148 Safari"
LONDON = {"81.2.69.0/24": {"country": {"iso_code": "GB"}, "city": {"names": {"en": "London"}}}}
TENANT = Tenant(
    workspace=Workspace(id="ws_1", name="main", created_at=NOW),
    rules=WorkspaceRules(),
    destinations={},
    routes=RouteTable(()),
    secrets={},
    sealed={},
    audiences=compile_audiences({"vip": None, "british": {"context.geo.country": "GB"}}),
)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def visit(**context: Any) -> Event:
    return msgspec.structs.replace(event(), context={"user_agent": IPHONE, "ip": "81.2.69.142", **context})


def test_an_event_gets_what_is_known_beside_it(tmp_path: Path) -> None:
    enriching = Enriching(GeoFile(write_geo_file(tmp_path / "city.mmdb", LONDON)), Metrics(), Clock())
    enriching.warm()
    found = enriching.make_whole(TENANT, visit(), Facts(audiences=frozenset({"vip"})), {}).event
    assert found.context["geo"] == {"country": "GB", "city": "London"}
    assert found.context["os"] == {"family": "iOS", "version": "17.2"}
    assert found.segment == ["british", "vip"]
    enriching.close()


def test_without_a_file_there_is_no_place() -> None:
    enriching = Enriching(None, Metrics(), Clock())
    assert "geo" not in enriching.make_whole(TENANT, visit(), NO_FACTS, {}).event.context
    enriching.close()


def test_a_damaged_file_loses_no_event_is_counted_and_is_told_once_a_minute(tmp_path: Path) -> None:
    path = write_geo_file(tmp_path / "city.mmdb", LONDON)
    path.write_bytes(path.read_bytes().replace(b"\x46London", b"\x5f\xff\xff\xffdon"))
    metrics, clock = Metrics(), Clock()
    enriching = Enriching(GeoFile(path), metrics, clock)
    with capture_logs() as lines:
        for number in range(5):
            visited = visit(page={"url": f"https://x.example/?gclid={number}"})
            found = enriching.make_whole(TENANT, visited, NO_FACTS, {}).event
            assert found.context["click_ids"] == {"gclid": str(number)}
            (note,) = [each for each in found.context["enriched"] if "error" in each]
            assert note["error"].startswith("InvalidDatabaseError: ")
        clock.now += QUIET
        enriching.make_whole(TENANT, visit(), NO_FACTS, {})
    assert [(line["event"], line["by"], line["failures"]) for line in lines] == [
        ("enrichment_failed", "geo", 1),
        ("enrichment_failed", "geo", 6),
    ]
    assert b'tracklayer_enrichment_failures_total{by="geo"} 6.0' in metrics.exposition([], None, NOW)
