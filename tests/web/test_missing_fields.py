"""What a destination does where an event lacks a path: `on_missing`, and who is told about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site

TEMPLATE = """{
  "order": "{{properties.order_id}}",
  "coupon": "{{properties.coupon}}",
  "rest": {{properties.rest}}
}"""


def preview(api: Api, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    render: dict[str, Any] = ok(api.post(f"/v1/destinations/{made['id']}/preview", body))["steps"]["render"]
    return render


@pytest.mark.parametrize(
    "on_missing, body",
    [
        ("empty", {"order": "1", "coupon": "", "rest": None}),
        ("null", {"order": "1", "coupon": None, "rest": None}),
        ("omit", {"order": "1"}),
    ],
)
def test_a_missing_path_becomes_what_on_missing_says(site: Site, on_missing: str, body: object) -> None:
    made = site.create(template=TEMPLATE, on_missing=on_missing)
    assert made["on_missing"] == on_missing
    assert json.loads(site.deliver(properties={"order_id": "1"}).body) == body


def test_fail_sends_the_delivery_to_the_dead_letters_with_every_path_that_is_missing(api: Api, site: Site) -> None:
    site.create(template=TEMPLATE, on_missing="fail")
    delivery = site.kill(properties={"order_id": "1"})
    assert site.requests == []
    assert delivery["attempt_count"] == 1
    letter = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))
    assert letter["error"] == {
        "kind": "render",
        "detail": "line 3, column 16: properties.coupon is missing in this event, "
        "and so is properties.rest (line 4, column 13)",
    }


def test_fail_holds_for_the_url_and_the_headers_too(api: Api, site: Site) -> None:
    site.create(transport={"url": f"{site.hook}?user={{{{user_data.external_id}}}}"}, on_missing="fail")
    detail = ok(api.get(f"/v1/dead-letters/{site.kill()['id']}"))["error"]["detail"]
    assert "the URL, line 1, column " in detail
    assert "user_data.external_id is missing in this event" in detail
    assert site.requests == []


def test_an_unknown_on_missing_is_refused(api: Api, site: Site) -> None:
    answer = api.post("/v1/destinations", site.draft(on_missing="ignore"))
    problem(answer, 422, answer.body["code"], pointer="/on_missing", says="ignore")


def test_a_preview_lists_every_missing_path_with_its_place(api: Api, site: Site) -> None:
    made = site.create(
        transport={"url": f"{site.hook}/{{{{platform}}}}", "headers": {"X-Shop": "{{context.shop}}"}},
        template='{"a": "{{properties.a}}",\n "b": "{{properties.b}}", "again": "{{properties.a}}"}',
    )
    for call in ("preview", "test"):
        render = ok(api.post(f"/v1/destinations/{made['id']}/{call}", {"event": site.event()}))["steps"]["render"]
        assert render["valid"] is True
        assert render["missing"] == ["platform", "context.shop", "properties.a", "properties.b"]
        places = [(each["pointer"], each["path"], each["line"], each["column"]) for each in render["missing_places"]]
        assert places[1:] == [
            ("/transport/headers/X-Shop", "context.shop", 1, 3),
            ("/template", "properties.a", 1, 10),
            ("/template", "properties.b", 2, 10),
            ("/template", "properties.a", 2, 39),
        ]
        assert places[0][:3] == ("/transport/url", "platform", 1)


@pytest.mark.parametrize("call", ["preview", "test"])
def test_under_fail_they_are_listed_as_well_and_nothing_is_sent(api: Api, site: Site, call: str) -> None:
    made = site.create(template=TEMPLATE, on_missing="fail")
    answer = ok(api.post(f"/v1/destinations/{made['id']}/{call}", {"event": site.event()}))
    render = answer["steps"]["render"]
    assert render["valid"] is False
    assert render["missing"] == ["properties.order_id", "properties.coupon", "properties.rest"]
    assert [(each["line"], each["column"]) for each in render["missing_places"]] == [(2, 15), (3, 16), (4, 13)]
    assert "properties.order_id is missing" in render["error"]
    assert site.requests == []


def test_what_a_template_asks_for_is_not_missing(api: Api, site: Site) -> None:
    made = site.create(
        template='{"a": "{{default properties.a "x"}}"{{#if properties.b}}, "b": "{{properties.b}}"{{/if}}}'
    )
    assert preview(api, made, event=site.event())["missing"] == []


def test_a_save_warns_of_paths_that_recent_matching_events_lack(api: Api, site: Site) -> None:
    for number in range(5):
        site.send(properties={"order_id": str(number)} | ({"coupon": "A"} if number < 2 else {}))
    made = site.create(template='{"order": "{{properties.order_id}}", "coupon": "{{properties.coupon}}"}')
    assert made["warnings"] == ["3 of the last 5 matching events have no properties.coupon"]
    path = f"/v1/destinations/{made['id']}"
    fails = ok(api.patch(path, {"on_missing": "fail"}))["warnings"]
    assert fails == [
        "3 of the last 5 matching events have no properties.coupon",
        "3 of the last 5 matching events could not be sent: "
        "line 1, column 51: properties.coupon is missing in this event",
    ]
    assert ok(api.patch(path, {"template": '{"order": "{{properties.order_id}}"}'}))["warnings"] == []


def test_a_warning_counts_at_most_a_hundred_events_and_no_tests(api: Api, site: Site) -> None:
    events = [site.event(properties={"n": number}) for number in range(130)]
    ok(api.post("/v1/events/batch", {"events": events}), 202)
    made = site.create(template='{"n": {{properties.n}}}')
    assert made["warnings"] == []
    ok(api.post(f"/v1/destinations/{made['id']}/test", {"event": site.event()}))
    changed = ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"n": "{{properties.gone}}"}'}))
    assert changed["warnings"] == ["100 of the last 100 matching events have no properties.gone"]


def test_what_is_missing_is_counted_although_a_secret_does_not_exist_yet(site: Site) -> None:
    site.send(properties={})
    made = site.create(template='{"t": "{{secrets.not_there_yet}}", "c": "{{properties.coupon}}"}')
    assert made["warnings"] == [
        "the secret not_there_yet does not exist yet: deliveries fail until it does",
        "1 of the last 1 matching events have no properties.coupon",
    ]


def test_an_error_that_quotes_a_value_quotes_no_secret(api: Api, site: Site) -> None:
    name, value = f"token_{site.name}", "zq-Kestrel-77"
    ok(api.put(f"/v1/secrets/{name}", {"value": value}))
    made = site.create(template=f'{{"a": {{{{round secrets.{name}}}}}, "b": {{{{round (upper secrets.{name})}}}}}}')
    delivery = site.kill()
    path = f"/v1/destinations/{made['id']}"
    answers = [
        made,
        ok(api.get(f"/v1/dead-letters/{delivery['id']}")),
        *(ok(api.post(f"{path}/{call}", {"event": site.event()})) for call in ("preview", "test")),
        ok(api.post(f"{path}/compare", {"template": f'{{"a": {{{{round (upper secrets.{name})}}}}}}'})),
        ok(api.patch(path, {"note": "again"})),
    ]
    text = json.dumps(answers, ensure_ascii=False)
    assert "expected a number" in text
    assert "kestrel" not in text.lower()
