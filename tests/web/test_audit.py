"""`GET /v1/audit` and `/v1/people`: what was changed, and who may use the console."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Api, ServerProcess
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.demo.receiver import Answer

CALLS = [("GET", "/v1/audit"), ("GET", "/v1/people"), ("POST", "/v1/people/invitations")]


def trail(api: Api, **wanted: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ok(api.get("/v1/audit", **wanted))["data"]
    return rows


@pytest.mark.parametrize("method, path", CALLS)
def test_only_an_admin_may_call_it(api: Api, method: str, path: str) -> None:
    problem(Api(api.url, None).call(method, path), 401, "missing_key")
    scopes = ["events:write", "events:read", "destinations:read", "destinations:write"]
    made = ok(api.post("/v1/api-keys", {"name": "no admin", "scopes": scopes}), 201)
    problem(Api(api.url, made["key"]).call(method, path), 403, "missing_scope", says="admin")
    api.delete(f"/v1/api-keys/{made['id']}")


def test_a_change_is_in_the_trail_with_the_name_of_its_key(api: Api, site: Site) -> None:
    made = ok(api.post("/v1/api-keys", {"name": "Kim's laptop", "scopes": ["destinations:write"]}), 201)
    destination = site.create()
    ok(Api(api.url, made["key"]).post(f"/v1/destinations/{destination['id']}/pause"))

    paused, created = trail(api, target=destination["id"])
    assert paused.keys() == {"id", "at", "actor", "action", "target", "detail"}
    assert (paused["actor"], paused["action"], paused["detail"]) == (
        "Kim's laptop",
        "destination.paused",
        {"before": "active"},
    )
    assert (created["actor"], created["action"]) == ("TRACKLAYER_ADMIN_KEY", "destination.created")
    assert created["at"] <= paused["at"]
    assert trail(api, target=destination["id"], action="destination.created") == [created]
    assert trail(api, target=destination["id"], action="destination", actor="Kim's laptop") == [paused]
    assert trail(api, target=destination["id"], action="secret") == []


def test_every_call_that_changes_something_leaves_an_entry(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(401), Answer(401), Answer(200))
    one = site.create(signing={"secret": "dest_live_9f3b27"})
    path = f"/v1/destinations/{one['id']}"
    ok(api.patch(path, {"retry": {"attempts": 0}}))
    ok(api.post(f"{path}/versions/1/restore"))
    ok(api.post(f"{path}/pause"))
    ok(api.post(f"{path}/resume"))
    ok(api.post(f"{path}/rotate-secret", {"overlap": "1h"}))
    suppression = ok(api.post(f"{path}/suppressions", {"reason": "r", "filter": {"platform": ["none"]}}), 201)
    assert api.delete(f"{path}/suppressions/{suppression['id']}").status == 204
    first, second = site.kill()["id"], site.kill()["id"]
    ok(api.post(f"/v1/dead-letters/{first}/discard", {"reason": "r"}))
    ok(api.post("/v1/dead-letters/replay", {"destination_id": one["id"]}))
    ok(api.delete(f"{path}?deliveries=discard"))
    actions = [row["action"].removeprefix("destination.") for row in trail(api, target=one["id"])]
    assert actions == [
        *("deleted", "dead_letter.replayed_all", "suppression_lifted", "suppressed", "secret_rotated"),
        *("resumed", "paused", "restored", "saved", "created"),
    ]
    assert [row["action"] for row in trail(api, target=first)] == ["dead_letter.discarded"]
    assert trail(api, target=second) == []


def test_a_look_leaves_no_entry(api: Api, site: Site) -> None:
    one = site.create()
    path = f"/v1/destinations/{one['id']}"
    (newest, *_) = trail(api, limit=1)
    ok(api.get(path))
    ok(api.post(f"{path}/preview"))
    ok(api.call("PUT", f"{path}?dry_run=true", site.draft(template="{}")))
    ok(api.post("/v1/dead-letters/replay", {"destination_id": one["id"], "dry_run": True}))
    ok(api.post("/v1/dead-letters/replay", {"destination_id": one["id"]}))
    assert trail(api, limit=1) == [newest]


def test_it_is_paged_by_a_cursor(api: Api, site: Site) -> None:
    name = f"{site.name}_secret"
    for _ in range(5):
        ok(api.put(f"/v1/secrets/{name}", {"value": "value-value"}))
    seen: list[str] = []
    cursor: dict[str, object] = {}
    for size in (2, 2, 1):
        answer = ok(api.get("/v1/audit", target=name, limit=2, **cursor))
        assert len(answer["data"]) == size
        seen += [row["id"] for row in answer["data"]]
        cursor = {"cursor": answer["next_cursor"]}
    assert cursor == {"cursor": None}
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 5
    problem(api.get("/v1/audit", cursor="ZHN0X3g"), 422, "invalid_cursor", pointer="/cursor")


def test_an_invitation_is_a_link_that_is_shown_once(server: ServerProcess, api: Api) -> None:
    answer = api.post("/v1/people/invitations", {"email": "Kim@Example.com"})
    made = ok(answer, 201)
    assert answer.headers["cache-control"] == "no-store"
    assert made.keys() == {"email", "url", "expires_at"}
    assert made["email"] == "kim@example.com"
    base, _, token = made["url"].rpartition("/setup/")
    assert base == server.url
    assert len(token) == 43  # 32 bytes
    assert token not in server.log_text()
    assert [row["action"] for row in trail(api, target="kim@example.com")] == ["person.invited"]
    assert ok(api.post("/v1/people/invitations"), 201)["email"] is None
    assert ok(api.get("/v1/people")) == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({"email": "kim"}, "invalid_email", "/email"),
        ({"email": 1}, "wrong_type", "/email"),
        ({"mail": "kim@example.com"}, "unknown_field", "/mail"),
    ],
)
def test_a_bad_invitation_is_refused(api: Api, body: object, code: str, pointer: str) -> None:
    problem(api.post("/v1/people/invitations", body), 422, code, pointer=pointer)
