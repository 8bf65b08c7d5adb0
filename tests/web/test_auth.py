"""Keys and scopes: who may call what."""

from __future__ import annotations

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.demo.receiver import Answer

SCOPES = ("events:write", "events:read", "destinations:read", "destinations:write", "admin")

CALLS = [
    ("POST", "/v1/events", "events:write"),
    ("POST", "/v1/events/batch", "events:write"),
    ("GET", "/v1/events", "events:read"),
    ("GET", "/v1/events/none", "events:read"),
    ("GET", "/v1/events/none/explain", "events:read"),
    ("GET", "/v1/deliveries", "events:read"),
    ("GET", "/v1/deliveries/none", "events:read"),
    ("GET", "/v1/dead-letters", "events:read"),
    ("GET", "/v1/dead-letters/none", "events:read"),
    ("POST", "/v1/dead-letters/none/replay", "destinations:write"),
    ("POST", "/v1/dead-letters/none/discard", "destinations:write"),
    ("POST", "/v1/dead-letters/replay", "destinations:write"),
    ("GET", "/v1/destinations", "destinations:read"),
    ("POST", "/v1/destinations", "destinations:write"),
    ("GET", "/v1/destinations/none", "destinations:read"),
    ("PUT", "/v1/destinations/none", "destinations:write"),
    ("PATCH", "/v1/destinations/none", "destinations:write"),
    ("DELETE", "/v1/destinations/none", "destinations:write"),
    ("GET", "/v1/destinations/none/versions", "destinations:read"),
    ("POST", "/v1/destinations/none/versions/1/restore", "destinations:write"),
    ("POST", "/v1/destinations/none/pause", "destinations:write"),
    ("POST", "/v1/destinations/none/resume", "destinations:write"),
    ("POST", "/v1/destinations/none/rotate-secret", "destinations:write"),
    ("GET", "/v1/destinations/none/suppressions", "destinations:read"),
    ("POST", "/v1/destinations/none/suppressions", "destinations:write"),
    ("DELETE", "/v1/destinations/none/suppressions/none", "destinations:write"),
    ("POST", "/v1/destinations/none/preview", "destinations:read"),
    ("POST", "/v1/destinations/none/test", "destinations:write"),
    ("GET", "/v1/secrets", "destinations:read"),
    ("GET", "/v1/secrets/none", "destinations:read"),
    ("PUT", "/v1/secrets/none", "destinations:write"),
    ("DELETE", "/v1/secrets/none", "destinations:write"),
    ("GET", "/v1/audiences", "destinations:read"),
    ("GET", "/v1/audiences/none", "destinations:read"),
    ("PUT", "/v1/audiences/none", "destinations:write"),
    ("DELETE", "/v1/audiences/none", "destinations:write"),
    ("GET", "/v1/audiences/none/members", "destinations:read"),
    ("POST", "/v1/audiences/none/members", "destinations:write"),
    ("POST", "/v1/audiences/none/test", "destinations:read"),
    ("GET", "/v1/api-keys", "admin"),
    ("POST", "/v1/api-keys", "admin"),
    ("DELETE", "/v1/api-keys/none", "admin"),
]


@pytest.fixture(scope="module")
def keys(api: Api) -> dict[str, str]:
    """One key for every scope."""
    return {scope: ok(api.post("/v1/api-keys", {"name": scope, "scopes": [scope]}), 201)["key"] for scope in SCOPES}


def body_of(method: str, path: str) -> dict[str, str] | None:
    """A body that changes nothing whoever sends it; `dry_run` where a call would act on all there is."""
    if path.endswith("/preview"):  # which asks for more where it is to change something
        return {}
    return None if method in ("GET", "DELETE") else {"dry_run_of_the_test": path}


@pytest.mark.parametrize("method, path, scope", CALLS)
def test_a_call_needs_its_scope_and_says_which(
    api: Api, keys: dict[str, str], method: str, path: str, scope: str
) -> None:
    for has, key in keys.items():
        answer = Api(api.url, key).call(method, path, body_of(method, path))
        if has in (scope, "admin"):
            assert answer.status not in (401, 403), answer.body
        else:
            problem(answer, 403, "missing_scope", says=scope)


