"""The delivery log: every delivery, every attempt, found by what people know of it."""

from __future__ import annotations

import pytest

from tests.harness import Api, wait_until
from tests.web.expect import ok, problem
from tests.web.site import Site
from tests.web.test_events import DELIVERY
from tracklayer.demo.receiver import Answer, Hang

ATTEMPT = {
    *("number", "destination_version", "started_at", "latency_ms", "outcome", "rule", "status", "error", "response"),
    "timings",
}


def found(api: Api, **query: object) -> list[str]:
    page = ok(api.get("/v1/deliveries", **query))
    assert page["next_cursor"] is None
    assert all(each.keys() == DELIVERY for each in page["data"])
    return [each["id"] for each in page["data"]]


def test_deliveries_are_found_by_each_filter_and_by_all_together(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(200), Answer(403))
    made = site.create()
    first = site.settled(site.send(), "delivered")
    second = site.kill()
    newest_first = [second["id"], first["id"]]
    assert found(api, destination_id=made["id"]) == newest_first
    assert found(api, event_name=site.name) == newest_first
    assert found(api, event_id=first["event_id"]) == [first["id"]]
    assert found(api, destination_id=made["id"], state="dead") == [second["id"]]
    assert found(api, destination_id=made["id"], state="pending") == []
    assert found(api, destination_id=made["id"], code=403) == [second["id"]]
    assert found(api, destination_id=made["id"], since=second["created_at"]) == [second["id"]]
    assert found(api, destination_id=made["id"], until=second["created_at"]) == [first["id"]]
    everything = {
        "destination_id": made["id"],
        "event_id": second["event_id"],
        "event_name": site.name,
        "state": "dead",
        "code": 403,
        "since": first["created_at"],
        "until": "2999-01-01T00:00:00Z",
    }
    assert found(api, **everything) == [second["id"]]
    assert found(api, **(everything | {"code": 200})) == []


def test_deliveries_come_page_by_page(api: Api, site: Site) -> None:
    made = site.create()
    ids = [site.settled(site.send(), "delivered")["id"] for _ in range(3)]
    page = ok(api.get("/v1/deliveries", destination_id=made["id"], limit=2))
    rest = ok(api.get("/v1/deliveries", destination_id=made["id"], limit=2, cursor=page["next_cursor"]))
    assert [each["id"] for each in page["data"] + rest["data"]] == ids[::-1]
    assert rest["next_cursor"] is None


def test_a_delivery_shows_each_attempt_with_the_answer(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(503, body=b"busy"), Answer(200, body=b"thanks"))
    site.create(retry={"attempts": 2, "backoff": "20ms"})
    delivery = site.settled(site.send(), "delivered")
    detail = ok(api.get(f"/v1/deliveries/{delivery['id']}"))
    assert detail.keys() == DELIVERY | {"attempts", "request"}
    assert {name: detail[name] for name in DELIVERY} == delivery
    first, second = detail["attempts"]
    assert first.keys() == second.keys() == ATTEMPT
    assert (first["number"], first["outcome"], first["status"], first["error"]) == (1, "retry", 503, None)
    assert first["response"].keys() == {"status", "headers", "body", "truncated"}
    assert (first["response"]["body"], first["response"]["truncated"]) == ("busy", False)
    assert "503" in first["rule"]
    assert (second["number"], second["outcome"], second["response"]["body"]) == (2, "delivered", "thanks")
    assert second["latency_ms"] >= 0
    assert second["started_at"] > first["started_at"]
    numbers = [
        value for request in site.requests for name, value in request.headers if name.lower().endswith("-attempt")
    ]
    assert numbers == ["1", "2"]


