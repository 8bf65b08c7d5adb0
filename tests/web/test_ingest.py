"""`POST /v1/events` and `/v1/events/batch` over real sockets."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness import Answer, Api
from tests.web.expect import ok, problem
from tests.web.site import Site

MIB = 1024 * 1024
KIB = 1024


def post(api: Api, path: str, body: bytes, **headers: str) -> Answer:
    return api.call("POST", path, body, headers=headers)


def test_an_event_is_accepted_and_can_be_read_at_once(api: Api, site: Site) -> None:
    sent = {
        "event_id": f"{site.name}_1",
        "event_name": site.name,
        "occurred_at": "2026-05-05T10:30:00Z",
        "platform": "shopify",
        "segment": ["vip_customers"],
        "user_data": {"external_id": f"{site.name}_user"},  # whom no list and no profile of another test knows
        "properties": {"order_id": "100045", "value": 149.99, "items": []},
        "consent": {"ad_storage": "granted"},
    }
    answer = ok(api.post("/v1/events", sent))
    assert answer.keys() == {"id", "received_at", "dedup_status"}
    assert (answer["id"], answer["dedup_status"]) == (sent["event_id"], "accepted")

    stored = ok(api.get(f"/v1/events/{answer['id']}"))
    assert {name: stored[name] for name in sent if name != "user_data"} == {
        name: value for name, value in sent.items() if name != "user_data"
    }
    assert stored["user_data"]["external_id"] == f"{site.name}_user"
    assert stored["received_at"] == answer["received_at"]


def test_an_event_without_an_id_gets_a_uuid_of_version_7(api: Api, site: Site) -> None:
    event_id = ok(api.post("/v1/events", site.event()))["id"]
    assert event_id[14] == "7"
    assert len(event_id) == 36


def test_aliases_are_taken_and_unknown_fields_are_kept(api: Api, site: Site) -> None:
    body = site.event(
        event_time=1_777_977_000,
        user_id=f"{site.name}_user",
        anonymous_id=f"{site.name}_visitor",
        custom_data={"value": 1},
        segment="vip_customers",
        cart_token="abc",
    )
    stored = ok(api.get(f"/v1/events/{ok(api.post('/v1/events', body))['id']}"))
    assert stored["occurred_at"] == "2026-05-05T10:30:00Z"
    ids = (stored["user_data"]["external_id"], stored["user_data"]["anonymous_id"])
    assert ids == (f"{site.name}_user", f"{site.name}_visitor")
    assert stored["properties"] == {"value": 1}
    assert stored["segment"] == ["vip_customers"]
    assert stored["context"]["extra"] == {"cart_token": "abc"}


def test_numbers_stay_digit_for_digit(api: Api, site: Site) -> None:
    site.create()
    raw = b'{"event_name": "%s", "properties": {"value": 149.90, "big": 12345678901234567890123}}' % site.name.encode()
    event_id = ok(post(api, "/v1/events", raw))["id"]
    site.settled(event_id, "delivered")
    assert b'"value":149.90,"big":12345678901234567890123' in site.requests[0].body


def test_the_same_id_again_is_a_duplicate_and_makes_no_new_delivery(api: Api, site: Site) -> None:
    site.create()
    first = ok(api.post("/v1/events", site.event(event_id=f"{site.name}_same")))
    again = ok(api.post("/v1/events", site.event(event_id=f"{site.name}_same", properties={"other": True})))
    assert first["dedup_status"] == "accepted"
    assert again == {"id": first["id"], "received_at": first["received_at"], "dedup_status": "duplicate"}
    site.settled(first["id"], "delivered")
    assert len(site.requests) == 1
    assert ok(api.get(f"/v1/events/{first['id']}"))["properties"] == {}


def test_a_batch_answers_item_by_item_and_a_bad_item_does_not_spoil_the_good_ones(api: Api, site: Site) -> None:
    site.create()
    ids = [f"{site.name}_{number}" for number in range(3)]
    events: list[Any] = [
        site.event(event_id=ids[0]),
        {"event_id": "nameless"},
        site.event(event_id=ids[1]),
        "no event",
        site.event(event_id=ids[0]),
        site.event(event_id=ids[2], occurred_at="yesterday"),
    ]
    answer = ok(api.post("/v1/events/batch", {"events": events}), 202)
    assert answer.keys() == {"batch_id", "accepted", "duplicates", "rejected", "results"}
    assert answer["batch_id"].startswith("bat_")
    assert (answer["accepted"], answer["duplicates"], answer["rejected"]) == (2, 1, 3)
    results = answer["results"]
    assert [each["status"] for each in results] == [
        "accepted",
        "rejected",
        "accepted",
        "rejected",
        "duplicate",
        "rejected",
    ]
    assert [each["id"] for each in results] == [ids[0], "nameless", ids[1], None, ids[0], ids[2]]
    assert [each["error"]["pointer"] for each in results if "error" in each] == [
        "/events/1/event_name",
        "/events/3",
        "/events/5/occurred_at",
    ]
    assert all(each["error"]["code"] and each["error"]["detail"] for each in results if "error" in each)
    for event_id in ids[:2]:
        site.settled(event_id, "delivered")
    assert len(site.requests) == 2


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch"])
def test_of_a_key_that_stands_twice_in_an_event_the_last_one_counts(api: Api, site: Site, path: str) -> None:
    event = f'{{"event_id": "{site.name}", "event_name": "first", "event_name": "{site.name}"}}'
    is_batch = path.endswith("batch")
    ok(post(api, path, f'{{"events": [{event}]}}'.encode() if is_batch else event.encode()), 202 if is_batch else 200)
    assert ok(api.get(f"/v1/events/{site.name}"))["event_name"] == site.name


def test_an_empty_batch_is_answered(api: Api) -> None:
    answer = ok(api.post("/v1/events/batch", {"events": []}), 202)
    assert (answer["accepted"], answer["results"]) == (0, [])


def test_500_events_are_a_batch_and_501_are_not(api: Api) -> None:
    events = [{"event_name": "many"}] * 500
    assert ok(api.post("/v1/events/batch", {"events": events}), 202)["accepted"] == 500
    refused = api.post("/v1/events/batch", {"events": [*events, {"event_name": "many"}]})
    problem(refused, 413, "too_many", pointer="/events", says="501")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch"])
def test_gzip_is_unpacked(api: Api, path: str) -> None:
    event = {"event_name": "packed"}
    body = {"events": [event]} if path.endswith("batch") else event
    raw = json.dumps(body).encode()
    for packed in (gzip.compress(raw), gzip.compress(raw[:5]) + gzip.compress(raw[5:])):
        answer = post(api, path, packed, Content_Encoding="gzip")
        assert answer.status in (200, 202), answer.body


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/destinations"])
@pytest.mark.parametrize(
    "encoding, body, status, code",
    [
        ("br", b"{}", 400, "unsupported_encoding"),
        ("gzip, gzip", b"{}", 400, "unsupported_encoding"),
        ("gzip", b"not gzip at all", 400, "malformed"),
        ("gzip", gzip.compress(b'{"event_name": "cut"}')[:-6], 400, "malformed"),
        ("gzip", gzip.compress(b'{"event_name": "tail"}') + b"tail", 400, "malformed"),
        ("gzip", gzip.compress(bytes(50 * MIB)), 413, "request_too_large"),
        ("gzip", gzip.compress(b"") * 65, 400, "malformed"),
        ("gzip", b"", 400, "malformed"),
    ],
    ids=["unknown", "twice", "no gzip", "cut", "tail", "bomb", "members", "empty"],
)
def test_a_body_that_cannot_be_unpacked_is_refused(
    api: Api, path: str, encoding: str, body: bytes, status: int, code: str
) -> None:
    problem(post(api, path, body, Content_Encoding=encoding), status, code)


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/destinations"])
def test_a_request_over_1_mib_is_refused(api: Api, path: str) -> None:
    problem(post(api, path, b" " * (MIB + 1)), 413, "request_too_large", says=str(MIB))
    answer = post(api, path, b" " * MIB)
    assert answer.body["code"] != "request_too_large"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch", "/v1/destinations"])
def test_a_request_over_1_mib_is_refused_although_it_does_not_say_how_long_it_is(api: Api, path: str) -> None:
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    chunks = (b" " * 64 * KIB for _ in range(17))
    connection.request("POST", path, chunks, {"Authorization": f"Bearer {api.key}"}, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "request_too_large")
    connection.close()


def test_an_event_over_256_kib_is_refused_alone_and_in_a_batch(api: Api, site: Site) -> None:
    large = site.event(event_id=f"{site.name}_large", properties={"text": "x" * 256 * KIB})
    problem(api.post("/v1/events", large), 413, "too_large", pointer="", says="262144")
    answer = ok(api.post("/v1/events/batch", {"events": [site.event(), large]}), 202)
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert answer["results"][1]["error"]["code"] == "too_large"
    assert answer["results"][1]["error"]["pointer"] == "/events/1"
    problem(api.get(f"/v1/events/{site.name}_large"), 404, "not_found")


@pytest.mark.parametrize(
    "body, status, code, pointer",
    [
        (b"", 400, "malformed", ""),
        (b"{", 400, "malformed", ""),
        (b"nonsense", 400, "malformed", ""),
        (b"\xff\xfe", 400, "malformed", ""),
        (b'{"event_name": "\xc3\x28"}', 400, "malformed", ""),
        (b'{"event_name": "\\ud800"}', 400, "malformed", ""),
        (b'{"event_name": NaN}', 400, "malformed", ""),
        (b"[" * 100_000, 400, "malformed", ""),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400, "malformed", ""),
        (b"[]", 422, "invalid_type", ""),
        (b"null", 422, "invalid_type", ""),
        (b"{}", 422, "required", "/event_name"),
        (b'{"event_name": 1}', 422, "invalid_type", "/event_name"),
        (b'{"event_name": ""}', 422, "empty", "/event_name"),
        (b'{"event_name": "a", "user_data": []}', 422, "invalid_type", "/user_data"),
        (b'{"event_name": "a", "segment": [1]}', 422, "invalid_type", "/segment/0"),
        (b'{"event_name": "a", "occurred_at": "soon"}', 422, "invalid_time", "/occurred_at"),
        (b'{"event_name": "a", "event_time": 1e400}', 422, "invalid_time", "/event_time"),
        (b'{"event_name": "a\\u0000"}', 422, "control_character", "/event_name"),
    ],
)
def test_what_is_no_event_is_refused_and_the_place_is_named(
    api: Api, body: bytes, status: int, code: str, pointer: str
) -> None:
    problem(post(api, "/v1/events", body), status, code, pointer=pointer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"event_name": "deep", "properties": %s}' % (b'{"a":' * 400 + b"1" + b"}" * 400),
        b'{"event_name": "deep", "properties": %s}' % (b'{"a":' * 900 + b"1" + b"}" * 900),
        b'{"event_name": "long", "properties": {"value": %s}}' % (b"9" * 5000),
        b'{"event_name": "huge", "properties": {"value": 1e999999999}}',
        b'{"event_name": "tiny", "properties": {"value": 1e-99999999999999999999}}',
        b'{"event_name": "keys", "properties": {"": {"a.b": {"\\u0000": null}}}}',
    ],
    ids=["deep", "deeper", "long number", "huge number", "tiny number", "odd keys"],
)
def test_extreme_values_are_taken_or_refused_and_never_a_fault(api: Api, body: bytes) -> None:
    answer = post(api, "/v1/events", body)
    assert answer.status in (200, 400, 422), answer.body


@pytest.mark.parametrize(
    "body, status, code, pointer",
    [
        ([], 422, "invalid_type", ""),
        ({}, 422, "required", "/events"),
        ({"events": {}}, 422, "invalid_type", "/events"),
        ({"events": [], "sent_at": 1}, 422, "unknown_field", "/sent_at"),
        ({"events": [], "a/b~c": 1}, 422, "unknown_field", "/a~1b~0c"),
    ],
)
def test_what_is_no_batch_is_refused_whole(api: Api, body: Any, status: int, code: str, pointer: str) -> None:
    problem(api.post("/v1/events/batch", body), status, code, pointer=pointer)


def test_the_content_type_does_not_matter(api: Api) -> None:
    ok(post(api, "/v1/events", b'{"event_name": "typed"}', Content_Type="text/plain"))
    ok(post(api, "/v1/events/", b'{"event_name": "slash"}'))


def test_a_caller_who_goes_away_in_the_middle_of_a_body_harms_nobody(api: Api) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as caller:
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\nContent-Length: 100\r\n\r\n"
        caller.sendall(head.encode() + b'{"event_name": ')
    ok(api.post("/v1/events", {"event_name": "next"}))
