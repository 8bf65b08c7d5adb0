"""`/v1/rejected` over real sockets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.harness import Api, ServerProcess
from tests.sources.shopify_samples import order
from tests.web.expect import ok, problem
from tests.web.senders import SHOP, call, made, rejected, today, webhook
from tests.web.site import Site


def refused_order(api: Api, source: dict[str, Any], number: int) -> dict[str, Any]:
    """An order with a topic that the source does not map; what is kept of it."""
    answer = webhook(api, source, order(id=number), X_Shopify_Topic="orders/paid")
    assert ok(answer)["status"] == "rejected"
    return rejected(api, source)[0]


def mend(api: Api, source: dict[str, Any], name: str) -> None:
    ok(api.patch(f"/v1/sources/{source['id']}", {"settings": {"topics": {"orders/paid": name}}}))


def test_a_payload_is_taken_in_after_a_fix_and_delivered_like_any_event(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    site.create()
    kept = refused_order(api, source, 9001)
    answer = api.post(f"/v1/rejected/{kept['id']}/reingest")
    problem(answer, 422, "no_mapping")
    mend(api, source, site.name)
    made_event = ok(api.post(f"/v1/rejected/{kept['id']}/reingest"))
    assert made_event["dedup_status"] == "accepted"
    assert made_event["event_id"].startswith(f"shopify:{SHOP}:orders.paid:9001")
    site.settled(made_event["event_id"], "delivered")
    problem(api.get(f"/v1/rejected/{kept['id']}"), 404, "not_found")
    assert rejected(api, source) == []
    assert today(api, source) == {"accepted": 1, "duplicate": 0, "rejected": 1}


def test_it_becomes_one_event_however_often_and_by_whomever_it_is_asked_for(api: Api, site: Site) -> None:
    hook = made(api, "shopify", site.name)
    kept = refused_order(api, hook, 9101)
    mend(api, hook, site.name)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.post(f"/v1/rejected/{kept['id']}/reingest"), range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [404] * 7
    assert today(api, hook)["accepted"] == 1


def test_what_is_still_wrong_replaces_the_reason(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    webhook(
        api, source, order(id=9201, line_items="x", created_at="soon", updated_at="soon"), X_Shopify_Topic="orders/paid"
    )
    (kept,) = rejected(api, source)
    assert kept["code"] == "no_mapping"
    mend(api, source, site.name)
    answer = problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 422, "invalid_time", pointer="/occurred_at")
    (again,) = rejected(api, source)
    assert (again["code"], again["detail"]) == ("invalid_time", answer["detail"])


def test_a_bad_item_of_a_native_batch_is_kept_too(api: Api, site: Site) -> None:
    bad = {"event_id": site.name, "properties": {"value": 1.10}}
    ok(api.post("/v1/events/batch", {"events": [site.event(event_id=f"{site.name}_1"), bad]}), 202)
    kept = ok(api.get("/v1/rejected"))["data"][0]
    assert (kept["source_id"], kept["about"]) == (None, {"type": "native"})
    assert (kept["code"], kept["pointer"]) == ("required", "/event_name")
    assert ok(api.get(f"/v1/rejected/{kept['id']}"))["payload"] == bad
    problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 422, "required", pointer="/event_name")


def test_a_single_native_event_that_is_refused_is_kept_too(api: Api, site: Site) -> None:
    bad = {"event_id": site.name, "event_name": site.name, "occurred_at": "soon"}
    problem(api.post("/v1/events", bad), 422, "invalid_time", pointer="/occurred_at")
    kept = ok(api.get("/v1/rejected"))["data"][0]
    assert (kept["source_id"], kept["about"], kept["code"]) == (None, {"type": "native"}, "invalid_time")
    assert ok(api.get(f"/v1/rejected/{kept['id']}"))["payload"] == bad
    problem(api.call("POST", "/v1/events", b'{"cut'), 400, "malformed", pointer="")
    (cut, *_) = ok(api.get("/v1/rejected"))["data"]
    assert ok(api.get(f"/v1/rejected/{cut['id']}"))["payload"] == '{"cut'


def test_of_a_caller_without_a_key_nothing_is_kept(api: Api) -> None:
    before = ok(api.get("/v1/rejected", limit=1))
    problem(Api(api.url, "tl_live_unknown").post("/v1/events", {"bad": True}), 401, "unknown_key")
    assert ok(api.get("/v1/rejected", limit=1)) == before


def test_it_can_be_let_go(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    ok(call(api, "/v1/track", {}, source["key"]))
    (kept,) = rejected(api, source)
    assert api.delete(f"/v1/rejected/{kept['id']}").status == 204
    assert rejected(api, source) == []
    problem(api.delete(f"/v1/rejected/{kept['id']}"), 404, "not_found")
    problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 404, "not_found")
    (entry, *_) = ok(api.get("/v1/audit", target=kept["id"]))["data"]
    assert entry["action"] == "rejected.discarded"


def test_the_list_is_paged_newest_first_and_holds_no_payloads(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    ok(call(api, "/v1/batch", {"batch": list(range(5))}, source["key"]))
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(api.get("/v1/rejected", source_id=source["id"], limit=2, **cursor))
        ids += [each["id"] for each in page["data"]]
        assert all("payload" not in each for each in page["data"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(ids) == 5
    assert ids == sorted(ids, reverse=True)


def test_what_makes_too_large_an_event_is_kept_whole(api: Api, site: Site) -> None:
    source = made(api, "segment", site.name)
    ok(call(api, "/v1/track", {"event": "x", "properties": {"text": "x" * 300_000}}, source["key"]))
    (kept,) = rejected(api, source)
    assert kept["code"] == "too_large"
    assert "withheld" not in kept["about"]
    assert ok(api.get(f"/v1/rejected/{kept['id']}"))["payload"]["properties"] == {"text": "x" * 300_000}
    problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 413, "too_large", pointer="")


def test_an_order_is_as_large_as_the_event_that_it_makes(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    line = order()["line_items"][0] | {"price_set": "x" * 2_000}  # as Shopify says every amount in two currencies
    large = order(id=9401, line_items=[line] * 400)
    assert ok(webhook(api, source, large, X_Shopify_Topic="orders/create"))["status"] == "accepted"
    event = ok(api.get(f"/v1/events/shopify:{SHOP}:orders.create:{large['id']}"))
    assert len(event["properties"]["items"]) == 400


def test_a_large_order_is_taken_in_once_its_topic_is_mapped(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    large = order(id=9402, note_attributes="x" * 900_000)
    assert ok(webhook(api, source, large, X_Shopify_Topic="orders/paid"))["status"] == "rejected"
    ok(api.patch(f"/v1/sources/{source['id']}", {"settings": {"topics": {"orders/paid": "purchase"}}}))
    (kept,) = rejected(api, source)
    assert ok(api.post(f"/v1/rejected/{kept['id']}/reingest"))["dedup_status"] == "accepted"


def test_a_webhook_over_the_limit_of_a_request_is_refused_so_that_its_sender_knows(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    large = order(note_attributes="x" * 1_100_000)
    problem(webhook(api, source, large, X_Shopify_Topic="orders/create"), 413, "request_too_large")


def test_a_deleted_sources_payload_is_still_taken_in(api: Api, site: Site) -> None:
    source = made(api, "shopify", site.name)
    answer = webhook(api, source, order(id=9301, created_at="soon"), X_Shopify_Topic="orders/create")
    assert ok(answer)["status"] == "rejected"
    (kept,) = rejected(api, source)
    assert api.delete(f"/v1/sources/{source['id']}").status == 204
    problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 422, "invalid_time", pointer="/occurred_at")


def test_where_nothing_personal_may_be_stored_the_payload_is_not_kept(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        api = Api(server.url, server.key)
        rules = ok(api.get("/v1/workspace"))["rules"]
        ok(api.put("/v1/workspace", {"rules": rules | {"drop_pii": True}}))
        source = made(api, "segment", "private")
        ok(call(api, "/v1/identify", {"traits": "jane@example.com"}, source["key"]))
        (kept,) = rejected(api, source)
        assert "drop_pii" in kept["about"]["withheld"]
        assert ok(api.get(f"/v1/rejected/{kept['id']}"))["payload"] == ""
        problem(api.post(f"/v1/rejected/{kept['id']}/reingest"), 409, "not_kept_whole")
        ok(call(api, "/v1/batch", {"batch": [{"type": "jane@example.com"}]}, source["key"]))
        (kept, _) = rejected(api, source)
        assert kept["detail"].startswith("the value is not shown: expected one of track, page")
        wrong = {"event_name": "x", "occurred_at": "jane@example.com"}
        problem(api.post("/v1/events", wrong), 422, "invalid_time", pointer="/occurred_at", says="jane")  # the sender's
        (kept, *_) = ok(api.get("/v1/rejected"))["data"]
        assert (kept["code"], kept["pointer"]) == ("invalid_time", "/occurred_at")
        assert kept["detail"].startswith("the value is not shown: expected RFC 3339")
        assert b"jane@example.com" not in server.database_file.read_bytes()
