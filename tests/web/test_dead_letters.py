"""The dead-letter queue over the API: look, replay, discard, suppress; nothing disappears."""

from __future__ import annotations

import json

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site
from tests.web.test_events import DELIVERY
from tracklayer.demo.receiver import Answer

LETTER = DELIVERY | {
    *("destination_name", "destination_status", "current_version", "died_at", "request", "response", "error", "rule"),
}
REFUSAL = Answer(401, headers=(("X-Why", "expired"),), body=b'{"error": "token expired"}')


def letters(api: Api, **query: object) -> list[str]:
    page = ok(api.get("/v1/dead-letters", **query))
    assert all(each.keys() == DELIVERY for each in page["data"])
    return [each["id"] for each in page["data"]]


def header(site: Site, name: str) -> list[str]:
    return [value for request in site.requests for key, value in request.headers if key.lower() == name]


def test_a_dead_letter_shows_all_that_an_operator_needs(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    made = site.create(template='{"type": "{{event_name}}"}')
    delivery = site.kill()
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": "{}"}))
    ok(api.post(f"/v1/destinations/{made['id']}/pause"))
    letter = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))
    assert letter.keys() == LETTER
    assert {name: letter[name] for name in DELIVERY} == delivery
    assert (letter["code"], letter["attempt_count"], letter["destination_version"]) == (401, 1, 1)
    assert (letter["destination_name"], letter["destination_status"], letter["current_version"]) == (
        site.name,
        "paused",
        2,
    )
    assert letter["request"]["body"] == f'{{"type": "{site.name}"}}'
    assert (letter["request"]["method"], letter["request"]["url"]) == ("POST", site.hook)
    assert letter["request"]["headers"]["X-TrackLayer-Attempt"] == "1"
    assert letter["response"]["status"] == 401
    assert letter["response"]["headers"]["x-why"] == "expired"
    assert letter["response"]["body"] == '{"error": "token expired"}'
    assert letter["error"] is None
    assert "401" in letter["rule"]
    assert letter["died_at"] == delivery["updated_at"]


def test_a_401_goes_there_without_a_retry_and_a_500_after_all_of_them(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(500))
    made = site.create(retry={"attempts": 2, "backoff": "10ms"})
    first, second = site.kill(), site.kill()
    assert (first["attempt_count"], second["attempt_count"]) == (1, 3)
    assert second["reason"].startswith("gave up after 3 attempts")
    assert letters(api, destination_id=made["id"]) == [second["id"], first["id"]]
    assert letters(api, destination_id=made["id"], code=401) == [first["id"]]
    assert letters(api, event_name=site.name, since=second["created_at"]) == [second["id"]]
    assert letters(api, event_id=first["event_id"]) == [first["id"]]
    page = ok(api.get("/v1/dead-letters", destination_id=made["id"], limit=1))
    rest = ok(api.get("/v1/dead-letters", destination_id=made["id"], limit=1, cursor=page["next_cursor"]))
    assert ([each["id"] for each in rest["data"]], rest["next_cursor"]) == ([first["id"]], None)


def test_no_answer_at_all_is_an_error_with_its_kind(api: Api, site: Site) -> None:
    site.create(transport={"url": "http://127.0.0.1:1/x"}, retry={"attempts": 0})
    letter = ok(api.get(f"/v1/dead-letters/{site.kill()['id']}"))
    assert letter["response"] is None
    assert letter["error"].keys() == {"kind", "detail"}
    assert letter["error"]["kind"] == "connect"
    assert letter["request"]["url"] == "http://127.0.0.1:1/x"


@pytest.mark.parametrize("mode", ["as_sent", "rerender"])
def test_a_replay_keeps_the_delivery_id_and_counts_on(api: Api, site: Site, mode: str) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(200))
    made = site.create(template='{"v": 1}', signing={"secret": "dest_live_9f3b27"})
    delivery = site.kill()
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"v": 2}'}))
    replayed = ok(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {"mode": mode}))
    assert replayed.keys() == DELIVERY
    assert replayed["id"] == delivery["id"]
    after = site.settled(delivery["event_id"], "delivered")
    assert (after["id"], after["attempt_count"]) == (delivery["id"], 2)
    assert [json.loads(request.body) for request in site.requests] == [
        {"v": 1},
        {"v": 1 if mode == "as_sent" else 2},
    ]
    assert header(site, "x-tracklayer-delivery-id") == header(site, "idempotency-key") == [delivery["id"]] * 2
    assert header(site, "x-tracklayer-attempt") == ["1", "2"]
    assert letters(api, destination_id=made["id"]) == []
    problem(api.get(f"/v1/dead-letters/{delivery['id']}"), 409, "not_dead", says="delivered")
    problem(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {}), 409, "not_dead", says="delivered")
    problem(api.post(f"/v1/dead-letters/{delivery['id']}/discard", {}), 409, "not_dead", says="delivered")


