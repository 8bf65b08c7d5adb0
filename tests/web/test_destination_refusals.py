"""Every destination that could not work is refused when it is saved, and the place is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Api, ServerProcess
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.model.event import encode_json

URL = "https://hooks.example.com/x"


def transport(**fields: Any) -> dict[str, Any]:
    return {"transport": {"url": URL} | fields}


def nested_filter(depth: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"platform": "web"}
    for _ in range(depth):
        spec = {"$not": spec}
    return spec


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    # types and unknown fields, at any depth
    ({"name": 1}, "wrong_type", "/name"),
    ({"name": ""}, "invalid_name", "/name"),
    ({"name": "x" * 201}, "invalid_name", "/name"),
    ({"name": None}, "wrong_type", "/name"),
    ({"type": "ftp"}, "wrong_type", "/type"),
    ({"status": "deleted"}, "wrong_type", "/status"),
    ({"transport": "https://x"}, "wrong_type", "/transport"),
    ({"transport": {}}, "missing_field", "/transport/url"),
    ({"wat": 1}, "unknown_field", "/wat"),
    ({"wat/a~b": 1}, "unknown_field", "/wat~1a~0b"),
    (transport(wat=1), "unknown_field", "/transport/wat"),
    ({"retry": {"retries": 1}}, "unknown_field", "/retry/retries"),
    ({"rate_limit": {"per_second": 1}}, "unknown_field", "/rate_limit/per_second"),
    ({"consent": {"require": []}}, "unknown_field", "/consent/require"),
    ({"success": {"body": "1"}}, "unknown_field", "/success/body"),
    ({"signing": {"key": "x"}}, "unknown_field", "/signing/key"),
    ({"consent": {"requires": ["a", 1]}}, "wrong_type", "/consent/requires/1"),
    ({"template": {}}, "wrong_type", "/template"),
    ({"filter": []}, "wrong_type", "/filter"),
    # where to send
    (transport(url=""), "invalid_url", "/transport/url"),
    (transport(url="hooks.example.com"), "invalid_url", "/transport/url"),
    (transport(url="ftp://example.com/x"), "invalid_url", "/transport/url"),
    (transport(url="https://{{properties.host}}/x"), "invalid_url", "/transport/url"),
    (transport(url="https://a{{x}}.example.com/"), "invalid_url", "/transport/url"),
    (transport(url="{{secrets.url}}"), "invalid_url", "/transport/url"),
    (transport(url="https://user:pass@example.com/"), "invalid_url", "/transport/url"),
    (transport(url="https://user@example.com"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com:99999/"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com:port/"), "invalid_url", "/transport/url"),
    (transport(url="https://exa mple.com/"), "invalid_url", "/transport/url"),
    (transport(url="https:///path"), "invalid_url", "/transport/url"),
    (transport(url="https://[::1/"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com\\@evil.com/"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com/\r\nX: 1"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com/#part"), "invalid_url", "/transport/url"),
    (transport(url="https://example.com/{{#if}}"), "invalid_template", "/transport/url"),
    (transport(method="TRACE"), "wrong_type", "/transport/method"),
    (transport(method="post"), "wrong_type", "/transport/method"),
    # headers
    (transport(headers={"X-TrackLayer-Event-Id": "1"}), "reserved_header", "/transport/headers/X-TrackLayer-Event-Id"),
    (transport(headers={"x-tracklayer-own": "1"}), "reserved_header", "/transport/headers/x-tracklayer-own"),
    (transport(headers={"Idempotency-Key": "1"}), "reserved_header", "/transport/headers/Idempotency-Key"),
    (transport(headers={"host": "a"}), "reserved_header", "/transport/headers/host"),
    (transport(headers={"Content-Length": "1"}), "reserved_header", "/transport/headers/Content-Length"),
    (transport(headers={"Transfer-Encoding": "x"}), "reserved_header", "/transport/headers/Transfer-Encoding"),
    (transport(headers={"Connection": "close"}), "reserved_header", "/transport/headers/Connection"),
    (transport(headers={"webhook-id": "1"}), "reserved_header", "/transport/headers/webhook-id"),
    (transport(headers={"X-A": "1", "x-a": "2"}), "invalid_header", "/transport/headers/x-a"),
    (transport(headers={"": "1"}), "invalid_header", "/transport/headers/"),
    (transport(headers={"X A": "1"}), "invalid_header", "/transport/headers/X A"),
    (transport(headers={"X/A": "1"}), "invalid_header", "/transport/headers/X~1A"),
    (transport(headers={"X-A\r\nX-B": "1"}), "invalid_header", "/transport/headers/X-A\r\nX-B"),
    (transport(headers={"X-A": "1\r\nX-B: 2"}), "invalid_header", "/transport/headers/X-A"),
    (transport(headers={"X-A": "a\u0000b"}), "invalid_header", "/transport/headers/X-A"),
    (transport(headers={"X-A": "snow ☃"}), "invalid_header", "/transport/headers/X-A"),
    (transport(headers={"X-A": "{{event_name"}), "invalid_template", "/transport/headers/X-A"),
    (transport(headers={"X-A": 1}), "wrong_type", "/transport/headers/X-A"),
    # durations
    (transport(timeout="10"), "invalid_duration", "/transport/timeout"),
    (transport(timeout="soon"), "invalid_duration", "/transport/timeout"),
    (transport(timeout="2s 10s"), "invalid_duration", "/transport/timeout"),
    (transport(timeout="0s"), "invalid_duration", "/transport/timeout"),
    (transport(timeout="6m"), "invalid_duration", "/transport/timeout"),
    (transport(timeout=-1), "invalid_duration", "/transport/timeout"),
    (transport(timeout=10**400), "invalid_duration", "/transport/timeout"),
    (transport(timeout=True), "wrong_type", "/transport/timeout"),
    (transport(connect_timeout="1y"), "invalid_duration", "/transport/connect_timeout"),
    (transport(read_timeout="-1s"), "invalid_duration", "/transport/read_timeout"),
    # retries
    ({"retry": {"attempts": -1}}, "invalid_retry", "/retry/attempts"),
    ({"retry": {"attempts": 101}}, "invalid_retry", "/retry/attempts"),
    ({"retry": {"attempts": 10**30}}, "invalid_retry", "/retry/attempts"),
    ({"retry": {"attempts": 1.5}}, "wrong_type", "/retry/attempts"),
    ({"retry": {"backoff": ""}}, "invalid_retry", "/retry/backoff"),
    ({"retry": {"backoff": []}}, "invalid_retry", "/retry/backoff"),
    ({"retry": {"backoff": "2s, never"}}, "invalid_retry", "/retry/backoff"),
    ({"retry": {"backoff": "2s 10s"}}, "invalid_retry", "/retry/backoff"),
    ({"retry": {"backoff": ["2s", "30s 1m"]}}, "invalid_duration", "/retry/backoff/1"),
    ({"retry": {"backoff": ["2s", "never"]}}, "invalid_duration", "/retry/backoff/1"),
    ({"retry": {"backoff": ["40d"]}}, "invalid_duration", "/retry/backoff/0"),
    ({"retry": {"backoff": "20d"}}, "invalid_retry", "/retry/backoff"),
    ({"retry": {"jitter": 2}}, "invalid_retry", "/retry/jitter"),
    ({"retry": {"jitter": -0.1}}, "invalid_retry", "/retry/jitter"),
    ({"retry": {"statuses": {"6xx": "retry"}}}, "invalid_retry", "/retry/statuses/6xx"),
    ({"retry": {"statuses": {"429": "maybe"}}}, "wrong_type", "/retry/statuses/429"),
    ({"success": {"body_contains": ""}}, "invalid_success", "/success/body_contains"),
    ({"success": {"json": {}}}, "invalid_success", "/success/json"),
    ({"success": {"json": {"a..b": 1}}}, "invalid_success", "/success/json/a..b"),
    # the rate
    ({"rate_limit": {"events_per_second": 0}}, "invalid_rate_limit", "/rate_limit/events_per_second"),
    ({"rate_limit": {"events_per_second": -1}}, "invalid_rate_limit", "/rate_limit/events_per_second"),
    ({"rate_limit": {"events_per_second": 10**400}}, "invalid_rate_limit", "/rate_limit/events_per_second"),
    ({"rate_limit": {"profile": "fast"}}, "wrong_type", "/rate_limit/profile"),
    # signing
    ({"signing": {}}, "missing_field", "/signing/secret"),
    ({"signing": {"secret": ""}}, "invalid_secret", "/signing/secret"),
    ({"signing": {"secret": "two\nlines"}}, "invalid_secret", "/signing/secret"),
    ({"signing": {"secret": "short", "scheme": "standard-webhooks"}}, "invalid_secret", "/signing/secret"),
    ({"signing": {"secret": "abc", "scheme": "rot13"}}, "wrong_type", "/signing/scheme"),
    # the filter
    ({"filter": {"$like": 1}}, "invalid_filter", "/filter/$like"),
    ({"filter": {"platfrom": "x"}}, "invalid_filter", "/filter/platfrom"),
    ({"filter": {"properties.value": {"$regex": "x"}}}, "invalid_filter", "/filter/properties.value/$regex"),
    ({"filter": {"properties.value": {"$gte": []}}}, "invalid_filter", "/filter/properties.value/$gte"),
    ({"filter": {"properties..value": 1}}, "invalid_filter", "/filter/properties..value"),
    ({"filter": {"platform": ["a", {}]}}, "invalid_filter", "/filter/platform/1"),
    ({"filter": {"$and": {}}}, "invalid_filter", "/filter/$and"),
    ({"filter": {"$or": [{"platform": "a"}, 5]}}, "invalid_filter", "/filter/$or/1"),
    ({"filter": nested_filter(8)}, "invalid_filter", "/filter" + "/$not" * 8),
    ({"filter": nested_filter(400)}, "invalid_filter", "/filter" + "/$not" * 8),
    # the template
    ({"template": "x" * 64 * 1024 + "y"}, "invalid_template", "/template"),
    ({"template": '{"a": {{event_name}'}, "invalid_template", "/template"),
    ({"template": '{"a": "{{#if event_name}}"}'}, "invalid_template", "/template"),
    ({"template": '{"a": "{{/if}}"}'}, "invalid_template", "/template"),
    ({"template": '{"a": {{nohelper event_name}}}'}, "invalid_template", "/template"),
    ({"name": "a\u202eb"}, "invalid_name", "/name"),
]


def named(case: tuple[dict[str, Any], str, str]) -> str:
    return f"{case[1]} at {case[2][:60]}"


@pytest.mark.parametrize("fields, code, pointer", REFUSED, ids=[named(case) for case in REFUSED])
def test_it_is_refused_and_the_place_is_named(
    api: Api, site: Site, fields: dict[str, Any], code: str, pointer: str
) -> None:
    draft = {"name": site.name, "transport": {"url": URL}} | fields
    problem(api.post("/v1/destinations", draft), 422, code, pointer=pointer)
    assert ok(api.get("/v1/destinations", name=site.name))["data"] == []


@pytest.mark.parametrize("fields, code, pointer", REFUSED[::4], ids=[named(case) for case in REFUSED[::4]])
def test_a_patch_to_it_is_refused_as_well_and_changes_nothing(
    api: Api, site: Site, fields: dict[str, Any], code: str, pointer: str
) -> None:
    made = site.create()
    answer = api.patch(f"/v1/destinations/{made['id']}", fields)
    assert answer.status == 422, answer.body
    assert answer.body["code"] in (code, "missing_field", "wrong_type")
    assert ok(api.get(f"/v1/destinations/{made['id']}")) == made


def test_what_is_missing_is_named(api: Api) -> None:
    problem(api.post("/v1/destinations", {}), 422, "missing_field", pointer="/name")
    problem(api.post("/v1/destinations", {"name": "x"}), 422, "missing_field", pointer="/transport")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_key_that_stands_twice_is_refused_and_nothing_is_saved(api: Api, site: Site, method: str) -> None:
    made = site.create()
    path = "/v1/destinations" if method == "POST" else f"/v1/destinations/{made['id']}"
    body = encode_json(site.draft())[:-1] + b', "name": "another"}'
    problem(api.call(method, path, body), 422, "duplicate_key", pointer="/name", says="'name' stands twice")
    standing = ok(api.get("/v1/destinations"))["data"]
    assert made in standing
    assert "another" not in [each["name"] for each in standing]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "body, status, code",
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b'{"name": "\\ud800"}', 400, "malformed"),
        (b'{"filter":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, 400, "malformed"),
        (b'{"retry": {"jitter": 1e999}}', 422, "wrong_type"),
        (b"[]", 422, "wrong_type"),
        (b"5", 422, "wrong_type"),
        (b"null", 422, "wrong_type"),
    ],
    ids=["nothing", "cut", "not UTF-8", "half a surrogate", "endless", "1e999", "list", "number", "null"],
)
def test_a_body_that_is_no_object_is_refused(
    api: Api, site: Site, method: str, body: bytes, status: int, code: str
) -> None:
    made = site.create()
    path = "/v1/destinations" if method == "POST" else f"/v1/destinations/{made['id']}"
    answer = api.call(method, path, body)
    assert answer.status in (400, 422), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert "pointer" in answer.body
    if b"1e999" not in body:  # whose place differs: a missing name is found first
        assert (answer.status, answer.body["code"]) == (status, code)


@pytest.mark.parametrize("depth", [50, 400, 900])
@pytest.mark.parametrize("field", ["filter", "signing", "wat", "transport"])
def test_deep_values_are_refused_and_never_a_fault(api: Api, site: Site, field: str, depth: int) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    raw = b'{"%s": %s}' % (field.encode(), b'{"a":' * depth + b"1" + b"}" * depth)
    for method, query in (("PATCH", ""), ("PUT", ""), ("PATCH", "?dry_run=true")):
        assert api.call(method, path + query, raw).status in (400, 422)
    for call in ("preview", "test", "suppressions", "rotate-secret"):
        assert api.call("POST", f"{path}/{call}", raw).status in (400, 422)
    event = b'{"event": {"event_name": "a", "properties": %s}}' % (b'{"a":' * depth + b"1" + b"}" * depth)
    for call in ("preview", "test"):
        assert api.call("POST", f"{path}/{call}", event).status in (200, 400, 422)


def test_a_template_error_names_the_line_and_the_column(api: Api, site: Site) -> None:
    template = '{\n  "type": "{{event_name}}",\n  "id": "{{#if event_id}"\n}'
    answer = api.post("/v1/destinations", site.draft(template=template))
    body = problem(answer, 422, "invalid_template", pointer="/template", says="line 3, column")
    assert "^" in body["detail"]


def test_more_destinations_than_the_limit_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("few") / "data"
    with ServerProcess(data_dir, destinations_limit=1, template_limit=20, batch_limit=1, event_limit=100) as server:
        api = Api(server.url, server.key)
        draft = {"name": "one", "transport": {"url": URL}}
        problem(
            api.post("/v1/destinations", draft | {"template": '"' + "x" * 20 + '"'}),
            422,
            "invalid_template",
            pointer="/template",
        )
        ok(api.post("/v1/destinations", draft), 201)
        problem(api.post("/v1/destinations", draft), 409, "limit_reached", says="1 destinations")
        problem(api.post("/v1/events/batch", {"events": [{}, {}]}), 413, "too_many", pointer="/events")
        problem(api.post("/v1/events", {"event_name": "x" * 100}), 413, "too_large", pointer="")