def test_who_may_only_read_destinations_sees_no_stored_event_through_them(
    api: Api, site: Site, keys: dict[str, str]
) -> None:
    made, event_id = site.create(), site.send()
    reader = Api(api.url, keys["destinations:read"])
    path = f"/v1/destinations/{made['id']}"
    stored, known = {"event_id": event_id}, {"event": site.event(user_id="u_1")}  # with what is known of u_1
    for body in (stored, known):
        problem(reader.post(f"{path}/preview", body), 403, "missing_scope", says="events:read")
    ok(reader.post(f"{path}/preview", {}))
    problem(reader.post(f"{path}/compare", {"version": 1}), 403, "missing_scope", says="events:read")
    both = ok(api.post("/v1/api-keys", {"name": "both", "scopes": ["destinations:read", "events:read"]}), 201)["key"]
    ok(Api(api.url, both).post(f"{path}/preview", stored))
    ok(Api(api.url, both).post(f"{path}/compare", {"version": 1}))


def test_who_may_not_change_destinations_asks_no_template_what_a_secret_is(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create()['id']}"
    scopes = ["destinations:read", "events:read"]
    reader = Api(api.url, ok(api.post("/v1/api-keys", {"name": "reader", "scopes": scopes}), 201)["key"])
    guess = {"template": '{"a": "{{#if (startsWith secrets.webhook_token "S")}}{{properties.yes}}{{/if}}"}'}
    pattern = {
        "template": '{"a": "{{secrets.webhook_token}}"}',
        "body_schema": {"properties": {"a": {"pattern": "^S"}}},
    }
    for body in (guess, pattern):
        for call in ("preview", "compare"):
            problem(reader.post(f"{path}/{call}", body), 403, "missing_scope", says="destinations:write")


def test_a_warning_quotes_a_real_event_only_to_who_may_read_events(api: Api, site: Site, keys: dict[str, str]) -> None:
    site.send(user_data={"email": "jane.doe@example.com"})
    draft = site.draft(template='{"v": {{add user_data.email 1}}}')
    made = ok(api.post("/v1/destinations", draft), 201)
    path, counted = f"/v1/destinations/{made['id']}", "1 of the last 1 matching events could not be sent: "
    assert [each.startswith(counted) and "jane.doe" in each for each in made["warnings"]] == [True]
    reader, writer = Api(api.url, keys["destinations:read"]), Api(api.url, keys["destinations:write"])
    answers = [reader.get(path), writer.patch(path, {"name": "again"}), writer.post(f"{path}/pause")]
    assert [ok(each)["warnings"] for each in answers] == [[f"{counted}the scope events:read shows why"]] * 3


def test_who_may_not_read_events_sees_no_body_by_trying_a_replay(api: Api, site: Site, keys: dict[str, str]) -> None:
    site.receiver.script(site.path, Answer(400))
    made = site.create()
    site.kill()
    body = {"destination_id": made["id"], "mode": "rerender", "dry_run": True}
    writer = Api(api.url, keys["destinations:write"])
    problem(writer.post("/v1/dead-letters/replay", body), 403, "missing_scope", says="events:read")
    both = ok(api.post("/v1/api-keys", {"name": "rw", "scopes": ["destinations:write", "events:read"]}), 201)["key"]
    assert ok(Api(api.url, both).post("/v1/dead-letters/replay", body))["diffs"] != []
    assert ok(writer.post("/v1/dead-letters/replay", body | {"dry_run": False})) == {
        "count": 1,
        "dry_run": False,
        "diffs": [],
    }


@pytest.mark.parametrize("scheme", ["tracklayer", "standard-webhooks"])
def test_who_may_only_read_destinations_gets_nothing_signed(
    api: Api, site: Site, keys: dict[str, str], scheme: str
) -> None:
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    made = site.create(signing={"scheme": scheme, "secret": secret}, filter={}, template='{"value": 1000000}')
    ok(api.post(f"/v1/destinations/{made['id']}/rotate-secret", {"overlap": "1h"}))
    path = f"/v1/destinations/{made['id']}/preview"
    shown = ok(Api(api.url, keys["destinations:read"]).post(path, {}))["steps"]
    full = ok(api.post(path, {}))["steps"]
    assert shown["sign"] == full["sign"]
    assert shown["sign"]["verified"] is True
    signed = [name for name in full["render"]["request"]["headers"] if "signature" in name.lower()]
    assert len(signed) == (2 if scheme == "tracklayer" else 3)
    for name in signed:
        assert shown["render"]["request"]["headers"][name] == "••••"
        assert "••••" not in full["render"]["request"]["headers"][name]