def test_a_replay_that_fails_again_is_a_dead_letter_again(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    site.create()
    delivery = site.kill()
    for attempt in (2, 3):
        ok(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {"mode": "rerender"}))
        site.receiver.wait_for(site.path, attempt)
        assert site.settled(delivery["event_id"], "dead")["attempt_count"] == attempt
    assert len(ok(api.get(f"/v1/deliveries/{delivery['id']}"))["attempts"]) == 3


def test_what_could_not_be_rendered_can_only_be_rendered_again(api: Api, site: Site) -> None:
    made = site.create(template='{"a": "{{properties.missing}}"}', on_missing="fail")
    delivery = site.kill()
    letter = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))
    assert (letter["request"], letter["response"], letter["error"]["kind"]) == (None, None, "render")
    problem(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {"mode": "as_sent"}), 409, "nothing_was_sent")
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"a": 1}'}))
    ok(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {"mode": "rerender"}))
    site.settled(delivery["event_id"], "delivered")
    assert site.requests[0].body == b'{"a": 1}'


def test_a_body_that_is_no_json_is_kept_with_the_reason(api: Api, site: Site) -> None:
    site.create(template='{"a": {{{properties.raw}}} }')
    letter = ok(api.get(f"/v1/dead-letters/{site.kill(properties={'raw': '[1,'})['id']}"))
    assert letter["request"]["body"] == '{"a": [1, }'
    assert letter["error"]["kind"] == "validate"
    assert site.requests == []


def test_a_bulk_replay_can_be_tried_first_and_shows_how_the_bodies_would_differ(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, REFUSAL, REFUSAL, Answer(200))
    made = site.create(template='{"v": 1}')
    dead = [site.kill() for _ in range(3)]
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"v": 2}'}))
    wanted = {"destination_id": made["id"], "mode": "rerender"}
    tried = ok(api.post("/v1/dead-letters/replay", wanted | {"dry_run": True}))
    assert tried.keys() == {"count", "dry_run", "diffs"}
    assert (tried["count"], tried["dry_run"]) == (3, True)
    assert [each["delivery_id"] for each in tried["diffs"]] == [each["id"] for each in dead[::-1]]
    diff = tried["diffs"][0]
    assert diff.keys() == {"delivery_id", "as_sent", "rerendered", "error", "diff"}
    assert (diff["as_sent"], diff["rerendered"], diff["error"]) == ('{"v": 1}', '{"v": 2}', None)
    assert '-  "v": 1' in diff["diff"]
    assert '+  "v": 2' in diff["diff"]
    same = ok(api.post("/v1/dead-letters/replay", wanted | {"dry_run": True, "mode": "as_sent"}))
    assert [each["diff"] for each in same["diffs"]] == ["", "", ""]
    assert len(letters(api, destination_id=made["id"])) == 3

    some = wanted | {"ids": [dead[0]["id"], "dlv_unknown"]}
    assert ok(api.post("/v1/dead-letters/replay", some)) == {"count": 1, "dry_run": False, "diffs": []}
    site.settled(dead[0]["event_id"], "delivered")
    assert ok(api.post("/v1/dead-letters/replay", wanted))["count"] == 2
    for delivery in dead:
        site.settled(delivery["event_id"], "delivered")
    assert [json.loads(request.body)["v"] for request in site.requests] == [1, 1, 1, 2, 2, 2]


