"""The presets: each works as it is, once its secrets are set, and knows its receiver's answers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.harness import Api
from tests.template import guide
from tests.web.expect import ok
from tracklayer.catalog import Plan, PlanLimits, compile_plan
from tracklayer.delivery.classify import classify
from tracklayer.delivery.limits import Limit
from tracklayer.delivery.render import Rendered
from tracklayer.model.delivery import Response
from tracklayer.model.event import decode_json, encode_json, event_fields
from tracklayer.operate.draft import draft_config, read_draft
from tracklayer.operate.rehearsal import SYNTHETIC_EVENT
from tracklayer.pipeline.normalize import normalize
from tracklayer.presets import Preset, presets

PRESETS = {preset.name: preset for preset in presets()}
REAL_EVENT: dict[str, Any] = {
    **SYNTHETIC_EVENT,
    "event_id": "ord_548291_purchase",
    "occurred_at": "2026-05-05T10:30:00Z",
    "user_data": {"external_id": "u_1", "email": "qa+destinations@tracklayer.test"},
}


def plan(name: str) -> Plan:
    draft = read_draft(encode_json(PRESETS[name].destination))
    return compile_plan(draft_config(draft, signed=False), PlanLimits())


def rendered(name: str, **fields: Any) -> Rendered:
    event = normalize({**REAL_EVENT, **fields}, now=1_778_000_000.0, new_id=lambda: "evt")
    scope = {
        **event_fields(event),
        "secrets": {secret: f"s3cret-{secret}" for secret in PRESETS[name].secrets},
        "destination": {},
        "delivery": {},
    }
    return plan(name).renderer.render(event, scope)


def body(name: str, **fields: Any) -> Any:
    made = rendered(name, **fields)
    assert made.invalid is None
    assert made.body is not None
    return decode_json(made.body)


def verdict(name: str, status: int, text: str = "", **headers: str) -> str:
    response = Response(status=status, body=text.encode(), headers=tuple(headers.items()))
    return classify(plan(name).rules, response, 0.0).action


def test_there_are_the_guides_three_and_pagerduty() -> None:
    assert list(PRESETS) == ["mixpanel", "pagerduty", "rest", "slack"]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_preset_names_exactly_the_secrets_that_it_needs(preset: Preset) -> None:
    assert plan(preset.name).renderer.secrets == preset.secrets.keys()
    assert all(preset.secrets.values())
    assert preset.title
    assert preset.description


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("event", [REAL_EVENT, SYNTHETIC_EVENT, {"event_name": 'with "quotes"'}], ids=range(3))
def test_a_preset_renders_valid_json_whatever_the_event_lacks(name: str, event: dict[str, Any]) -> None:
    made = normalize(event, now=1_778_000_000.0, new_id=lambda: "evt")
    scope = {**event_fields(made), "secrets": dict.fromkeys(PRESETS[name].secrets, "x"), "destination": {}}
    result = plan(name).renderer.render(made, scope)
    assert result.invalid is None
    json.loads(result.body or b"")


# In substance the guide's: the same keys with the same templates, whatever else a receiver needs


def test_slack_is_the_guides() -> None:
    assert without_space(PRESETS["slack"].destination["template"]) == without_space(guide.SLACK)
    assert body("slack")["text"] == "TrackLayer purchase for order TEST-100045"


def test_rest_is_the_guides() -> None:
    assert without_space(PRESETS["rest"].destination["template"]) == without_space(guide.REST)
    assert body("rest")["properties"] == normalize(REAL_EVENT, now=0.0, new_id=str).properties


def test_mixpanel_is_the_guides_with_the_token_and_with_unix_time() -> None:
    (event,) = body("mixpanel")
    assert event == {
        "event": "purchase",
        "properties": {
            "token": "s3cret-mixpanel_token",
            "time": 1777977000,
            "distinct_id": "u_1",
            "$insert_id": "ord_548291_purchase",
            "value": "149.99",
            "currency": "USD",
        },
    }
    wanted = json.loads(guide.MIXPANEL)["properties"]
    ours = PRESETS["mixpanel"].destination["template"]
    for key in wanted.keys() - {"time"}:
        assert f'"{key}": "{wanted[key]}"' in ours


def test_pagerduty_keeps_its_limits() -> None:
    long = "x" * 2000
    event = body("pagerduty", event_id="e" * 200, properties={"order_id": long})
    assert len(event["payload"]["summary"]) == 1024
    assert event["dedup_key"] == "e" * 200  # an event id is never longer; PagerDuty takes 255
    short = body("pagerduty")
    assert (short["routing_key"], short["event_action"]) == ("s3cret-pagerduty_routing_key", "trigger")
    assert short["dedup_key"] == "ord_548291_purchase"
    assert short["payload"]["summary"] == "purchase for order TEST-100045"
    assert (short["payload"]["source"], short["payload"]["severity"]) == ("shopify", "warning")


# Where to, how fast, and what counts as delivered (the receivers' answers)


@pytest.mark.parametrize(
    "name, url",
    [
        ("slack", "https://hooks.slack.com/services/T000/B000/XXXX"),
        ("pagerduty", "https://events.pagerduty.com/v2/enqueue"),
        ("mixpanel", "https://api.mixpanel.com/track"),
    ],
)
def test_a_preset_posts_to_its_receiver(name: str, url: str) -> None:
    event = normalize(REAL_EVENT, now=1_778_000_000.0, new_id=lambda: "evt")
    scope = {**event_fields(event), "secrets": dict.fromkeys(PRESETS[name].secrets, "T000/B000/XXXX")}
    made = plan(name).renderer.render(event, scope)
    assert (made.method, made.url) == ("POST", url)


@pytest.mark.parametrize(
    "name, limit",
    [("slack", Limit(1, 2)), ("pagerduty", Limit(2, 2)), ("rest", Limit(25, 25)), ("mixpanel", Limit(100, 100))],
)
def test_a_preset_has_the_pace_of_its_receiver(name: str, limit: Limit) -> None:
    assert plan(name).limit == limit


@pytest.mark.parametrize(
    "name, status, text, action",
    [
        ("slack", 200, "ok", "delivered"),
        ("slack", 200, "invalid_token", "dead"),
        ("slack", 400, "invalid_payload", "dead"),
        ("slack", 403, "action_prohibited", "dead"),
        ("slack", 404, "channel_not_found", "dead"),
        ("slack", 410, "channel_is_archived", "dead"),
        ("slack", 429, "", "retry"),
        ("pagerduty", 202, '{"status":"success","message":"Event processed","dedup_key":"k"}', "delivered"),
        ("pagerduty", 400, '{"status":"invalid event"}', "dead"),
        ("pagerduty", 429, "", "retry"),
        ("pagerduty", 500, "", "retry"),
        ("mixpanel", 200, "1", "delivered"),
        ("mixpanel", 200, "0", "dead"),
        ("mixpanel", 200, '{"error":"token, missing or empty","status":0}', "dead"),
        ("mixpanel", 413, "", "dead"),
        ("mixpanel", 502, "", "retry"),
        ("rest", 200, "", "delivered"),
        ("rest", 201, "{}", "delivered"),
        ("rest", 401, "", "dead"),
        ("rest", 503, "", "retry"),
    ],
)
def test_a_preset_knows_its_receivers_answers(name: str, status: int, text: str, action: str) -> None:
    assert verdict(name, status, text) == action


# Over the API


def test_presets_are_listed_and_each_can_be_saved_as_it_is(api: Api) -> None:
    listed = ok(api.get("/v1/presets"))
    assert listed["next_cursor"] is None
    assert [each["name"] for each in listed["data"]] == list(PRESETS)
    for each in listed["data"]:
        assert each.keys() == {"name", "title", "description", "secrets", "destination"}
        made = ok(api.post("/v1/destinations", each["destination"] | {"status": "draft"}), 201)
        wanted = [f"the secret {name} does not exist yet: deliveries fail until it does" for name in each["secrets"]]
        assert made["warnings"][: len(wanted)] == wanted
        api.delete(f"/v1/destinations/{made['id']}")


def without_space(template: str) -> str:
    return re.sub(r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", template)
