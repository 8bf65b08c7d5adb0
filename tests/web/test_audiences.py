"""Audiences over the API: lists, rules, members by the page, and "is this user in it, and why"."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site

HASH = hashlib.sha256(b"jane@example.com").hexdigest()


@pytest.fixture
def vip(site: Site) -> str:
    """The path of a list of this test's own."""
    path = f"/v1/audiences/{site.name}"
    ok(site.api.put(path, {"static": True}))
    return path


@pytest.fixture
def pros(site: Site) -> str:
    """The path of a rule of this test's own."""
    path = f"/v1/audiences/{site.name}.pros"
    ok(site.api.put(path, {"rule": {"event_name": site.name, "traits.plan": "pro"}}))
    return path


def belongs(api: Api, path: str, **who: Any) -> tuple[bool, str]:
    answer = ok(api.post(f"{path}/test", who))
    return answer["member"], answer["reason"]


def test_an_audience_is_made_shown_listed_and_deleted(api: Api, site: Site) -> None:
    rule = {"properties.value": {"$gte": 99.90}}
    made = ok(api.put(f"/v1/audiences/{site.name}", {"rule": rule}))
    assert (made["name"], made["static"], made["rule"], made["members"]) == (site.name, False, rule, None)
    assert ok(api.get(f"/v1/audiences/{site.name}")) == made
    assert made in ok(api.get("/v1/audiences"))["data"]
    changed = ok(api.put(f"/v1/audiences/{site.name}", {"rule": {"platform": "web"}}))
    assert (changed["rule"], changed["created_at"]) == ({"platform": "web"}, made["created_at"])
    assert api.delete(f"/v1/audiences/{site.name}").status == 204
    problem(api.get(f"/v1/audiences/{site.name}"), 404, "not_found", says=site.name)
    problem(api.delete(f"/v1/audiences/{site.name}"), 404, "not_found")


def test_a_rule_that_nobody_can_meet_is_saved_with_a_warning(api: Api, site: Site) -> None:
    path = f"/v1/audiences/{site.name}"
    rule = {"event_name": "Order Completed", "traits": {"$exists": False}}
    warnings = [
        "the rule names event_name 'Order Completed', which no event has: such events are called purchase",
        "the rule never matches: traits would have to be no value",
    ]
    assert ok(api.put(path, {"rule": rule}))["warnings"] == warnings
    assert ok(api.get(path))["warnings"] == warnings
    assert ok(api.put(path, {"rule": {"event_name": "purchase"}}))["warnings"] == []


@pytest.mark.parametrize(
    "draft, code, pointer",
    [
        ({}, "invalid_audience", ""),
        ({"static": False}, "invalid_audience", ""),
        ({"static": True, "rule": {"platform": "web"}}, "invalid_audience", ""),
        ({"rule": {}}, "invalid_filter", "/rule"),
        ({"rule": {"platform": {"$near": 1}}}, "invalid_filter", "/rule/platform/$near"),
        ({"rule": {"trait.plan": 1}}, "invalid_filter", "/rule/trait.plan"),
        ({"rule": []}, "wrong_type", "/rule"),
        ({"list": True}, "unknown_field", "/list"),
    ],
)
def test_what_is_no_audience_is_refused_with_its_place(
    api: Api, site: Site, draft: dict[str, Any], code: str, pointer: str
) -> None:
    problem(api.put(f"/v1/audiences/{site.name}", draft), 422, code, pointer=pointer)
    problem(api.get(f"/v1/audiences/{site.name}"), 404, "not_found")


def test_a_name_that_no_segment_should_have_is_refused(api: Api) -> None:
    for name in ("a%20b", "-x", "a,b", "x" * 101):
        problem(api.put(f"/v1/audiences/{name}", {"static": True}), 422, "invalid_name")


def test_a_list_does_not_become_a_rule_nor_a_rule_a_list(api: Api, vip: str, pros: str) -> None:
    problem(api.put(vip, {"rule": {"platform": "web"}}), 409, "audience_kind", says="is a list")
    problem(api.put(pros, {"static": True}), 409, "audience_kind", says="is a rule")
    problem(api.get(f"{pros}/members"), 409, "audience_kind")
    problem(api.post(f"{pros}/members", {"add": [{"external_id": "u_1"}]}), 409, "audience_kind")


