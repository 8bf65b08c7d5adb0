"""Configuring destinations over the API: saves make versions, and nothing is lost or shown that should not be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site

FULL: dict[str, Any] = {
    "transport": {
        "method": "PUT",
        "headers": {"Authorization": "Bearer {{secrets.full_token}}", "X-Environment": "production"},
        "timeout": "10s",
    },
    "signing": {"secret": "dest_live_9f3b27"},
    "template": '{ "type": "{{event_name}}" }',
    "retry": {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m", "statuses": {"409": "retry"}},
    "rate_limit": {"events_per_second": 25},
    "consent": {"requires": ["ad_storage"], "when_unknown": "deny"},
    "success": {"json": {"code": 0}, "otherwise": "retry"},
    "status": "draft",
}
ANSWERED = {
    *(
        "id",
        "name",
        "type",
        "status",
        "version",
        "transport",
        "signing",
        "filter",
        "template",
        "ordering",
        "on_missing",
    ),
    *("body_schema", "retry", "success"),
    *("rate_limit", "consent", "created_at", "updated_at", "warnings"),
}


def test_a_destination_comes_back_as_it_was_saved_with_its_id_version_status_and_times(api: Api, site: Site) -> None:
    answer = api.post("/v1/destinations", site.draft(**FULL))
    made = ok(answer, 201)
    assert made.keys() == ANSWERED
    assert made["id"].startswith("dst_")
    assert (made["version"], made["status"], answer.headers["etag"]) == (1, "draft", '"1"')
    assert made["created_at"] == made["updated_at"]
    assert made["transport"]["headers"] == FULL["transport"]["headers"]
    assert (made["transport"]["url"], made["transport"]["method"]) == (site.hook, "PUT")
    for name in ("template", "rate_limit", "consent", "success"):
        assert made[name] == FULL[name]
    assert made["retry"].items() >= FULL["retry"].items()
    assert made["signing"] == {"enabled": True, "hint": "…3b27"}
    assert made["warnings"] == ["the secret full_token does not exist yet: deliveries fail until it does"]
    read = api.get(f"/v1/destinations/{made['id']}")
    assert ok(read) == made
    assert read.headers["etag"] == '"1"'
    ok(api.delete(f"/v1/destinations/{made['id']}"))


def test_a_short_one_is_active_with_the_defaults(site: Site) -> None:
    made = site.create()
    assert (made["status"], made["type"], made["transport"]["method"]) == ("active", "http", "POST")
    assert (made["transport"]["timeout"], made["transport"]["headers"]) == ("10s", {})
    assert made["retry"] == {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m", "jitter": 0.1, "statuses": {}}
    assert [made[name] for name in ("signing", "template", "success", "rate_limit", "consent")] == [None] * 5
    assert made["warnings"] == []


def test_an_answer_sent_back_as_it_is_changes_nothing_but_the_version(api: Api, site: Site) -> None:
    made = site.create(**FULL)
    path = f"/v1/destinations/{made['id']}"
    assert ok(api.put(f"{path}?dry_run=true", made)) == {"changed": False, "changes": []}
    again = ok(api.put(path, made))
    changing = {"version", "updated_at"}
    assert {name: again[name] for name in ANSWERED - changing} == {name: made[name] for name in ANSWERED - changing}
    assert again["version"] == 2
    kept, first = (each["config"] for each in ok(api.get(f"{path}/versions"))["data"])
    assert kept == first


def test_put_gives_absent_fields_their_defaults_and_keeps_the_signing_secret(api: Api, site: Site) -> None:
    made = site.create(**FULL)
    put = ok(api.put(f"/v1/destinations/{made['id']}", site.draft()))
    assert (put["version"], put["template"], put["consent"]) == (2, None, None)
    assert put["signing"] == made["signing"]
    assert put["status"] == "draft"
    unsigned = ok(api.put(f"/v1/destinations/{made['id']}", site.draft(signing=None)))
    assert unsigned["signing"] is None


def test_patch_merges_and_null_removes(api: Api, site: Site) -> None:
    made = site.create(**FULL)
    patch = {"transport": {"headers": {"X-Environment": None, "X-New": "1"}}, "template": None, "note": "less"}
    merged = ok(api.patch(f"/v1/destinations/{made['id']}", patch))
    assert merged["transport"] == made["transport"] | {
        "headers": {"Authorization": "Bearer {{secrets.full_token}}", "X-New": "1"}
    }
    assert merged["template"] is None
    same = ANSWERED - {"transport", "template", "version", "updated_at"}
    assert {name: merged[name] for name in same} == {name: made[name] for name in same}
    assert ok(api.get(f"/v1/destinations/{made['id']}/versions"))["data"][0]["note"] == "less"
    assert ok(api.patch(f"/v1/destinations/{made['id']}", {"signing": None}))["signing"] is None


def test_signing_that_is_given_and_not_enabled_is_warned_of_once(api: Api, site: Site) -> None:
    unsigned = "signing is not enabled: requests go out unsigned"
    made = site.create(signing={"secret": "dest_live_9f3b27", "enabled": False})
    assert (made["signing"], made["warnings"]) == (None, [f"{unsigned}, and the secret that was given is not kept"])
    path = f"/v1/destinations/{made['id']}"
    assert ok(api.get(path))["warnings"] == []
    assert ok(api.put(path, made))["warnings"] == []
    assert ok(api.put(path, site.draft(signing={"enabled": False})))["warnings"] == [unsigned]
    ok(api.patch(path, {"signing": {"secret": "dest_live_9f3b27"}}))
    ended = ok(api.patch(path, {"signing": {"enabled": False}}))
    assert (ended["signing"], ended["warnings"]) == (None, [unsigned])
    assert ok(api.patch(path, {"signing": None, "template": "{}"}))["warnings"] == []


def test_patch_can_sign_with_another_secret_or_scheme(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    problem(api.patch(path, {"signing": {}}), 422, "missing_field", pointer="/signing/secret")
    signed = ok(api.patch(path, {"signing": {"secret": "first-secret-1111"}}))
    assert signed["signing"] == {"enabled": True, "hint": "…1111"}
    assert ok(api.patch(path, {"name": "renamed"}))["signing"] == signed["signing"]
    refused = api.patch(path, {"signing": {"scheme": "standard-webhooks"}})
    problem(refused, 422, "invalid_secret", pointer="/signing/secret")
    standard = {"scheme": "standard-webhooks", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    assert ok(api.patch(path, {"signing": standard}))["signing"] == {
        "enabled": True,
        "hint": "…LaSw",
        "scheme": "standard-webhooks",
    }


def test_every_save_makes_a_version_that_can_be_restored(api: Api, site: Site) -> None:
    made = site.create(template='{"one": 1}')
    path = f"/v1/destinations/{made['id']}"
    ok(api.patch(path, {"template": '{"two": 2}', "note": "the second"}))
    restored = api.post(f"{path}/versions/1/restore")
    assert (ok(restored)["version"], restored.body["template"]) == (3, '{"one": 1}')
    assert restored.headers["etag"] == '"3"'

    listed = ok(api.get(f"{path}/versions"))
    assert listed["next_cursor"] is None
    versions = listed["data"]
    assert [each.keys() for each in versions] == [{"version", "author", "note", "created_at", "config", "changes"}] * 3
    assert [(each["version"], each["note"]) for each in versions] == [
        (3, "restored version 1"),
        (2, "the second"),
        (1, None),
    ]
    assert [each["config"]["template"] for each in versions] == ['{"one": 1}', '{"two": 2}', '{"one": 1}']
    assert {each["author"] for each in versions} == {"TRACKLAYER_ADMIN_KEY"}
    page = ok(api.get(f"{path}/versions", limit=2))
    assert [each["version"] for each in page["data"]] == [3, 2]
    rest = ok(api.get(f"{path}/versions", limit=2, cursor=page["next_cursor"]))
    assert ([each["version"] for each in rest["data"]], rest["next_cursor"]) == ([1], None)


@pytest.mark.parametrize("number", ["4", "0", "99999999999999999999", "-1"])
def test_a_version_that_never_was_cannot_be_restored(api: Api, site: Site, number: str) -> None:
    path = f"/v1/destinations/{site.create()['id']}/versions"
    problem(api.post(f"{path}/{number}/restore"), 404, "not_found")


def test_if_match_guards_against_lost_updates(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    answer = api.patch(path, {"name": "mine"}, If_Match='"1"')
    assert (ok(answer)["version"], answer.headers["etag"]) == (2, '"2"')
    for late in (
        api.patch(path, {"name": "theirs"}, If_Match='"1"'),
        api.put(path, site.draft(), If_Match='"1"'),
        api.call("DELETE", path, headers={"If-Match": '"1"'}),
        api.post(f"{path}/versions/1/restore", If_Match='"1"'),
        api.patch(path, {"name": "theirs"}, If_Match='"999999999999999999"'),
    ):
        problem(late, 412, "version_mismatch", says="version 2")
    assert ok(api.patch(path, {"name": "any"}, If_Match="*"))["version"] == 3
    assert ok(api.get(path))["name"] == "any"


@pytest.mark.parametrize("value", ["three", '"-1"', '"1", "2"', '"' + "9" * 5000 + '"', "", '"²"'])
def test_an_if_match_that_is_no_version_is_refused(api: Api, site: Site, value: str) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    answer = api.patch(path, {"name": "x"}, If_Match=value)
    problem(answer, 422, "invalid_if_match", says="If-Match")
    assert ok(api.get(path))["version"] == 1


def test_a_dry_run_plans_and_saves_nothing(api: Api, site: Site) -> None:
    planned = ok(api.post("/v1/destinations?dry_run=true", site.draft(**FULL)))
    assert planned == {"changed": True, "changes": []}
    assert ok(api.get("/v1/destinations", name=site.name))["data"] == []
    refused = api.post("/v1/destinations?dry_run=true", site.draft(template="{{#if}"))
    problem(refused, 422, "invalid_template", pointer="/template")

    path = f"/v1/destinations/{site.create(**FULL)['id']}"
    patch = {"template": "{}", "signing": {"secret": "another-secret-2222"}, "rate_limit": None, "status": "paused"}
    plan = ok(api.patch(f"{path}?dry_run=true", patch))
    assert plan["changed"] is True
    assert {each["path"]: (each["old"], each["new"]) for each in plan["changes"]} == {
        "template": (FULL["template"], "{}"),
        "rate_limit": (FULL["rate_limit"], None),
        "signing.secret": ("••••", "••••"),
        "status": ("draft", "paused"),
    }
    assert ok(api.patch(f"{path}?dry_run=true", {"signing": {"secret": "dest_live_9f3b27"}}))["changed"] is False
    assert ok(api.get(path))["version"] == 1


def test_destinations_are_listed_newest_first_in_pages_and_found_by_name(api: Api, site: Site) -> None:
    ids = [site.create()["id"] for _ in range(3)]
    page = ok(api.get("/v1/destinations", limit=2))
    assert [each["id"] for each in page["data"]] == [ids[2], ids[1]]
    rest = ok(api.get("/v1/destinations", limit=1, cursor=page["next_cursor"]))
    assert [each["id"] for each in rest["data"]] == [ids[0]]
    named = ok(api.get("/v1/destinations", name=site.name))
    assert ([each["id"] for each in named["data"]], named["next_cursor"]) == (ids[::-1], None)
    assert ok(api.get("/v1/destinations", name=site.name[:-1] + "?"))["data"] == []


def test_paused_deliveries_wait_and_flow_after_a_resume(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    paused = api.post(f"{path}/pause")
    assert (ok(paused)["status"], paused.body["version"], paused.headers["etag"]) == ("paused", 1, '"1"')
    event_id = site.send()
    assert site.delivery(event_id)["state"] == "pending"
    assert ok(api.post(f"{path}/resume"))["status"] == "active"
    site.settled(event_id, "delivered")
    assert len(site.requests) == 1


def test_a_draft_gets_no_events_until_it_goes_live(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(status='draft')['id']}"
    assert ok(api.get(f"/v1/events/{site.send()}"))["deliveries"] == []
    assert ok(api.post(f"{path}/resume"))["status"] == "active"
    site.deliver()
    assert ok(api.put(path, site.draft(status="paused")))["status"] == "paused"


def test_a_destination_with_waiting_deliveries_is_deleted_only_when_told_so(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(status='paused')['id']}"
    event_id = site.send()
    problem(api.delete(path), 409, "deliveries_waiting", says="1 delivery waits")
    assert ok(api.get(path))["status"] == "paused"
    assert ok(api.delete(f"{path}?deliveries=discard")) == {"id": path.rpartition("/")[2], "discarded": 1}
    delivery = site.delivery(event_id)
    assert delivery["state"] == "discarded"
    assert delivery["reason"]
    for answer in (api.get(path), api.delete(path), api.post(f"{path}/resume"), api.patch(path, {})):
        problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/versions"),
        ("POST", "/versions/1/restore"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/rotate-secret"),
        ("GET", "/suppressions"),
        ("POST", "/suppressions"),
        ("DELETE", "/suppressions/sup_1"),
        ("POST", "/preview"),
        ("POST", "/test"),
    ],
)
def test_an_unknown_destination_is_404(api: Api, site: Site, method: str, path: str) -> None:
    body = None
    if method in ("PUT", "PATCH"):
        body = site.draft()
    if method == "POST" and path == "/suppressions":
        body = {"reason": "x"}
    for unknown in ("dst_unknown", "dst_%00", "%E2%82%AC", "a%2Fb"):
        if "%2F" not in unknown or path == "":
            problem(api.call(method, f"/v1/destinations/{unknown}{path}", body), 404, "not_found")


def test_suppressions_keep_events_back_until_they_are_lifted(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    draft = {"reason": "the receiver moves", "filter": {"platform": ["shopify"]}, "until": "2999-01-01T00:00:00Z"}
    made = ok(api.post(f"{path}/suppressions", draft), 201)
    assert made.keys() == {"id", "destination_id", "filter", "reason", "author", "created_at", "until"}
    assert (made["reason"], made["filter"], made["until"]) == (
        draft["reason"],
        draft["filter"],
        "2999-01-01T00:00:00.000Z",
    )
    assert ok(api.get(f"{path}/suppressions")) == {"data": [made], "next_cursor": None}
    kept_back = site.delivery(site.send(platform="shopify"))
    assert kept_back["state"] == "suppressed"
    assert kept_back["reason"] == f"suppression {made['id']}: the receiver moves"
    site.deliver(platform="web")
    assert api.delete(f"{path}/suppressions/{made['id']}").status == 204
    problem(api.delete(f"{path}/suppressions/{made['id']}"), 404, "not_found")
    site.deliver(platform="shopify")
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({}, "missing_field", "/reason"),
        ({"reason": "  "}, "missing_field", "/reason"),
        ({"reason": "x", "until": "soon"}, "invalid_time", "/until"),
        ({"reason": "x", "until": "9999-12-31T23:59:59-23:59"}, "invalid_time", "/until"),
        ({"reason": "x", "until": "0001-01-01T00:00:00+23:59"}, "invalid_time", "/until"),
        ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, "invalid_time", "/until"),
        ({"reason": "x", "until": 5}, "wrong_type", "/until"),
        ({"reason": "x", "filter": {"propertys.x": 1}}, "invalid_filter", "/filter/propertys.x"),
        ({"reason": "x", "filter": {"platform": {"$like": 1}}}, "invalid_filter", "/filter/platform/$like"),
        ({"reason": "x", "id": "sup_1"}, "unknown_field", "/id"),
    ],
)
def test_a_bad_suppression_is_refused(api: Api, site: Site, body: object, code: str, pointer: str) -> None:
    path = f"/v1/destinations/{site.create()['id']}/suppressions"
    problem(api.post(path, body), 422, code, pointer=pointer)
    assert ok(api.get(path))["data"] == []
