"""Consent over the API: policies as they are saved, and the tester."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site

REDACTS = {"requires": ["ad_storage"], "when_denied": "redact", "redact": ["user_data.email"]}


def verdict(api: Api, made: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    answer = ok(api.post("/v1/consent/test", {"event": event}))
    return next(dict(each) for each in answer["destinations"] if each["destination_id"] == made["id"])


def test_a_policy_comes_back_as_it_was_saved(site: Site) -> None:
    assert site.create(consent=REDACTS)["consent"] == REDACTS | {"when_unknown": "deny"}


@pytest.mark.parametrize(
    "consent, code, pointer",
    [
        ({"requires": ["ad_storage", " "]}, "invalid_category", "/consent/requires/1"),
        ({"requires": ["x" * 101]}, "invalid_category", "/consent/requires/0"),
        ({"when_denied": "redact"}, "required", "/consent/redact"),
        ({"when_denied": "redact", "redact": []}, "required", "/consent/redact"),
        ({"when_denied": "drop"}, "wrong_type", "/consent/when_denied"),
        ({"when_denied": "redact", "redact": ["user_data.email", "email"]}, "invalid_redaction", "/consent/redact/1"),
        ({"redact": ["event_id"]}, "invalid_redaction", "/consent/redact/0"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_with_its_place(
    api: Api, site: Site, consent: dict[str, Any], code: str, pointer: str
) -> None:
    problem(api.post("/v1/destinations", site.draft(consent=consent)), 422, code, pointer=pointer)


def test_the_tester_tells_where_consent_stands_and_what_each_destination_makes_of_it(api: Api, site: Site) -> None:
    free, asks = site.create(), site.create(consent={"requires": ["ad_storage"]})
    redacts = site.create(consent=REDACTS)
    other, draft = site.create(filter={"event_name": ["another"]}), site.create(status="draft")
    event = site.event(gpc=True, consent={"ad_storage": "granted", "mail": True}, user_data={"email": "a@b.c"})
    answer = ok(api.post("/v1/consent/test", {"event": event}))
    assert answer["event_name"] == site.name
    assert {name: (each["state"], each["by"]) for name, each in answer["consent"].items()} == {
        "ad_storage": ("denied", "gpc"),
        "ad_user_data": ("denied", "gpc"),
        "ad_personalization": ("denied", "gpc"),
        "mail": ("granted", "event"),
    }
    found = {each["destination_id"]: each for each in answer["destinations"]}
    verdicts = {made["id"]: found[made["id"]]["verdict"] for made in (free, asks, redacts, other, draft)}
    assert list(verdicts.values()) == ["send", "suppress", "redact", "unrouted", "unrouted"]
    assert found[asks["id"]]["reason"] == "ad_storage is denied by Global Privacy Control"
    assert found[redacts["id"]]["redacted"] == ["user_data.email"]
    assert "sent with user_data.email redacted" in found[redacts["id"]]["reason"]
    assert site.requests == []


def test_the_tester_foretells_what_comes_true(api: Api, site: Site) -> None:
    made = site.create(consent={"requires": ["ad_storage"]})
    for state in ("granted", "denied"):
        event = site.event(consent={"ad_storage": state})
        foretold = verdict(api, made, event)["verdict"]
        came = site.settled(
            site.send(consent={"ad_storage": state}), "delivered" if foretold == "send" else "suppressed"
        )
        assert (foretold, came["destination_id"]) == ({"granted": "send", "denied": "suppress"}[state], made["id"])


@pytest.mark.parametrize(
    "event, code, pointer",
    [
        ({}, "required", "/event/event_name"),
        ({"event_name": "x", "consent": "maybe"}, "invalid_type", "/event/consent"),
    ],
)
def test_what_is_no_event_is_refused_with_its_place(api: Api, event: dict[str, Any], code: str, pointer: str) -> None:
    problem(api.post("/v1/consent/test", {"event": event}), 422, code, pointer=pointer)


def test_a_preview_and_a_test_show_the_request_without_the_fields(api: Api, site: Site) -> None:
    made = site.create(consent=REDACTS, template='{"mail": "{{user_data.email}}"}')
    event = site.event(consent={"ad_storage": "denied"}, user_data={"email": "a@b.c"})
    for call in ("preview", "test"):
        answer = ok(api.post(f"/v1/destinations/{made['id']}/{call}", {"event": event}))
        consent = answer["steps"]["consent"]
        assert consent == {
            "allowed": True,
            "reason": "ad_storage is denied by the event",
            "redacted": ["user_data.email"],
        }
        request = answer["steps"]["render" if call == "preview" else "send"]["request"]
        assert request["body"] == '{"mail": ""}'
    assert [request.body for request in site.requests] == [b'{"mail": ""}']


def test_explain_and_the_delivery_say_what_was_redacted_and_why(api: Api, site: Site) -> None:
    site.create(consent=REDACTS)
    event_id = site.send(consent={"ad_storage": "denied"}, user_data={"email": "a@b.c"})
    reason = "sent with user_data.email redacted: ad_storage is denied by the event"
    assert site.settled(event_id, "delivered")["reason"] == reason
    (found,) = [each for each in ok(api.get(f"/v1/events/{event_id}/explain"))["destinations"] if each["matched"]]
    steps = {each["step"]: (each["passed"], each["reason"]) for each in found["steps"]}
    assert steps["consent"] == (True, reason)