@pytest.mark.parametrize("method, path, scope", CALLS)
def test_a_call_needs_a_key(api: Api, method: str, path: str, scope: str) -> None:
    answer = Api(api.url, None).call(method, path, body_of(method, path))
    problem(answer, 401, "missing_key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/v1/events", "/v1/destinations"])
@pytest.mark.parametrize(
    "header, code",
    [
        ("Bearer tl_live_0000000000000000000000000000000000000000", "unknown_key"),
        ("Bearer \xe9", "unknown_key"),
        ("Bearer ", "bad_authorization"),
        ("Bearer", "bad_authorization"),
        ("Basic dGxfbGl2ZTo=", "bad_authorization"),
        ("", "bad_authorization"),
    ],
)
def test_a_wrong_key_is_refused_and_not_repeated(api: Api, path: str, header: str, code: str) -> None:
    answer = api.call("POST", path, {}, headers={"Authorization": header})
    body = problem(answer, 401, code)
    assert "0000" not in body["detail"]


def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    ok(api.call("GET", "/v1/events", headers={"Authorization": f"bearer {api.key}"}))


def test_a_key_is_shown_once_and_ends_when_it_is_removed(api: Api) -> None:
    answer = api.post("/v1/api-keys", {"name": "short-lived", "scopes": ["events:read", "events:write"]})
    made = ok(answer, 201)
    assert answer.headers["cache-control"] == "no-store"
    assert made.keys() == {"id", "name", "hint", "scopes", "created_at", "key"}
    assert made["key"].startswith("tl_live_")
    assert made["scopes"] == ["events:read", "events:write"]
    assert made["hint"] == "…" + made["key"][-4:]

    listed = ok(api.get("/v1/api-keys"))
    assert listed["next_cursor"] is None
    (row,) = [row for row in listed["data"] if row["id"] == made["id"]]
    assert row == {name: value for name, value in made.items() if name != "key"}

    theirs = Api(api.url, made["key"])
    ok(theirs.get("/v1/events"))
    assert api.delete(f"/v1/api-keys/{made['id']}").status == 204
    problem(theirs.get("/v1/events"), 401, "unknown_key")
    problem(api.delete(f"/v1/api-keys/{made['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({"name": "k", "scopes": ["everything"]}, "invalid_scope", "/scopes/0"),
        ({"name": "k", "scopes": ["admin", "events:*"]}, "invalid_scope", "/scopes/1"),
        ({"name": "k", "scopes": []}, "invalid_scope", "/scopes"),
        ({"name": " ", "scopes": ["admin"]}, "invalid_name", "/name"),
        ({"name": "x" * 201, "scopes": ["admin"]}, "invalid_name", "/name"),
        ({"name": "k", "scopes": "admin"}, "wrong_type", "/scopes"),
        ({"name": "k", "scopes": [1]}, "wrong_type", "/scopes/0"),
        ({"name": "k"}, "missing_field", "/scopes"),
        ({"name": "k", "scopes": ["admin"], "key": "tl_live_mine"}, "unknown_field", "/key"),
        ([], "wrong_type", ""),
    ],
)
def test_a_bad_key_is_refused(api: Api, body: object, code: str, pointer: str) -> None:
    problem(api.post("/v1/api-keys", body), 422, code, pointer=pointer)


def test_the_last_admin_key_stays(api: Api) -> None:
    admins = [row for row in ok(api.get("/v1/api-keys"))["data"] if "admin" in row["scopes"]]
    own = next(row for row in admins if row["name"] == "TRACKLAYER_ADMIN_KEY")
    for row in admins:
        if row is not own:
            assert api.delete(f"/v1/api-keys/{row['id']}").status == 204
    problem(api.delete(f"/v1/api-keys/{own['id']}"), 409, "last_admin_key")
    ok(api.get("/v1/api-keys"))


def test_an_unknown_path_is_404_and_a_wrong_method_405(api: Api, site: Site) -> None:
    problem(api.get("/v1/nothing"), 404, "not_found", says="GET /v1/nothing")
    for method, path in (("DELETE", "/v1/events"), ("PUT", "/v1/events/batch"), ("POST", "/healthz")):
        answer = api.call(method, path, {})
        problem(answer, 405, "method_not_allowed", says=f"{method} {path}")
        assert answer.headers["allow"], answer.headers


def test_the_title_of_a_problem_is_the_same_whatever_was_asked(api: Api) -> None:
    titles = {api.get("/v1/events", limit=limit).body["title"] for limit in ("0", "many", "1000")}
    assert titles == {"Malformed request"}
