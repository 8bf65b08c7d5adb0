"""`body_schema`: a receiver's contract holds on save, in a preview and before every request."""

from __future__ import annotations

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site

TEMPLATE = '{"order": {"id": "{{properties.order_id}}", "value": {{properties.value}}}}'
SCHEMA = {
    "type": "object",
    "properties": {
        "order": {
            "type": "object",
            "properties": {"id": {"type": "string", "minLength": 1}, "value": {"type": "number", "multipleOf": 0.01}},
            "required": ["id", "value"],
        }
    },
}
NO_ID = "the rendered body breaks body_schema at /order/id: the value is shorter than 1 character"


def test_a_body_that_keeps_the_contract_is_delivered(site: Site) -> None:
    made = site.create(template=TEMPLATE, body_schema=SCHEMA)
    assert (made["body_schema"], made["warnings"]) == (SCHEMA, [])
    request = site.deliver(properties={"order_id": "1", "value": 149.99})
    assert request.body == b'{"order": {"id": "1", "value": 149.99}}'


def test_a_violation_goes_to_the_dead_letters_with_its_place_and_without_a_retry(api: Api, site: Site) -> None:
    site.create(template=TEMPLATE, body_schema=SCHEMA)
    delivery = site.kill(properties={"value": 1})
    letter = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))
    assert letter["error"] == {"kind": "validate", "detail": NO_ID}
    assert letter["attempt_count"] == 1
    assert letter["request"]["body"] == '{"order": {"id": "", "value": 1}}'
    assert site.requests == []


def test_the_message_does_not_quote_the_value(api: Api, site: Site) -> None:
    site.create(template='{"email": "{{user_data.email}}"}', body_schema={"properties": {"email": {"maxLength": 3}}})
    delivery = site.kill(user_data={"email": "jane@example.com"})
    detail = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))["error"]["detail"]
    assert detail.startswith("the rendered body breaks body_schema at /email: ")
    assert "jane" not in detail


def test_without_a_template_the_canonical_event_must_keep_it(api: Api, site: Site) -> None:
    site.create(body_schema={"properties": {"platform": {"const": "shopify"}}})
    delivery = site.kill(platform="web")
    assert "body_schema at /platform: " in ok(api.get(f"/v1/dead-letters/{delivery['id']}"))["error"]["detail"]
    site.deliver(platform="shopify")


def test_a_replay_as_sent_is_checked_as_well(api: Api, site: Site) -> None:
    made = site.create(template=TEMPLATE, body_schema=SCHEMA)
    delivery = site.kill(properties={"value": 1})
    path = f"/v1/dead-letters/{delivery['id']}/replay"
    ok(api.post(path, {"mode": "as_sent"}))
    again = site.settled(delivery["event_id"], "dead")
    assert (again["attempt_count"], site.requests) == (2, [])
    ok(api.patch(f"/v1/destinations/{made['id']}", {"body_schema": None}))
    ok(api.post(path, {"mode": "as_sent"}))
    site.settled(delivery["event_id"], "delivered")
    assert [request.body for request in site.requests] == [b'{"order": {"id": "", "value": 1}}']


@pytest.mark.parametrize("call", ["preview", "test"])
def test_a_preview_and_a_test_show_the_violation_and_the_body(api: Api, site: Site, call: str) -> None:
    made = site.create(template=TEMPLATE, body_schema=SCHEMA)
    body = {"event": site.event(properties={"value": 1})}
    render = ok(api.post(f"/v1/destinations/{made['id']}/{call}", body))["steps"]["render"]
    assert (render["valid"], render["error"]) == (False, NO_ID)
    assert render["missing"] == ["properties.order_id"]
    if call == "preview":
        assert render["request"]["body"] == '{"order": {"id": "", "value": 1}}'
    assert site.requests == []


def test_a_schema_can_be_tried_in_a_preview_before_it_is_saved(api: Api, site: Site) -> None:
    made = site.create(template=TEMPLATE)
    body = {"event": site.event(properties={"value": 1}), "body_schema": SCHEMA}
    assert ok(api.post(f"/v1/destinations/{made['id']}/preview", body))["steps"]["render"]["error"] == NO_ID
    assert ok(api.get(f"/v1/destinations/{made['id']}"))["body_schema"] is None


@pytest.mark.parametrize(
    "schema, pointer, says",
    [
        ({"type": "objekt"}, "/body_schema/type", "objekt"),
        ({"properties": {"a/b": {"minLength": -1}}}, "/body_schema/properties/a~1b/minLength", "-1"),
        ({"pattern": "("}, "/body_schema/pattern", "regex"),
        ({"$ref": "#/$defs/none"}, "/body_schema", "/$defs/none"),
        ({"$ref": "https://schemas.example.com/order.json"}, "/body_schema", "schemas.example.com"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/body_schema/$schema", "2020-12"),
        ("an object, please", "/body_schema", "object"),
    ],
)
def test_what_is_no_schema_is_refused_on_save_with_its_place(
    api: Api, site: Site, schema: object, pointer: str, says: str
) -> None:
    answer = api.post("/v1/destinations", site.draft(body_schema=schema))
    problem(answer, 422, answer.body["code"], pointer=pointer, says=says)
    made = site.create()
    answer = api.patch(f"/v1/destinations/{made['id']}", {"body_schema": schema})
    problem(answer, 422, answer.body["code"], pointer=pointer, says=says)
    assert ok(api.get(f"/v1/destinations/{made['id']}"))["version"] == 1


def test_a_body_that_is_not_json_has_no_schema(api: Api, site: Site) -> None:
    draft = site.draft(
        transport={"headers": {"Content-Type": "text/plain"}}, template="{{event_name}}", body_schema={"type": "string"}
    )
    problem(api.post("/v1/destinations", draft), 422, "invalid_schema", pointer="/body_schema", says="text/plain")
    hooks = draft | {"transport": {"url": site.hook, "headers": {"content-type": "application/vnd.acme+json"}}}
    assert ok(api.post("/v1/destinations?dry_run=true", hooks | {"template": '"x"'}))["changed"] is True


def test_a_synthetic_event_that_breaks_it_is_a_warning_on_save(api: Api, site: Site) -> None:
    schema = {"required": ["loyalty_tier"]}
    only_synthetic = {"event_name": "purchase", "properties.order_id": "TEST-100045"}  # no purchase of another test
    matching = site.create(template="{}", body_schema=schema, filter=only_synthetic)
    assert matching["warnings"] == [
        'the synthetic event could not be sent: the rendered body breaks body_schema at the whole body: "loyalty_tier" '
        "is a required property"
    ]
    unmatched = {"event_name": "purchase", "platform": site.name}
    assert site.create(template="{}", body_schema=schema, filter=unmatched)["warnings"] == []


def test_a_save_counts_the_recent_events_that_would_break_it(api: Api, site: Site) -> None:
    for order in ("1", "", ""):
        site.send(properties={"order_id": order, "value": 1})
    made = site.create(template=TEMPLATE, body_schema=SCHEMA)
    assert made["warnings"] == [f"2 of the last 3 matching events could not be sent: {NO_ID}"]


def test_a_number_beyond_all_measure_is_no_fault_of_ours(api: Api, site: Site) -> None:
    site.create(template='{"v": {{{properties.raw}}}}', body_schema={"properties": {"v": {"maximum": 2}}})
    for raw in ("1e999999999999999999", "9" * 5000):
        delivery = site.kill(properties={"raw": raw})
        detail = ok(api.get(f"/v1/dead-letters/{delivery['id']}"))["error"]["detail"]
        assert "body_schema" in detail
