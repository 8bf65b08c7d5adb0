"""The guide's four templates give valid JSON, whatever the event holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.template import guide
from tracklayer.template import compile_template

HOSTILE = [
    'a "quoted" text',
    "back\\slash \\u0041 \\",
    "line\nbreak\r\n\ttab",
    "</script><!-- & 'x'",
    "{{secrets.token}} {{{raw}}} }} {{#each x}}",
    "emoji 😀 – é ∑ \u2028\u2029 \u007f \u0000\u001f",
    "lone \ud800 surrogate \udfff",
    '", "injected": "yes',
    "",
    " ",
]


def event(text: str = "plain", value: object = Decimal("149.90")) -> dict[str, Any]:
    return {
        "event_id": f"id {text}",
        "event_name": f"name {text}",
        "occurred_at": "2026-05-05T10:30:00Z",
        "received_at": "2026-05-05T10:30:01Z",
        "platform": text,
        "segment": [text, "b2b_accounts"],
        "user_data": {"external_id": text, "email_hash": f"hash {text}"},
        "properties": {"order_id": text, "value": value, "currency": text, "items": [{text: text}]},
        "context": {},
        "consent": {},
        "secrets": {},
        "destination": {},
        "delivery": {},
    }


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", guide.ALL)
def test_hostile_values_come_through_every_template_unchanged(name: str, text: str) -> None:
    given = event(text)
    rendered = compile_template(guide.ALL[name]).render(given).text
    rendered.encode("utf-8")
    body = json.loads(rendered)
    expected = {
        "payload": {
            "type": given["event_name"],
            "timestamp": given["occurred_at"],
            "user": given["user_data"] | {"email_hash": f"hash {text}"},
            "order_id": text,
            "value": "149.90",
            "currency": text,
        },
        "slack": {
            "text": f"TrackLayer name {text} for order {text}",
            "blocks": [
                {
                    "type": "section",
                    "text": {"type": "mrkdwn", "text": f"*name {text}* from {text} — value 149.90 {text}"},
                }
            ],
        },
        "rest": {
            "event_id": given["event_id"],
            "event_name": given["event_name"],
            "segment": f"{text},b2b_accounts",
            "customer": {"id": text, "email_hash": f"hash {text}"},
            "properties": json.loads(json.dumps(given["properties"], default=float)),
        },
        "mixpanel": {
            "event": given["event_name"],
            "properties": {
                "time": given["occurred_at"],
                "distinct_id": text,
                "$insert_id": given["event_id"],
                "value": "149.90",
                "currency": text,
            },
        },
    }
    assert body == expected[name]


@pytest.mark.parametrize("name", guide.ALL)
def test_an_event_without_anything_gives_valid_json_and_a_list_of_what_is_missing(name: str) -> None:
    template = compile_template(guide.ALL[name])
    rendered = template.render({})
    json.loads(rendered.text)
    assert rendered.missing == template.paths


def test_the_paths_of_a_template_are_listed_with_their_places() -> None:
    template = compile_template(guide.PAYLOAD)
    assert [(use.path, use.line, use.column) for use in template.paths] == [
        ("event_name", 2, 12),
        ("occurred_at", 3, 17),
        ("user_data.email_hash", 5, 18),
        ("user_data.external_id", 6, 19),
        ("properties.order_id", 8, 16),
        ("properties.value", 9, 13),
        ("properties.currency", 10, 16),
    ]
    assert template.secrets == frozenset()
    assert not template.is_literal
    assert template.source == guide.PAYLOAD


def test_numbers_keep_their_digits_and_numbers_inside_of_json_stay_numbers() -> None:
    rendered = compile_template(guide.REST).render(event(value=Decimal("149.90"))).text
    assert '"value":149.90' in rendered
    assert compile_template('{"v": {{properties.value}}}').render(event()).text == '{"v": 149.90}'


def test_a_header_template_without_tags_is_literal() -> None:
    template = compile_template('{"fixed": true}')
    assert template.is_literal
    assert template.render({}).text == '{"fixed": true}'
