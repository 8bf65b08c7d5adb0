"""`/v1/workspace`: its name and its rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site


@pytest.fixture
def rules(api: Api) -> Iterator[None]:
    """The workspace is everybody's: it gets its rules back."""
    yield
    ok(api.put("/v1/workspace", {"rules": {}}))


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_an_admin_may_call_it(api: Api, method: str) -> None:
    made = ok(api.post("/v1/api-keys", {"name": "no admin", "scopes": ["destinations:write"]}), 201)
    problem(Api(api.url, made["key"]).call(method, "/v1/workspace"), 403, "missing_scope", says="admin")
    api.delete(f"/v1/api-keys/{made['id']}")


def test_the_workspace_has_a_name_and_all_its_rules(api: Api) -> None:
    workspace = ok(api.get("/v1/workspace"))
    assert workspace.keys() == {"id", "name", "created_at", "rules"}
    assert workspace["rules"] == {
        "default_region": "US",
        "event_names": {},
        "drop_pii": False,
        "enrichment": {"user_agent": True, "campaign": True, "traits": True, "audiences": True, "geo": True},
        "consent_defaults": {},
        "clock_skew": True,
    }


@pytest.mark.usefixtures("rules")
def test_saved_rules_hold_for_the_next_event(api: Api, site: Site) -> None:
    saved = ok(api.put("/v1/workspace", {"rules": {"drop_pii": True, "event_names": {"Their Name": site.name}}}))
    assert saved["rules"]["drop_pii"] is True
    assert ok(api.get("/v1/workspace")) == saved
    event_id = site.send(event_name="their-name", user_data={"email": "jane@example.com"})
    event = ok(api.get(f"/v1/events/{event_id}"))
    assert event["event_name"] == site.name
    assert event["user_data"].keys() == {"email_hash"}
    assert ok(api.get("/v1/audit", action="workspace"))["data"][0]["detail"] == {"changed": ["event_names", "drop_pii"]}


def test_a_rule_that_cannot_be_is_refused_with_its_place(api: Api) -> None:
    refused = api.put("/v1/workspace", {"rules": {"default_region": "Mars"}})
    problem(refused, 422, "invalid_region", pointer="/rules/default_region", says="Mars")
    problem(api.put("/v1/workspace", {"name": "x", "rules": {}}), 422, "unknown_field", pointer="/name")
    problem(api.put("/v1/workspace", {"rules": {"a": 1}}), 422, "unknown_field", pointer="/rules/a")
    assert ok(api.get("/v1/workspace"))["rules"]["default_region"] == "US"
