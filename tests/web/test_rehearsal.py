"""Preview and synthetic test: the whole way of an event, step by step, exactly as live traffic goes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.harness import Api, ServerProcess
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.demo.receiver import Answer, Hang, Reset

SECRET = "dest_live_rehearsal_9f3b27"
FILTER = {"event_name": ["purchase"], "platform": ["shopify"]}


def rehearse(api: Api, made: dict[str, Any], call: str, body: object = None) -> dict[str, Any]:
    answer: dict[str, Any] = ok(api.post(f"/v1/destinations/{made['id']}/{call}", body))
    assert answer.keys() == {"delivery_id", "event_id", "state", "steps"}
    return answer


def test_a_test_sends_a_purchase_of_the_qa_user_and_answers_with_its_whole_trace(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(200, headers=(("X-Seen", "1"),), body=b"ok"))
    made = site.create(
        filter=FILTER,
        signing={"secret": SECRET},
        template='{"type": "{{event_name}}", "email": "{{user_data.email}}", "id": "{{user_data.external_id}}"}',
        consent={"requires": ["ad_storage"]},
    )
    answer = rehearse(api, made, "test")
    assert answer["state"] == "delivered"
    assert answer["delivery_id"].startswith("dlv_")
    steps = answer["steps"]
    assert steps.keys() == {"filter", "consent", "render", "sign", "send"}
    assert steps["filter"] == {"matched": True, "reason": None}
    assert steps["consent"] == {"allowed": True, "reason": None}
    assert steps["render"] == {
        "valid": True,
        "missing": ["user_data.external_id"],
        "missing_places": [{"path": "user_data.external_id", "pointer": "/template", "line": 1, "column": 69}],
        "error": None,
    }
    assert steps["sign"] == {"scheme": "tracklayer", "header": "X-TrackLayer-Signature", "verified": True}

    (request,) = site.requests
    assert json.loads(request.body) == {"type": "purchase", "email": "qa+destinations@tracklayer.test", "id": ""}
    send = steps["send"]
    assert send["request"].keys() == {"method", "url", "headers", "body"}
    assert (send["request"]["method"], send["request"]["url"]) == ("POST", site.hook)
    assert send["request"]["body"].encode() == request.body
    received = {name.lower(): value for name, value in request.headers}
    assert {name.lower(): value for name, value in send["request"]["headers"].items()}.items() <= received.items()
    assert send["request"]["headers"].keys() >= {
        *("Content-Type", "User-Agent", "X-TrackLayer-Event-Id", "X-TrackLayer-Delivery-Id", "X-TrackLayer-Attempt"),
        *("X-TrackLayer-Timestamp", "Idempotency-Key", "X-TrackLayer-Signature"),
    }
    assert send["response"]["status"] == 200
    assert send["response"]["headers"]["x-seen"] == "1"
    assert send["response"]["body"] == "ok"
    assert send["latency_ms"] > 0
    assert send["error"] is None


def test_a_test_is_stored_and_logged_as_a_test(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER)
    answer = rehearse(api, made, "test")
    event = ok(api.get(f"/v1/events/{answer['event_id']}"))
    assert event["test"] is True
    (delivery,) = event["deliveries"]
    assert (delivery["id"], delivery["test"], delivery["state"]) == (answer["delivery_id"], True, "delivered")
    detail = ok(api.get(f"/v1/deliveries/{answer['delivery_id']}"))
    assert detail["request"] == answer["steps"]["send"]["request"]
    (attempt,) = detail["attempts"]
    assert (attempt["status"], attempt["outcome"], attempt["response"]["body"]) == (200, "delivered", "ok")


def test_a_test_writes_the_same_wide_log_line_as_live_traffic(api: Api, site: Site, server: ServerProcess) -> None:
    answer = rehearse(api, site.create(filter=FILTER), "test")
    (line,) = [each for each in server.log_lines("attempt") if each["delivery_id"] == answer["delivery_id"]]
    assert (line["test"], line["state"], line["status"]) == (True, "delivered", 200)


def test_the_callers_own_event_can_be_tested_digit_for_digit(api: Api, site: Site) -> None:
    made = site.create()
    raw = b'{"event": {"event_name": "%s", "event_id": "mine_%s", "properties": {"value": 149.90}}}'
    answer = ok(api.call("POST", f"/v1/destinations/{made['id']}/test", raw % (site.name.encode(), site.name.encode())))
    assert (answer["event_id"], answer["state"]) == (f"mine_{site.name}", "delivered")
    assert b'"value":149.90' in site.requests[0].body
    preview = api.send(
        "POST",
        f"/v1/destinations/{made['id']}/preview",
        raw % (site.name.encode(), b"x"),
        {"Authorization": f"Bearer {api.key}"},
    )
    assert b"149.90" in preview[2]


def test_a_test_can_be_repeated_with_the_same_event_and_sends_every_time(api: Api, site: Site) -> None:
    made = site.create()
    body = {"event": {"event_name": site.name, "event_id": f"same_{site.name}"}}
    first, second = rehearse(api, made, "test", body), rehearse(api, made, "test", body)
    assert first["delivery_id"] != second["delivery_id"]
    assert len(site.requests) == 2
    for answer in (first, second):
        assert ok(api.get(f"/v1/deliveries/{answer['delivery_id']}"))["state"] == "delivered"


def test_a_test_does_not_make_the_live_event_a_duplicate(api: Api, site: Site) -> None:
    made = site.create()
    event = {"event_name": site.name, "event_id": f"live_{site.name}"}
    rehearse(api, made, "test", {"event": event})
    assert ok(api.post("/v1/events", event))["dedup_status"] == "accepted"


def test_a_test_bypasses_nothing_the_filter_stops_it(api: Api, site: Site) -> None:
    made = site.create(filter={"event_name": ["refund_requested"]})
    answer = rehearse(api, made, "test")
    assert answer["state"] == "suppressed"
    assert answer["steps"] == {
        "filter": {"matched": False, "reason": "event_name is 'purchase', expected one of 'refund_requested'"},
        "consent": None,
        "render": None,
        "sign": None,
        "send": None,
    }
    assert site.requests == []
    stored = ok(api.get(f"/v1/deliveries/{answer['delivery_id']}"))
    assert (stored["state"], stored["test"]) == ("suppressed", True)
    assert stored["reason"] == "filter: event_name is 'purchase', expected one of 'refund_requested'"


def test_a_test_bypasses_nothing_consent_stops_it(api: Api, site: Site) -> None:
    made = site.create(consent={"requires": ["ad_storage"], "when_unknown": "deny"})
    answer = rehearse(api, made, "test", {"event": site.event(consent={"ad_storage": "denied"})})
    assert answer["state"] == "suppressed"
    assert answer["steps"]["consent"] == {"allowed": False, "reason": "ad_storage is denied by the event"}
    assert answer["steps"]["send"] is None
    assert site.requests == []


def test_a_test_bypasses_nothing_a_suppression_stops_it(api: Api, site: Site) -> None:
    made = site.create()
    ok(api.post(f"/v1/destinations/{made['id']}/suppressions", {"reason": "maintenance"}), 201)
    answer = rehearse(api, made, "test", {"event": site.event()})
    assert answer["state"] == "suppressed"
    assert "maintenance" in answer["steps"]["suppression"]["reason"]
    assert site.requests == []


@pytest.mark.parametrize("status", ["draft", "paused"])
def test_a_draft_and_a_paused_destination_can_be_tested(api: Api, site: Site, status: str) -> None:
    made = site.create(filter=FILTER, status=status)
    assert rehearse(api, made, "test")["state"] == "delivered"
    assert len(site.requests) == 1
    assert ok(api.get(f"/v1/destinations/{made['id']}"))["status"] == status


def test_a_template_that_fails_on_this_event_says_so_and_sends_nothing(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER, template='{"a": "{{properties.missing}}"}', on_missing="fail")
    answer = rehearse(api, made, "test")
    assert answer["state"] == "dead"
    render = answer["steps"]["render"]
    assert render["valid"] is False
    assert "line 1" in render["error"]
    assert (answer["steps"]["sign"], answer["steps"]["send"]) == (None, None)
    assert site.requests == []
    preview = rehearse(api, made, "preview")
    assert preview["steps"]["render"] == {**render, "request": None}


def test_a_body_that_is_no_json_is_shown_and_not_sent(api: Api, site: Site) -> None:
    made = site.create(template='{"a": {{{properties.raw}}} }')
    event = site.event(properties={"raw": "[1,"})
    answer = rehearse(api, made, "test", {"event": event})
    assert answer["state"] == "dead"
    assert answer["steps"]["render"]["valid"] is False
    assert "not valid JSON" in answer["steps"]["render"]["error"]
    assert answer["steps"]["send"] is None
    assert site.requests == []
    preview = rehearse(api, made, "preview", {"event": event})
    assert preview["steps"]["render"]["request"]["body"] == '{"a": [1, }'


def test_a_preview_shows_the_request_and_sends_and_stores_nothing(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER, signing={"secret": SECRET}, template='{"type": "{{event_name}}"}')
    answer = rehearse(api, made, "preview")
    assert (answer["delivery_id"], answer["state"]) == (None, None)
    steps = answer["steps"]
    assert steps.keys() == {"filter", "consent", "render", "sign"}
    assert steps["filter"]["matched"] is True
    assert steps["render"].keys() == {"valid", "missing", "missing_places", "error", "request"}
    assert steps["sign"]["verified"] is True
    request = steps["render"]["request"]
    assert (request["method"], request["url"], request["body"]) == ("POST", site.hook, '{"type": "purchase"}')
    assert request["headers"]["X-TrackLayer-Attempt"] == "1"
    problem(api.get(f"/v1/events/{answer['event_id']}"), 404, "not_found")
    assert site.requests == []


def test_a_preview_tries_other_fields_without_saving_them(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER)
    path = f"/v1/destinations/{made['id']}"
    steps = rehearse(
        api,
        made,
        "preview",
        {
            "template": '{"id": "{{user_data.nobody}}"}',
            "transport": {"headers": {"X-Try": "1"}, "method": "PUT"},
            "filter": {"event_name": None, "platform": None},
            "event": {"event_name": "anything"},
        },
    )["steps"]
    assert steps["filter"]["matched"] is True
    assert steps["render"]["missing"] == ["user_data.nobody"]
    assert (steps["render"]["request"]["method"], steps["render"]["request"]["headers"]["X-Try"]) == ("PUT", "1")
    assert ok(api.get(path)) == made
    refused = api.post(f"{path}/preview", {"template": "{{#each}}"})
    problem(refused, 422, "invalid_template", pointer="/template", says="line 1, column")


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({"event": []}, "wrong_type", "/event"),
        ({"event": {"event_name": 5}}, "invalid_type", "/event/event_name"),
        ({"event": {}}, "required", "/event/event_name"),
        ({"wat": {}}, "unknown_field", "/wat"),
        ([], "wrong_type", ""),
    ],
)
@pytest.mark.parametrize("call", ["preview", "test"])
def test_a_bad_event_is_refused_and_the_place_is_named(
    api: Api, site: Site, call: str, body: object, code: str, pointer: str
) -> None:
    made = site.create()
    problem(api.post(f"/v1/destinations/{made['id']}/{call}", body), 422, code, pointer=pointer)


def test_a_filter_mismatch_and_a_consent_denial_show_in_a_preview(api: Api, site: Site) -> None:
    made = site.create(consent={"requires": ["ad_storage"]})
    steps = rehearse(api, made, "preview", {"event": {"event_name": "other"}})["steps"]
    assert steps == {
        "filter": {"matched": False, "reason": f"event_name is 'other', expected one of '{site.name}'"},
        "consent": None,
        "render": None,
        "sign": None,
    }
    steps = rehearse(api, made, "preview", {"event": site.event()})["steps"]
    assert steps["consent"] == {"allowed": False, "reason": "ad_storage is unknown (when_unknown is deny)"}


@pytest.mark.parametrize("behaviour", [Answer(500, body=b"oops"), Answer(302), Reset(), Hang()], ids=repr)
def test_a_test_that_fails_is_made_once_and_shows_the_failure(api: Api, site: Site, behaviour: Any) -> None:
    site.receiver.script(site.path, behaviour)
    made = site.create(filter=FILTER, transport={"timeout": "300ms"}, retry={"attempts": 5, "backoff": "1ms"})
    answer = rehearse(api, made, "test")
    assert answer["state"] == "dead"
    send = answer["steps"]["send"]
    if isinstance(behaviour, Answer):
        assert (send["response"]["status"], send["error"]) == (behaviour.status, None)
    else:
        assert send["response"] is None
        assert send["error"]
    assert len(site.requests) == 1
    assert answer["delivery_id"] not in [each["id"] for each in ok(api.get("/v1/dead-letters"))["data"]]


def test_a_test_waits_for_the_rate_limit(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER, rate_limit={"events_per_second": 2, "burst": 1})
    began = time.monotonic()
    for _ in range(3):
        assert rehearse(api, made, "test")["state"] == "delivered"
    assert time.monotonic() - began > 0.7


def test_an_address_that_must_not_be_reached_is_named_with_the_setting(api: Api, site: Site) -> None:
    made = site.create(filter=FILTER, transport={"url": "http://169.254.169.254/latest/meta-data"})
    error = rehearse(api, made, "test")["steps"]["send"]["error"]
    assert "169.254.169.254" in error
    assert "TRACKLAYER_ALLOW_NETWORKS" in error
