"""`/v1/sources`, the Segment protocol and signed webhooks, over real sockets."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import Api, ServerProcess
from tests.sources.shopify_samples import order, refund
from tests.web.expect import ok, problem
from tests.web.senders import SECRET, SHOP, basic, call, made, rejected, today, webhook
from tests.web.site import Site

SUCCESS = {"success": True}


def track(site: Site, number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": site.name, "userId": "u1", "messageId": f"{site.name}_{number}"} | fields


# ── /v1/sources ──


def test_a_source_shows_its_key_once_and_where_to_send(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    assert source["key"].startswith("tl_write_")
    assert source["url"] == api.url
    assert source["key_hint"].endswith(source["key"][-4:])
    one = ok(api.get(f"/v1/sources/{source['id']}"))
    assert one == source | {"key": None}
    assert one in ok(api.get("/v1/sources"))["data"]
    hook = made(api, "shopify", site.name)
    assert hook["url"] == f"{api.url}/v1/sources/{hook['id']}/ingest"
    assert hook["key"] is None  # the caller brought it
    assert SECRET not in json.dumps(hook)


def test_a_webhook_source_without_a_secret_gets_one(api: Api, site: Site) -> None:
    source = ok(api.post("/v1/sources", {"type": "segment_webhook", "name": site.name}), 201)
    assert ok(webhook(api, source, track(site), secret=source["key"]))["status"] == "accepted"


def test_neither_key_nor_secret_is_stored_in_clear(api: Api, site: Site, server: ServerProcess) -> None:
    source = made(api, "segment", site.name)
    made(api, "shopify", site.name, secret="a-very-secret-secret")
    rows = str(server.rows("SELECT * FROM sources") + server.rows("SELECT * FROM audit_entries"))
    assert source["id"] in rows
    assert source["key"] not in rows
    assert "a-very-secret-secret" not in rows


def test_a_source_is_renamed_switched_off_and_on_and_set_otherwise(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    path = f"/v1/sources/{source['id']}"
    assert ok(api.patch(path, {"name": "other"}))["name"] == "other"
    assert ok(api.patch(path, {"settings": {"platform": "ios"}}))["settings"] == {"platform": "ios"}
    assert ok(api.patch(path, {"enabled": False}))["enabled"] is False
    problem(call(api, "/v1/track", track(site), source["key"]), 403, "source_disabled")
    assert ok(api.patch(path, {"enabled": True}))["enabled"] is True
    assert ok(call(api, "/v1/track", track(site), source["key"])) == SUCCESS
    assert ok(api.get(f"/v1/events/{site.name}_1"))["platform"] == "ios"
    audit = ok(api.get("/v1/audit", target=source["id"]))["data"]
    assert [entry["action"] for entry in reversed(audit)] == [
        "source.created",
        "source.changed",
        "source.changed",
        "source.disabled",
        "source.enabled",
    ]


def test_a_rotated_key_replaces_the_old_one_at_once(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    new = ok(api.post(f"/v1/sources/{source['id']}/rotate-key"))["key"]
    problem(call(api, "/v1/track", track(site), source["key"]), 401, "unknown_key")
    assert ok(call(api, "/v1/track", track(site), new)) == SUCCESS
    hook = made(api, "segment_webhook", site.name)
    assert ok(api.post(f"/v1/sources/{hook['id']}/rotate-key", {"secret": "another-secret"}))["key"] is None
    problem(webhook(api, hook, track(site, 2)), 401, "signature")
    assert ok(webhook(api, hook, track(site, 2), secret="another-secret"))["status"] == "accepted"


def test_a_deleted_source_takes_nothing_more(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    assert api.delete(f"/v1/sources/{source['id']}").status == 204
    problem(call(api, "/v1/track", track(site), source["key"]), 401, "unknown_key")
    problem(api.get(f"/v1/sources/{source['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    "draft, code, pointer",
    [
        ({"type": "carrier-pigeon"}, "unknown_type", "/type"),
        ({"name": " "}, "invalid_name", "/name"),
        ({"settings": {"colour": "red"}}, "unknown_field", "/settings/colour"),
        ({"settings": {"platform": ""}}, "empty", "/settings/platform"),
        ({"settings": {"secret": "12345678"}}, "unknown_field", "/settings/secret"),
        ({"type": "shopify", "settings": {"secret": "short"}}, "invalid_secret", "/settings/secret"),
        ({"type": "shopify", "settings": {"secret": 12345678}}, "invalid_secret", "/settings/secret"),
        ({"type": "shopify", "settings": {"topics": {"x/y": "z"}}}, "unknown_topic", "/settings/topics/x~1y"),
        ({"type": "shopify", "settings": {"topics": {"orders/paid": ""}}}, "empty", "/settings/topics/orders~1paid"),
    ],
)
def test_a_source_that_cannot_be_is_refused(api: Api, draft: dict[str, Any], code: str, pointer: str) -> None:
    problem(api.post("/v1/sources", {"type": "segment", "name": "n"} | draft), 422, code, pointer=pointer)


def test_a_secret_is_not_changed_by_the_way(api: Api, site: Site) -> None:
    hook = made(api, "shopify", site.name)
    answer = api.patch(f"/v1/sources/{hook['id']}", {"settings": {"secret": "other-secret"}})
    problem(answer, 422, "unknown_field", pointer="/settings/secret")
    segment = made(api, "segment", site.name)
    answer = api.post(f"/v1/sources/{segment['id']}/rotate-key", {"secret": "other-secret"})
    problem(answer, 422, "unknown_field", pointer="/secret")


def test_what_came_is_counted_by_the_day_and_outlives_the_server(tmp_path: Any) -> None:
    with ServerProcess(tmp_path / "data") as server:
        api = Api(server.url, server.key)
        source = made(api, "segment", "counted")
        batch = {"batch": [{"type": "page", "messageId": "a"}, {"type": "page", "messageId": "a"}, {"type": "dance"}]}
        ok(call(api, "/v1/batch", batch, source["key"]))
        assert today(api, source) == {"accepted": 1, "duplicate": 1, "rejected": 1}
        server.restart()
        assert today(api, source) == {"accepted": 1, "duplicate": 1, "rejected": 1}
        ok(call(api, "/v1/batch", batch, source["key"]))
        assert today(api, source) == {"accepted": 1, "duplicate": 3, "rejected": 2}


# ── the Segment protocol ──


@pytest.mark.parametrize(
    "name", ["track", "identify", "page", "screen", "group", "alias", "t", "i", "p", "s", "g", "a"]
)
def test_every_path_takes_its_call(api: Api, site: Site, name: str) -> None:
    source = made(api, "segment", site.name)
    sent = track(site) | {"groupId": "g", "previousId": "p"}
    del sent["type"]
    assert ok(call(api, f"/v1/{name}", sent, source["key"])) == SUCCESS
    assert ok(api.get(f"/v1/events/{site.name}_1"))["user_data"]["external_id"] == "u1"


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/v1/batch/"])
def test_every_path_of_a_batch_takes_one(api: Api, site: Site, path: str) -> None:
    source = made(api, "segment", site.name)
    batch = {"batch": [track(site, 1), track(site, 2)], "context": {"ip": "203.0.113.1"}}
    assert ok(call(api, path, batch, source["key"])) == SUCCESS
    for number in (1, 2):
        assert ok(api.get(f"/v1/events/{site.name}_{number}"))["context"]["ip"] == "203.0.113.1"


def test_the_key_may_stand_in_the_body_or_be_a_bearers(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    nobody = Api(api.url, None)
    assert ok(nobody.post("/v1/track", track(site, 1, writeKey=source["key"]))) == SUCCESS
    assert ok(nobody.post("/v1/track", track(site, 2), Authorization=f"Bearer {source['key']}")) == SUCCESS
    assert source["key"] not in json.dumps(ok(api.get(f"/v1/events/{site.name}_1")))


@pytest.mark.parametrize(
    "headers, code",
    [
        ({}, "no_key"),
        (basic("tl_write_wrong"), "unknown_key"),
        ({"Authorization": "Bearer tl_write_wrong"}, "unknown_key"),
        ({"Authorization": "Basic not-base64!"}, "unauthorized"),
        ({"Authorization": "Digest x"}, "unauthorized"),
        ({"Authorization": "Basic " + "OnBhc3M="}, "unauthorized"),  # no user
    ],
)
def test_a_caller_without_a_known_key_is_refused(api: Api, site: Site, headers: dict[str, str], code: str) -> None:
    answer = Api(api.url, None).call("POST", "/v1/track", track(site), headers=headers)
    body = problem(answer, 401, code)
    assert body["message"] == body["detail"]  # where the SDKs look
    problem(api.get(f"/v1/events/{site.name}_1"), 404, "not_found")


def test_an_api_key_is_no_write_key_and_a_write_key_no_api_key(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    problem(call(api, "/v1/track", track(site), api.key), 401, "unknown_key")
    problem(Api(api.url, source["key"]).post("/v1/events", site.event()), 401, "unknown_key")


def test_a_bad_call_costs_its_neighbours_nothing_and_can_be_seen(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    bad = track(site, 2, timestamp="yesterday")
    batch = {"batch": [track(site, 1), bad, {"type": "dance"}, 7, track(site, 3)], "sentAt": "2026-05-05T10:00:00Z"}
    assert ok(call(api, "/v1/batch", batch, source["key"])) == SUCCESS
    assert [api.get(f"/v1/events/{site.name}_{number}").status for number in (1, 2, 3)] == [200, 404, 200]
    seven, dance, time = rejected(api, source)
    assert (seven["code"], dance["code"], dance["pointer"]) == ("invalid_type", "unknown_type", "/type")
    assert time["pointer"] == "/occurred_at"
    assert ok(api.get(f"/v1/rejected/{time['id']}"))["payload"] == bad | {"sentAt": "2026-05-05T10:00:00Z"}


def test_half_an_emoji_costs_one_call_and_not_its_batch(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    cut = '{"type":"track","event":"Searched","properties":{"query":"caf\\ud83d"}}'
    good = f'{{"type":"page","messageId":"{site.name}"}}'
    raw = f'{{"batch":[{cut},{good}],"writeKey":"{source["key"]}"}}'.encode()
    assert ok(Api(api.url, None).call("POST", "/v1/batch", raw)) == SUCCESS
    assert ok(api.get(f"/v1/events/{site.name}"))["event_name"] == "page_view"
    (bad,) = rejected(api, source)
    assert (bad["code"], bad["pointer"]) == ("malformed", "")
    assert ok(api.get(f"/v1/rejected/{bad['id']}"))["payload"] == cut
    problem(api.post(f"/v1/rejected/{bad['id']}/reingest"), 400, "malformed", pointer="")


def test_a_batch_may_be_as_large_as_the_protocol_allows(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    large = {"batch": [{"type": "page", "messageId": f"{site.name}_{number}"} for number in range(2500)]}
    assert ok(call(api, "/v1/batch", large, source["key"])) == SUCCESS
    assert today(api, source)["accepted"] == 2500
    large["batch"].append({"type": "page"})
    problem(call(api, "/v1/batch", large, source["key"]), 413, "too_many", pointer="/batch")


def test_a_packed_body_is_unpacked(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    raw = gzip.compress(json.dumps({"batch": [track(site)]}).encode())
    headers = basic(source["key"]) | {"Content-Encoding": "gzip"}
    assert ok(Api(api.url, None).call("POST", "/v1/batch", raw, headers=headers)) == SUCCESS
    assert api.get(f"/v1/events/{site.name}_1").status == 200


def test_a_body_that_cannot_be_read_is_refused_and_kept(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    problem(call(api, "/v1/batch", b'{"batch": [', source["key"]), 400, "malformed", pointer="")
    problem(call(api, "/v1/batch", b"[]", source["key"]), 422, "invalid_type", pointer="")
    array, broken = rejected(api, source)
    assert (array["code"], broken["code"]) == ("invalid_type", "malformed")
    assert ok(api.get(f"/v1/rejected/{broken['id']}"))["payload"] == '{"batch": ['


def test_a_browser_may_call_from_any_page(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    nobody = Api(api.url, None)
    asked = nobody.call("OPTIONS", "/v1/t", headers={"Origin": "https://shop.example"})
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, "*")
    sent = nobody.post("/v1/t", track(site, writeKey=source["key"]), Origin="https://shop.example", Sec_GPC="1")
    assert sent.headers["access-control-allow-origin"] == "*"
    assert ok(api.get(f"/v1/events/{site.name}_1"))["context"]["gpc"] is True


def test_a_browser_may_send_what_rudderstacks_sdk_does(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    nobody = Api(api.url, None)
    asked = nobody.call("OPTIONS", "/v1/t", headers={"Access-Control-Request-Headers": "anonymousid,authorization"})
    allowed = asked.headers["access-control-allow-headers"].split(", ")
    assert {"anonymousid", "authorization", "content-type", "*"} <= set(allowed)
    body = json.dumps({"batch": [track(site)]}).encode()
    beacon = nobody.call(
        "POST", f"/beacon/v1/batch?writeKey={source['key']}", body, headers={"Content-Type": "text/plain"}
    )
    assert ok(beacon) == SUCCESS
    assert ok(api.get(f"/v1/events/{site.name}_1"))["user_data"]["external_id"] == "u1"
    problem(nobody.call("POST", "/beacon/v1/batch?writeKey=no", body), 401, "unknown_key")


def test_a_filter_heeds_what_a_call_chooses_of_integrations(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    site.create(filter={"event_name": [site.name], "context.extra.integrations.All": {"$ne": False}})
    for number, chosen in enumerate(({"All": False}, {"All": True}, {"Mixpanel": False}, None), start=1):
        ok(call(api, "/v1/t", track(site, number, integrations=chosen), source["key"]))
    came = ok(api.get("/v1/deliveries", event_name=site.name))["data"]
    assert {each["event_id"] for each in came} == {f"{site.name}_{number}" for number in (2, 3, 4)}


# ── signed webhooks ──


def test_a_webhook_of_segment_is_one_call(api: Api, site: Site) -> None:
    source = made(api, "segment_webhook", site.name, platform="web")
    assert ok(webhook(api, source, track(site))) == SUCCESS | {"status": "accepted"}
    assert ok(webhook(api, source, track(site))) == SUCCESS | {"status": "duplicate"}
    assert ok(api.get(f"/v1/events/{site.name}_1"))["platform"] == "web"
    assert ok(webhook(api, source, [track(site, 2)])) == SUCCESS | {"status": "rejected"}
    (batch,) = rejected(api, source)
    assert batch["code"] == "batch_not_signed"


def test_a_wrong_signature_is_refused_and_stores_nothing(api: Api, site: Site, server: ServerProcess) -> None:
    for kind, body in (("segment_webhook", track(site)), ("shopify", order(id=7001))):
        source = made(api, kind, site.name)
        before = _rows(server, source)
        problem(webhook(api, source, body, secret="another-secret", X_Shopify_Topic="orders/create"), 401, "signature")
        path = f"/v1/sources/{source['id']}/ingest"
        problem(Api(api.url, None).post(path, body), 401, "signature")
        problem(api.post(path, body), 401, "signature")  # an API key does not stand for it
        assert _rows(server, source) == before
        assert rejected(api, source) == []


def _rows(server: ServerProcess, source: dict[str, Any]) -> list[int]:
    tables = ("rejected_payloads", "webhook_ids", "source_counts")
    of_source = [f"{table} WHERE source_id = '{source['id']}'" for table in tables]
    return [server.rows(f"SELECT count(*) FROM {place}")[0][0] for place in ("events", *of_source)]


def test_an_order_and_its_refund_become_events(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    paid, back = order(id=8001), refund(id=8101, order_id=8001)
    assert ok(webhook(api, source, paid, X_Shopify_Topic="orders/create"))["status"] == "accepted"
    assert ok(webhook(api, source, back, X_Shopify_Topic="refunds/create"))["status"] == "accepted"
    purchase = api.send("GET", f"/v1/events/shopify:{SHOP}:orders.create:8001", None, _key(api))[2]
    assert b'"value":149.90' in purchase
    refunded = ok(api.get(f"/v1/events/shopify:{SHOP}:refunds.create:8101"))
    assert (refunded["event_name"], refunded["properties"]["order_id"]) == ("refund_requested", "8001")


def _key(api: Api) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.key}"}


def test_a_webhook_that_comes_again_is_ignored_also_one_that_was_rejected(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    headers = {"X_Shopify_Topic": "products/update", "X_Shopify_Webhook_Id": f"w-{site.name}"}
    assert ok(webhook(api, source, {"id": 1}, **headers))["status"] == "rejected"
    assert ok(webhook(api, source, {"id": 1}, **headers))["status"] == "duplicate"
    (kept,) = rejected(api, source)
    assert kept["code"] == "no_mapping"
    assert "no mapping for topic 'products/update'" in kept["detail"]
    assert kept["about"] == {"type": "shopify", "topic": "products/update", "shop": SHOP}
    other = made(api, "shopify", site.name)  # another source's ids are others
    assert ok(webhook(api, other, {"id": 1}, **headers))["status"] == "rejected"


def test_a_signed_body_that_cannot_be_read_is_answered_and_kept(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    answer = webhook(api, source, b"\xff{", X_Shopify_Topic="orders/create", X_Shopify_Webhook_Id="unreadable")
    assert ok(answer)["status"] == "rejected"
    (kept,) = rejected(api, source)
    assert kept["code"] == "malformed"


def test_a_source_that_is_off_refuses_what_is_signed(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    ok(api.patch(f"/v1/sources/{source['id']}", {"enabled": False}))
    problem(webhook(api, source, order(id=8201), X_Shopify_Topic="orders/create"), 403, "source_disabled")


def test_an_address_that_is_no_webhooks_is_not_found(api: Api, site: Site) -> None:
    segment = made(api, "segment", site.name)
    problem(webhook(api, segment, {}), 404, "not_found")
    problem(webhook(api, {"id": "src_0", "type": "shopify"}, {}), 404, "not_found")


# ── bad input ──

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_HOSTILE = (
    st.binary(max_size=200)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from(
        [
            b"",
            b"[" * 5_000,
            b'{"batch":[' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}",
            b'{"batch":[{"type":"track","event":"x","properties":{"value":1e999999999}}]}',
            b'{"batch":[{"type":"track","event":"x","properties":{"value":' + b"9" * 5_000 + b"}}]}",
            b'{"batch":[{"type":"track","event":"\\ud800"}]}',
            b'{"batch":[{"type":"track","event":"\\u0000","userId":"\\u0000","messageId":"\\u0000"}]}',
            b'{"batch":[{"type":"page","context":{"extra":1,"page":[],"device":1,"traits":"x"},"x":{}}]}',
            json.dumps({"batch": [{"type": "track", "event": "x" * 300_000}]}).encode(),
            b'{"batch":[{"type":"identify","traits":{"a":' + b"[" * 100 + b"]" * 100 + b"}}]}",
        ]
    )
)
_FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@_FUZZ
@given(raw=_HOSTILE, path=st.sampled_from(["/v1/batch", "/v1/track", "/v1/i", "/v1/group"]))
def test_whatever_a_known_sender_sends_is_answered_and_never_a_fault_of_ours(api: Api, raw: bytes, path: str) -> None:
    status = call(api, path, raw, _fuzzed(api, "segment")["key"]).status
    assert status in (200, 400, 413, 422)


@_FUZZ
@given(
    raw=_HOSTILE,
    kind=st.sampled_from(["segment_webhook", "shopify"]),
    topic=st.sampled_from(["orders/create", "refunds/create", "x", ""]),
)
def test_whatever_is_signed_is_taken_in_or_kept(api: Api, raw: bytes, kind: str, topic: str) -> None:
    answer = webhook(api, _fuzzed(api, kind), raw, X_Shopify_Topic=topic)
    assert ok(answer)["status"] in ("accepted", "duplicate", "rejected")


_ITEM = _JSON.map(json.dumps) | st.sampled_from(
    ['{"a":"\\ud83d"}', '"\\u12"', "9" * 5_000, "1e99999999999999999999", "[" * 3_000 + "]" * 3_000, "NaN", '{"a" 1}']
)


@_FUZZ
@given(bad=st.lists(_ITEM, max_size=5), place=st.integers(0, 5), protocol=st.sampled_from(["segment", "native"]))
def test_no_good_neighbour_is_ever_lost(api: Api, bad: list[str], place: int, protocol: str) -> None:
    source = _fuzzed(api, "segment")
    good = f"neighbour_{next(_NUMBERS)}"
    fields = {"type": "page", "messageId": good} | {"event_id": good, "event_name": "page_view"}
    listed = ",".join([*bad[:place], json.dumps(fields), *bad[place:]])
    if protocol == "segment":
        assert ok(call(api, "/v1/batch", f'{{"batch":[{listed}]}}'.encode(), source["key"])) == SUCCESS
    else:
        answer = ok(api.call("POST", "/v1/events/batch", f'{{"events":[{listed}]}}'.encode()), 202)
        assert [each["status"] for each in answer["results"] if each["id"] == good] == ["accepted"]
    assert ok(api.get(f"/v1/events/{good}"))["event_name"] == "page_view"


@_FUZZ
@given(raw=_HOSTILE, signature=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_what_is_not_signed_is_refused_whatever_it_is(api: Api, raw: bytes, signature: str) -> None:
    source = _fuzzed(api, "shopify")
    headers = {"X_Shopify_Hmac_SHA256": signature, "X_Shopify_Topic": "orders/create"}
    answer = Api(api.url, None).call("POST", f"/v1/sources/{source['id']}/ingest", raw, headers=headers)
    problem(answer, 401, "signature")


_SOURCES: dict[tuple[str, str], dict[str, Any]] = {}
_NUMBERS = iter(range(1_000_000))


def _fuzzed(api: Api, kind: str) -> dict[str, Any]:
    """One source for all that is fuzzed."""
    key = (api.url, kind)
    if key not in _SOURCES:
        _SOURCES[key] = made(api, kind, f"fuzz {kind}")
    return _SOURCES[key]
