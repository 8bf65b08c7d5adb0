"""What machines ask: health, readiness, metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Api, ServerProcess
from tests.web.expect import ok
from tests.web.site import Site
from tracklayer import __version__
from tracklayer.demo.receiver import Answer


def metrics(api: Api) -> dict[str, float]:
    """Every sample by its name with labels."""
    status, headers, text = api.get("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    samples = re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in samples}


def test_health_and_readiness_need_no_key(api: Api) -> None:
    anybody = Api(api.url, None)
    assert ok(anybody.get("/healthz")) == {"status": "ok", "version": __version__}
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = anybody.call("HEAD", path)
        assert (answer.status, answer.body or "") == (200, "")
    assert ok(anybody.get("/readyz")) == {"status": "ready"}
    assert anybody.get("/metrics").status == 200
    assert anybody.get("/openapi.json").status == 200


def test_the_metrics_count_what_happened_to_each_destination(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(200), Answer(500), Answer(200), Answer(401))
    made = site.create(retry={"attempts": 1, "backoff": "1ms"}, consent={"requires": ["ad"], "when_unknown": "allow"})
    before = metrics(api)
    by = f'{{destination_id="{made["id"]}"}}'
    assert before[f"tracklayer_queue_depth{by}"] == 0
    assert before[f"tracklayer_queue_oldest_seconds{by}"] == 0

    site.deliver()
    site.deliver()
    site.kill(event_id=f"{site.name}_dead")
    site.send(consent={"ad": "denied"})
    assert ok(api.post("/v1/events", site.event(event_id=f"{site.name}_dead")))["dedup_status"] == "duplicate"
    ok(api.post("/v1/events/batch", {"events": [{}]}), 202)
    assert api.post("/v1/events", {}).status == 422
    assert api.post("/v1/events", {}, authorization="Bearer nobody").status == 401
    ok(api.post(f"/v1/destinations/{made['id']}/pause"))
    site.send()

    after = metrics(api)
    assert after[f"tracklayer_deliveries_accepted_total{by}"] == 5
    assert after[f"tracklayer_deliveries_delivered_total{by}"] == 2
    assert after[f"tracklayer_deliveries_retried_total{by}"] == 1
    assert after[f"tracklayer_deliveries_dead_total{by}"] == 1
    assert after[f"tracklayer_deliveries_suppressed_total{by}"] == 1
    assert after[f"tracklayer_queue_depth{by}"] == 1
    assert after[f"tracklayer_queue_oldest_seconds{by}"] > 0
    assert after[f"tracklayer_attempt_seconds_count{by}"] == 4
    assert after[f"tracklayer_delivery_seconds_count{by}"] == 2
    grown = {
        status: after[f'tracklayer_events_total{{status="{status}"}}']
        - before.get(f'tracklayer_events_total{{status="{status}"}}', 0)
        for status in ("accepted", "duplicate", "rejected", "refused")
    }
    assert grown == {"accepted": 5, "duplicate": 1, "rejected": 2, "refused": 1}
    assert after["tracklayer_accept_seconds_count"] > before["tracklayer_accept_seconds_count"]


def test_every_attempt_has_one_wide_log_line(site: Site, server: ServerProcess) -> None:
    site.receiver.script(site.path, Answer(503), Answer(200))
    made = site.create(retry={"attempts": 1, "backoff": "1ms"})
    event_id = site.send()
    delivery = site.settled(event_id, "delivered")
    first, second = (line for line in server.log_lines("attempt") if line["delivery_id"] == delivery["id"])
    assert (
        first.items()
        >= {
            "event_id": event_id,
            "event_name": site.name,
            "destination_id": made["id"],
            "version": 1,
            "attempt": 1,
            "state": "pending",
            "status": 503,
            "test": False,
        }.items()
    )
    assert (second["attempt"], second["state"], second["status"]) == (2, "delivered", 200)
    assert second["latency_ms"] > 0


def test_everything_is_there_after_a_restart(tmp_path: Path, site: Site) -> None:
    with ServerProcess(tmp_path / "data") as server:
        api = Api(server.url, server.key)
        ok(api.put("/v1/secrets/kept", {"value": "kept-secret-value"}))
        draft = {
            "name": "kept",
            "transport": {"url": f"{site.hook}/kept", "headers": {"X-Kept": "{{secrets.kept}}"}},
            "filter": {"properties.value": {"$gte": 149.9}},
            "signing": {"secret": "dest_live_9f3b27"},
            "status": "paused",
        }
        made = ok(api.post("/v1/destinations", draft), 201)
        key = ok(api.post("/v1/api-keys", {"name": "kept", "scopes": ["events:write"]}), 201)["key"]
        sent = ok(api.post("/v1/events", {"event_name": "kept", "properties": {"value": 149.9}}))
        server.restart()

        assert ok(api.get(f"/v1/destinations/{made['id']}")) == made
        assert ok(Api(server.url, key).post("/v1/events", {"event_name": "x"}))["dedup_status"] == "accepted"
        again = {"event_name": "kept", "event_id": sent["id"]}
        assert ok(api.post("/v1/events", again)) == sent | {"dedup_status": "duplicate"}
        ok(api.post(f"/v1/destinations/{made['id']}/resume"))
        (request,) = site.receiver.wait_for(f"{site.path}/kept")
        assert dict(request.headers)["X-Kept"] == "kept-secret-value"


def test_a_path_that_is_almost_right_is_still_found_or_404(api: Api) -> None:
    assert api.get("/v1/events/").status == 200
    for path in ("/v1", "/v1/", "/V1/events", "/v1/events/a/b/c", "/v1/../healthz"):
        assert api.get(path).status == 404, path


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "BREW"])
def test_other_methods_are_refused_and_never_a_fault(api: Api, method: str) -> None:
    for path in ("/v1/events", "/v1/destinations", "/healthz"):
        status, _, _ = api.send(method, path, None, {"Authorization": f"Bearer {api.key}"})
        assert status in (200, 204, 400, 404, 405), (method, path, status)