def test_a_dry_run_says_what_cannot_be_rendered(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    made = site.create(template='{"v": 1}')
    site.kill()
    ok(
        api.patch(
            f"/v1/destinations/{made['id']}", {"template": '{"v": "{{properties.missing}}"}', "on_missing": "fail"}
        )
    )
    body = {"destination_id": made["id"], "dry_run": True}
    (diff,) = ok(api.post("/v1/dead-letters/replay", body))["diffs"]
    assert (diff["as_sent"], diff["rerendered"]) == ('{"v": 1}', None)
    assert "properties.missing" in diff["error"]


def test_a_bulk_replay_selects_by_name_code_and_time(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(403), Answer(200))
    site.create()
    first, second = site.kill(), site.kill()
    for wanted, count in (
        ({"event_name": site.name}, 2),
        ({"event_name": site.name, "code": 403}, 1),
        ({"event_name": site.name, "since": second["created_at"]}, 1),
        ({"event_name": site.name, "until": second["created_at"]}, 1),
        ({"event_id": first["event_id"]}, 1),
        ({"event_name": "no such"}, 0),
        ({"event_name": site.name, "ids": []}, 0),
    ):
        assert ok(api.post("/v1/dead-letters/replay", wanted | {"dry_run": True}))["count"] == count


def test_a_cause_selects_in_lists_replays_and_discards(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(200, body=b"0"))
    made = site.create(success={"body_equals": "1"})
    first, second = site.kill(), site.kill()
    assert letters(api, destination_id=made["id"], cause="401") == [first["id"]]
    assert letters(api, destination_id=made["id"], cause="success_rule") == [second["id"]]
    assert letters(api, destination_id=made["id"], cause="200") == []
    wanted = {"destination_id": made["id"], "cause": "success_rule"}
    assert ok(api.post("/v1/dead-letters/replay", wanted | {"dry_run": True, "per_second": 5}))["count"] == 1
    assert ok(api.post("/v1/dead-letters/discard", wanted | {"reason": "test orders"})) == {"count": 1}
    assert letters(api, destination_id=made["id"]) == [first["id"]]
    assert site.delivery(second["event_id"])["reason"] == "test orders"


@pytest.mark.parametrize(
    "body, code",
    [
        ({}, "missing_field"),
        ({"reason": ""}, "wrong_type"),
        ({"reason": "  "}, "missing_field"),
        ({"reason": 1}, "wrong_type"),
    ],
)
def test_many_are_not_discarded_without_a_reason(api: Api, body: dict[str, object], code: str) -> None:
    problem(api.post("/v1/dead-letters/discard", body), 422, code, pointer="/reason")


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({"mode": "again"}, "wrong_type", "/mode"),
        ({"destination": "dst_1"}, "unknown_field", "/destination"),
        ({"since": "yesterday"}, "invalid_time", "/since"),
        ({"code": "401"}, "wrong_type", "/code"),
        ({"code": 10**30}, "wrong_type", "/code"),
        ({"dry_run": "yes"}, "wrong_type", "/dry_run"),
        ({"ids": ["dlv_1"] * 501}, "wrong_type", "/ids"),
        ({"cause": 401}, "wrong_type", "/cause"),
        ({"per_second": 0}, "wrong_type", "/per_second"),
        ({"per_second": 10001}, "wrong_type", "/per_second"),
        ([], "wrong_type", ""),
    ],
)
def test_a_bad_bulk_replay_is_refused(api: Api, body: object, code: str, pointer: str) -> None:
    problem(api.post("/v1/dead-letters/replay", body), 422, code, pointer=pointer)


def test_a_bad_replay_or_discard_is_refused(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    site.create()
    path = f"/v1/dead-letters/{site.kill()['id']}"
    problem(api.post(f"{path}/replay", {"mode": "again"}), 422, "wrong_type", pointer="/mode")
    problem(api.post(f"{path}/replay", {"to": "x"}), 422, "unknown_field", pointer="/to")
    problem(api.post(f"{path}/discard", {"why": "x"}), 422, "unknown_field", pointer="/why")
    problem(api.call("POST", f"{path}/replay", b"{"), 400, "malformed", pointer="")
    assert ok(api.get(path))["state"] == "dead"


def test_a_discarded_one_leaves_the_queue_and_stays_in_the_log(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    made = site.create()
    delivery = site.kill()
    discarded = ok(api.post(f"/v1/dead-letters/{delivery['id']}/discard", {"reason": "a test order"}))
    assert discarded.keys() == DELIVERY
    assert (discarded["state"], discarded["reason"]) == ("discarded", "a test order")
    assert letters(api, destination_id=made["id"]) == []
    kept = ok(api.get(f"/v1/deliveries/{delivery['id']}"))
    assert (kept["state"], kept["request"]["url"]) == ("discarded", site.hook)


def test_a_suppressed_route_stops_a_replay_too(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(200))
    made = site.create()
    delivery = site.kill()
    ok(api.post(f"/v1/destinations/{made['id']}/suppressions", {"reason": "not this one"}), 201)
    ok(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {"mode": "as_sent"}))
    after = site.settled(delivery["event_id"], "suppressed")
    assert "not this one" in after["reason"]
    assert len(site.requests) == 1


def test_a_replay_to_a_paused_destination_waits(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL, Answer(200))
    made = site.create()
    delivery = site.kill()
    ok(api.post(f"/v1/destinations/{made['id']}/pause"))
    assert ok(api.post(f"/v1/dead-letters/{delivery['id']}/replay"))["state"] == "pending"
    ok(api.post(f"/v1/destinations/{made['id']}/resume"))
    site.settled(delivery["event_id"], "delivered")


def test_the_dead_letters_of_a_deleted_destination_can_be_seen_and_discarded(api: Api, site: Site) -> None:
    site.receiver.script(site.path, REFUSAL)
    made = site.create()
    delivery = site.kill()
    ok(api.delete(f"/v1/destinations/{made['id']}"))
    letter = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))
    assert (letter["destination_status"], letter["destination_name"], letter["current_version"]) == (
        "deleted",
        None,
        None,
    )
    assert letter["request"]["url"] == site.hook
    problem(api.post(f"/v1/dead-letters/{delivery['id']}/replay", {}), 409, "destination_deleted")
    assert ok(api.post("/v1/dead-letters/replay", {"event_id": delivery["event_id"]}))["count"] == 0
    assert ok(api.post(f"/v1/dead-letters/{delivery['id']}/discard"))["state"] == "discarded"