def test_members_come_and_go_and_the_same_again_changes_nothing(api: Api, vip: str) -> None:
    change = {"add": [{"external_id": "u_1"}, {"external_id": 2}, {"email": " Jane@Example.com"}, {"email_hash": HASH}]}
    assert ok(api.post(f"{vip}/members", change)) == {"added": 3, "removed": 0, "members": 3}
    assert ok(api.post(f"{vip}/members", change)) == {"added": 0, "removed": 0, "members": 3}
    gone = {"remove": [{"email": "jane@example.com"}, {"external_id": "stranger"}]}
    assert ok(api.post(f"{vip}/members", gone)) == {"added": 0, "removed": 1, "members": 2}
    assert ok(api.get(vip))["members"] == 2


def test_members_are_paged_whatever_their_ids_are(api: Api, vip: str) -> None:
    ids = ["a b", "é/?#%", "\u202eu", "x" * 320, *map(str, range(7))]
    ok(api.post(f"{vip}/members", {"add": [*({"external_id": each} for each in ids), {"email_hash": HASH}]}))
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = ok(api.get(f"{vip}/members?limit=4{cursor}"))
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(found) == len(ids) + 1
    assert {each.get("external_id") for each in found} == {*ids, None}
    assert found[0]["email_hash"] == HASH
    assert "external_id" not in found[0]
    problem(api.get(f"{vip}/members?cursor=xyz"), 422, "invalid_cursor", pointer="/cursor")


@pytest.mark.parametrize(
    "change, pointer",
    [
        ({"add": [{"external_id": "a"}, {"email": "n/a"}]}, "/add/1/email"),
        ({"remove": [{"id": "a"}]}, "/remove/0"),
        ({"add": [{}]}, "/add/0"),
    ],
)
def test_one_wrong_member_refuses_the_whole_request(api: Api, vip: str, change: dict[str, Any], pointer: str) -> None:
    problem(api.post(f"{vip}/members", change), 422, "invalid_member", pointer=pointer)
    assert ok(api.get(vip))["members"] == 0


def test_more_members_than_one_request_may_bring_are_refused(api: Api, vip: str) -> None:
    many = {"add": [{"external_id": number} for number in range(10_001)]}
    problem(api.post(f"{vip}/members", many), 413, "too_many", pointer="")
    problem(api.post("/v1/audiences/none/members", {"add": []}), 404, "not_found")


def test_whether_a_user_is_on_a_list_and_why(api: Api, vip: str) -> None:
    ok(api.post(f"{vip}/members", {"add": [{"external_id": "u_1"}, {"email": "jane@example.com"}]}))
    assert belongs(api, vip, user={"external_id": "u_1"}) == (True, "the list names this user: external_id 'u_1'")
    assert belongs(api, vip, user={"email": "JANE@example.com "})[0] is True
    found, reason = belongs(api, vip, user={"external_id": "u_2", "email": "joe@example.com"})
    assert found is False
    assert reason.startswith("the list does not name external_id 'u_2' nor email_hash '")
    assert belongs(api, vip, user={"anonymous_id": "a"})[1].startswith("there is no external_id and no e-mail")


def test_whether_an_event_matches_a_rule_and_which_condition_fails(api: Api, site: Site, pros: str) -> None:
    event = site.event(context={"traits": {"plan": "pro"}})
    assert belongs(api, pros, event=event) == (True, "the rule matches")
    answer = ok(api.post(f"{pros}/test", {"event": site.event(context={"traits": {"plan": "free"}})}))
    assert answer == {
        "member": False,
        "reason": "traits.plan is 'free', expected 'pro'",
        "steps": [
            {"path": "event_name", "matched": True, "reason": f"event_name is '{site.name}': '{site.name}'"},
            {"path": "traits.plan", "matched": False, "reason": "traits.plan is 'free', expected 'pro'"},
        ],
    }
    assert belongs(api, pros, event=site.event(segment=[f"{site.name}.pros"]))[1] == "the event itself names it"


def test_of_a_user_alone_a_rule_cannot_know_the_event(api: Api, site: Site, pros: str) -> None:
    found, reason = belongs(api, pros, user={"external_id": "nobody"})
    assert (found, reason) == (False, f"event_name is absent, expected '{site.name}'")


@pytest.mark.parametrize(
    "trial, code, pointer",
    [
        ({}, "invalid_test", ""),
        ({"user": {}, "event": {}}, "invalid_test", ""),
        ({"user": {"email": 7.5, "external_id": []}}, "invalid_type", "/user/external_id"),
        ({"event": {}}, "required", "/event/event_name"),
    ],
)
def test_a_test_that_cannot_be_made_is_refused(
    api: Api, vip: str, trial: dict[str, Any], code: str, pointer: str
) -> None:
    problem(api.post(f"{vip}/test", trial), 422, code, pointer=pointer)
