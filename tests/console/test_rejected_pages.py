"""`/rejected` over plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from itertools import count
from typing import Any

import pytest

from tests.console.client import Console
from tests.harness import Api
from tests.web.expect import ok

_numbers = count(1)
TAGS = '<script>alert("x")</script>'


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"rejected_{next(_numbers)}"


def made(api: Api, kind: str, name: str) -> dict[str, Any]:
    settings = {} if kind == "segment" else {"secret": "a-shared-secret"}
    return dict(ok(api.post("/v1/sources", {"type": kind, "name": name, "settings": settings}), 201))


def refused_call(api: Api, source: dict[str, Any], **call: Any) -> str:
    """A call that makes no event; the id of what is kept of it."""
    ok(Api(api.url, None).call("POST", "/v1/track", {"writeKey": source["key"], **call}))
    return newest(api, source)


def refused_order(api: Api, source: dict[str, Any], number: int) -> str:
    """An order with a topic that the source does not map; the id of what is kept of it."""
    raw = json.dumps({"id": number, "created_at": "2026-05-05T10:00:00Z", "currency": "EUR"}).encode()
    signature = base64.b64encode(hmac.new(b"a-shared-secret", raw, hashlib.sha256).digest()).decode()
    headers = {
        "X-Shopify-Hmac-SHA256": signature,
        "X-Shopify-Shop-Domain": "mugs.myshopify.com",
        "X-Shopify-Topic": "orders/paid",
    }
    ok(Api(api.url, None).call("POST", f"/v1/sources/{source['id']}/ingest", raw, headers=headers))
    return newest(api, source)


def newest(api: Api, source: dict[str, Any]) -> str:
    return str(ok(api.get("/v1/rejected", source_id=source["id"]))["data"][0]["id"])


def test_rejected_payloads_are_for_who_is_signed_in(console_url: str) -> None:
    stranger = Console(console_url)
    assert stranger.get("/rejected").status == 303
    assert stranger.get("/rejected/rej_1").status == 303


def test_the_list_says_why_where_and_who_and_leads_to_the_drawer(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    kept = refused_call(console_api, source, properties={"price": 5})
    page = console.get("/rejected", source_id=source["id"])
    assert page.status == 200
    row = page.text[page.text.index("<tbody>") :]
    link, origin = f'href="/rejected/{kept}" data-drawer', f"/settings/sources/{source['id']}"
    for piece in (link, ">required<", ">/event<", origin):
        assert piece in row
    assert 'aria-current="page"' in page.text.split('href="/settings/sources"')[1].partition(">")[0]  # of the rail
    drawer = console.drawer(f"/rejected/{kept}")
    assert "<html" not in drawer.text
    assert "Take in again" in drawer.words


def test_a_list_of_one_source_holds_nothing_of_another(console: Console, console_api: Api, name: str) -> None:
    mine, other = made(console_api, "segment", name), made(console_api, "segment", f"{name}_other")
    kept, not_mine = refused_call(console_api, mine), refused_call(console_api, other)
    both = console.get("/rejected").text
    assert kept in both
    assert not_mine in both
    only = console.get("/rejected", source_id=mine["id"]).text
    assert kept in only
    assert not_mine not in only


def test_the_payload_stands_there_as_it_came(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    kept = refused_call(console_api, source, properties={"price": 5, "text": TAGS})
    page = console.get(f"/rejected/{kept}")
    assert json.loads(page.code("rejected-payload"))["properties"] == {"price": 5, "text": TAGS}
    assert TAGS not in page.text
    assert source["key"] not in page.text  # a key is shown once
    assert "writeKey" not in console_api.get(f"/v1/rejected/{kept}").body["payload"]


def test_a_body_that_is_no_json_is_shown_too(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    key = base64.b64encode(f"{source['key']}:".encode()).decode()
    Api(console_api.url, None).call("POST", "/v1/track", b'{"a": \xff', headers={"Authorization": f"Basic {key}"})
    page = console.get(f"/rejected/{newest(console_api, source)}")
    assert page.code("rejected-payload") == '{"a": \\xff'


def test_after_a_fix_it_is_taken_in_and_its_event_shown(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "shopify", name)
    kept = refused_order(console_api, source, 7001)
    refused = console.post(f"/rejected/{kept}/reingest")
    assert refused.status == 422
    assert "Still no event" in refused.words
    assert "no mapping for topic" in refused.words.lower()
    ok(console_api.patch(f"/v1/sources/{source['id']}", {"settings": {"topics": {"orders/paid": name}}}))
    taken = console.post(f"/rejected/{kept}/reingest")
    assert taken.status == 303
    event = console.follow(taken)
    assert event.status == 200
    assert taken.location.endswith("7001")
    assert name in event.words
    assert console.get(f"/rejected/{kept}").status == 404
    assert console.post(f"/rejected/{kept}/reingest").status == 404


def test_it_is_let_go(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    kept = refused_call(console_api, source)
    assert console.post(f"/rejected/{kept}/discard").location == "/rejected"
    page = console.get("/rejected", source_id=source["id"])
    assert "Nothing rejected here" in page.words
    assert console.post(f"/rejected/{kept}/discard").status == 404


def test_what_is_not_kept_whole_says_so_and_offers_no_second_try(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    batch = {"context": {"text": "x" * 900_000}, "batch": [{"type": "dance"}] * 20}  # each call has the context
    ok(Api(console_api.url, None).call("POST", "/v1/batch", batch | {"writeKey": source["key"]}))
    kept = newest(console_api, source)
    page = console.get(f"/rejected/{kept}")
    assert "It cannot be taken in again: it is nested too deeply to be kept, or more than 16777216 bytes" in page.words
    assert f"/rejected/{kept}/reingest" not in page.text
    assert console.post(f"/rejected/{kept}/reingest").status == 409


def test_what_a_deleted_source_sent_stays(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    kept = refused_call(console_api, source)
    assert console_api.delete(f"/v1/sources/{source['id']}").status == 204
    assert "a deleted source" in console.get("/rejected", source_id=source["id"]).words
    assert "a deleted source" in console.get(f"/rejected/{kept}").words


def test_many_are_paged(console: Console, console_api: Api, name: str) -> None:
    source = made(console_api, "segment", name)
    ok(Api(console_api.url, None).call("POST", "/v1/batch", {"writeKey": source["key"], "batch": list(range(60))}))
    page = console.get("/rejected", source_id=source["id"])
    assert page.text.count("data-drawer>") == 50
    older = page.text.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    rest = console.get(older)
    assert rest.text.count("data-drawer>") == 10
    assert "Newest" in rest.words


@pytest.mark.parametrize("path", ["/rejected?before=x%00", "/rejected?source_id=%22%3E", "/rejected/rej_none"])
def test_what_is_not_there_is_said(console: Console, path: str) -> None:
    assert console.get(path).status == 404
