"""Reading events back, and why each destination got one or not."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.delivery.body_schema import BodySchema
from tracklayer.model.event import encode_json

EVENT = {
    *("event_id", "event_name", "occurred_at", "received_at", "platform", "segment", "user_data", "properties"),
    *("context", "consent", "test"),
}
DELIVERY = {
    *("id", "event_id", "event_name", "destination_id", "destination_version", "state", "reason", "code"),
    *("attempt_count", "test", "created_at", "updated_at", "due_at"),
}


def test_events_are_listed_newest_first_and_page_by_page(api: Api, site: Site) -> None:
    ids = [site.send() for _ in range(5)]
    page = ok(api.get("/v1/events", limit=2))
    assert page.keys() == {"data", "next_cursor"}
    assert [each.keys() for each in page["data"]] == [EVENT] * 2
    seen = [each["event_id"] for each in page["data"]]
    while len(seen) < 5:
        page = ok(api.get("/v1/events", limit=2, cursor=page["next_cursor"]))
        seen += [each["event_id"] for each in page["data"]]
    assert seen[:5] == ids[::-1]


def test_the_schema_of_the_event_is_there_for_everybody_and_a_stored_event_meets_it(api: Api, site: Site) -> None:
    answer = Api(api.url, None).get("/v1/schemas/event.json")
    assert answer.headers["content-type"] == "application/schema+json"
    raw = site.event(event_id=f"{site.name}_schema", user_data={"email": " A@B.c", "phone": None}, gpc=True, custom=[1])
    ok(api.post("/v1/events", raw))
    stored = ok(api.get(f"/v1/events/{site.name}_schema"))
    event = {name: stored[name] for name in answer.body["required"]}
    assert BodySchema(answer.body).violation(encode_json(event)) is None


@pytest.mark.parametrize(
    "event_id", ["a/b", "a/", "/", "gid://shop/Order/1?x#y", "50%", "a%2Fb", "%", "a/explain", "é/ü"]
)
def test_an_event_is_reached_by_any_id_that_it_may_have(api: Api, site: Site, event_id: str) -> None:
    event_id = f"{site.name}{event_id}"
    ok(api.post("/v1/events", site.event(event_id=event_id)))
    path = f"/v1/events/{quote(event_id, safe='')}"
    assert ok(api.get(path))["event_id"] == event_id
    assert ok(api.get(f"{path}/explain"))["event_id"] == event_id
    problem(api.get(f"{path}%2F"), 404, "not_found")


def test_the_last_page_has_no_cursor(api: Api) -> None:
    cursor: dict[str, str] = {}
    for _ in range(100):
        page = ok(api.get("/v1/events", limit=200, **cursor))
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the pages do not end")


def test_events_are_found_by_name_and_by_user(api: Api, site: Site) -> None:
    user = {"external_id": f"u_{site.name}", "email": f"{site.name}@Shop.example"}
    first = site.send(user_data=user)
    second = site.send(user_data={"email": f"{site.name}@shop.example"})
    third = site.send()

    def found(**query: object) -> list[str]:
        return [each["event_id"] for each in ok(api.get("/v1/events", **query))["data"]]

    assert found(event_name=site.name) == [third, second, first]
    assert found(user=user["external_id"]) == [first]
    assert found(user=user["email"]) == [second, first]
    assert found(user=user["email"], event_name="other") == []
    page = ok(api.get("/v1/events", event_name=site.name, limit=2))
    rest = ok(api.get("/v1/events", event_name=site.name, limit=2, cursor=page["next_cursor"]))
    assert ([each["event_id"] for each in rest["data"]], rest["next_cursor"]) == ([first], None)


def test_one_event_comes_with_its_deliveries(api: Api, site: Site) -> None:
    made = site.create()
    event_id = site.send()
    site.settled(event_id, "delivered")
    event = ok(api.get(f"/v1/events/{event_id}"))
    assert event.keys() == EVENT | {"deliveries"}
    assert event["test"] is False
    (delivery,) = event["deliveries"]
    assert delivery.keys() == DELIVERY
    assert delivery["id"].startswith("dlv_")
    assert (delivery["destination_id"], delivery["destination_version"]) == (made["id"], 1)
    assert (delivery["code"], delivery["attempt_count"], delivery["due_at"]) == (200, 1, None)


def test_an_id_with_odd_characters_finds_its_event(api: Api, site: Site) -> None:
    event_id = site.send(event_id=f"{site.name} ü?#%41")
    assert ok(api.get(f"/v1/events/{site.name}%20%C3%BC%3F%23%2541"))["event_id"] == event_id


def test_an_unknown_event_is_404(api: Api) -> None:
    for event_id in ("none", "batch", "%00", "%ff", "a" * 5000):
        problem(api.get(f"/v1/events/{event_id}"), 404, "not_found")
        problem(api.get(f"/v1/events/{event_id}/explain"), 404, "not_found")


def explained(api: Api, event_id: str, destination_id: str) -> dict[str, object]:
    answer = ok(api.get(f"/v1/events/{event_id}/explain"))
    assert answer.keys() == {"event_id", "destinations"}
    assert answer["event_id"] == event_id
    (found,) = [each for each in answer["destinations"] if each["destination_id"] == destination_id]
    assert found.keys() == {
        *("destination_id", "name", "status", "version", "matched", "reason", "steps", "delivery"),
    }
    assert all(each.keys() == {"step", "passed", "reason"} for each in found["steps"])
    return dict(found)


def steps_of(explanation: dict[str, object]) -> dict[str, tuple[bool, str]]:
    steps = explanation["steps"]
    assert isinstance(steps, list)
    return {each["step"]: (each["passed"], each["reason"]) for each in steps}


def test_explain_says_of_a_delivered_event_that_it_matched_and_why(api: Api, site: Site) -> None:
    made = site.create()
    event_id = site.send()
    delivery = site.settled(event_id, "delivered")
    found = explained(api, event_id, made["id"])
    assert (found["matched"], found["name"], found["status"], found["version"]) == (True, site.name, "active", 1)
    assert found["delivery"] == delivery
    assert [*steps_of(found)] == ["status", "filter event_name", "consent", "suppression", "delivery"]
    assert all(passed for passed, _ in steps_of(found).values())


def test_explain_names_the_condition_that_did_not_match(api: Api, site: Site) -> None:
    made = site.create(filter={"event_name": [site.name], "properties.value": {"$gte": 100}})
    found = explained(api, site.send(properties={"value": 99.5}), made["id"])
    assert (found["matched"], found["delivery"]) == (False, None)
    passed, reason = steps_of(found)["filter properties.value"]
    assert not passed
    assert reason == found["reason"] == "properties.value is 99.5, expected at least 100"
    assert steps_of(found)["filter event_name"][0]


def test_explain_names_the_consent_that_is_missing(api: Api, site: Site) -> None:
    made = site.create(consent={"requires": ["ad_storage"], "when_unknown": "deny"})
    event_id = site.send(consent={"ad_storage": "denied"})
    delivery = site.delivery(event_id)
    assert (delivery["state"], delivery["reason"]) == ("suppressed", "consent: ad_storage is denied by the event")
    found = explained(api, event_id, made["id"])
    assert found["matched"] is True
    assert steps_of(found)["consent"] == (False, "ad_storage is denied by the event")


def test_explain_knows_drafts_and_destinations_that_came_later(api: Api, site: Site) -> None:
    draft = site.create(status="draft")
    event_id = site.send()
    found = explained(api, event_id, draft["id"])
    assert (found["status"], steps_of(found)["status"]) == (
        "draft",
        (False, "the destination is a draft: events are not routed to it"),
    )
    later = site.create()
    found = explained(api, event_id, later["id"])
    assert steps_of(found)["status"] == (False, "the destination was created after the event was received")


def test_when_consent_is_unknown_the_destination_decides(site: Site) -> None:
    site.create(consent={"requires": ["ad_storage"], "when_unknown": "allow"})
    site.deliver()
    assert (
        site.delivery(site.send(consent={"ad_storage": "denied"}))["reason"]
        == "consent: ad_storage is denied by the event"
    )