def test_a_delivery_that_waits_for_its_retry_shows_when_and_why(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(500))
    site.create(retry={"attempts": 1, "backoff": "1h", "jitter": 0})
    event_id = site.send()
    delivery = wait_until(lambda: (site.delivery(event_id)["attempt_count"] == 1 and site.delivery(event_id)) or None)
    assert (delivery["state"], delivery["code"]) == ("pending", 500)
    assert delivery["due_at"] > delivery["updated_at"]
    detail = ok(api.get(f"/v1/deliveries/{delivery['id']}"))
    assert detail["request"]["url"] == site.hook


def test_a_delivery_on_its_way_is_sending(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Hang())
    made = site.create(transport={"timeout": "2s"}, retry={"attempts": 0})
    event_id = site.send()
    delivery = site.settled(event_id, "sending")
    assert found(api, destination_id=made["id"], state="sending") == [delivery["id"]]
    assert site.settled(event_id, "dead")["code"] is None


@pytest.mark.parametrize("path", ["/v1/deliveries", "/v1/dead-letters", "/v1/events", "/v1/destinations"])
@pytest.mark.parametrize("limit", ["0", "201", "-1", "many", "1.5", "", "9" * 5000])
def test_a_bad_limit_is_refused(api: Api, path: str, limit: str) -> None:
    body = api.get(path, limit=limit)
    problem(body, 400, "bad_request", pointer="/limit", says="limit")


@pytest.mark.parametrize("path", ["/v1/deliveries", "/v1/dead-letters", "/v1/events", "/v1/destinations"])
@pytest.mark.parametrize("cursor", ["!!!", "", "a", "ÿ", "_-8", "AAAA", "5" * 3000])
def test_a_bad_cursor_is_refused(api: Api, path: str, cursor: str) -> None:
    problem(api.get(path, cursor=cursor), 422, "invalid_cursor", pointer="/cursor", says="next_cursor")


def test_a_cursor_of_another_list_is_refused(api: Api, site: Site) -> None:
    made = site.create()
    for _ in range(2):
        site.deliver()
    cursors = {path: ok(api.get(path, limit=1))["next_cursor"] for path in ("/v1/deliveries", "/v1/events")}
    problem(api.get("/v1/events", cursor=cursors["/v1/deliveries"]), 422, "invalid_cursor", pointer="/cursor")
    problem(api.get("/v1/deliveries", cursor=cursors["/v1/events"]), 422, "invalid_cursor", pointer="/cursor")
    versions = f"/v1/destinations/{made['id']}/versions"
    problem(api.get(versions, cursor=cursors["/v1/events"]), 422, "invalid_cursor", pointer="/cursor")


@pytest.mark.parametrize("path", ["/v1/deliveries", "/v1/dead-letters"])
@pytest.mark.parametrize(
    "query, status, code",
    [
        ({"since": "yesterday"}, 422, "invalid_time"),
        ({"until": ""}, 422, "invalid_time"),
        ({"code": "ok"}, 400, "bad_request"),
        ({"code": "99999999999999999999"}, 400, "bad_request"),
        ({"code": "-99999999999999999999"}, 400, "bad_request"),
    ],
)
def test_a_bad_filter_is_refused(api: Api, path: str, query: dict[str, str], status: int, code: str) -> None:
    (name,) = query
    problem(api.get(path, **query), status, code, pointer=f"/{name}", says=name)


def test_an_unknown_state_is_refused_with_those_that_exist(api: Api) -> None:
    problem(
        api.get("/v1/deliveries", state="lost"),
        422,
        "invalid_state",
        pointer="/state",
        says="pending, sending, delivered, dead",
    )


def test_an_unknown_delivery_is_404(api: Api) -> None:
    for delivery_id in ("dlv_none", "%00", "%ff"):
        problem(api.get(f"/v1/deliveries/{delivery_id}"), 404, "not_found")
        problem(api.get(f"/v1/dead-letters/{delivery_id}"), 404, "not_found")
        problem(api.post(f"/v1/dead-letters/{delivery_id}/replay", {}), 404, "not_found")
        problem(api.post(f"/v1/dead-letters/{delivery_id}/discard", {}), 404, "not_found")
