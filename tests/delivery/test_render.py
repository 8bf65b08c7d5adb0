"""From a destination's transport and template to a request."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.delivery.render import Rendered, Renderer, invalid_json, stamp
from tracklayer.errors import Invalid
from tracklayer.model.delivery import Request
from tracklayer.model.destination import DestinationConfig, Transport
from tracklayer.model.event import Event, event_fields, event_to_json
from tracklayer.template import Limits, RenderError

NASTY = 'a "quoted"\nline\r\n\t\\ </script> {{event_name}} {{{raw}}} 😀 \x00 \u2028 é'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def event(**fields: Any) -> Event:
    given_fields = {
        "event_id": "ord_1",
        "event_name": "purchase",
        "occurred_at": "2026-05-05T10:30:00Z",
        "received_at": "2026-05-05T10:30:01Z",
    }
    return Event(**(given_fields | fields))


def renderer(template: str | None = None, **transport: Any) -> Renderer:
    config = DestinationConfig(
        name="d", transport=Transport(**({"url": "https://receiver.test/hook"} | transport)), template=template
    )
    return Renderer(config, Limits())


def rendered(made: Renderer, given_event: Event, **scope: Any) -> Rendered:
    return made.render(given_event, {**event_fields(given_event), "secrets": {}, **scope})


def stamped(made: Renderer, given_event: Event, **changes: Any) -> Request:
    facts: dict[str, Any] = {
        "delivery_id": "dlv_1",
        "event_id": given_event.event_id,
        "attempt": 2,
        "timestamp": 1_770_000_000,
        "agent": "TrackLayer/1",
        "signature": (("X-TrackLayer-Signature", "sha256=00"),),
    }
    return stamp(rendered(made, given_event), made, **(facts | changes))


def header(request: Request, name: str) -> str | None:
    values = [value for known, value in request.headers if known.lower() == name.lower()]
    assert len(values) < 2
    return values[0] if values else None


# The body


def test_without_a_template_the_canonical_event_is_the_body() -> None:
    given_event = event(properties={"note": NASTY})
    assert rendered(renderer(), given_event).body == event_to_json(given_event)


def test_a_get_has_no_body() -> None:
    request = stamped(renderer('"never rendered"', method="GET"), event())
    assert request.body is None
    assert header(request, "Content-Type") is None


GUIDE = {
    "custom": """{
"type": "{{event_name}}",
"timestamp": "{{occurred_at}}",
"user": {
"email_hash": "{{user_data.email_hash}}",
"external_id": "{{user_data.external_id}}"
},
"order_id": "{{properties.order_id}}",
"value": "{{properties.value}}",
"currency": "{{properties.currency}}"
}""",
    "slack": """{
"text": "TrackLayer {{event_name}} for order {{properties.order_id}}",
"blocks": [
{
"type": "section",
"text": {
"type": "mrkdwn",
"text": "*{{event_name}}* from {{platform}} — value {{properties.value}} {{properties.currency}}"
}
}
]
}""",
    "rest": """{
"event_id": "{{event_id}}",
"event_name": "{{event_name}}",
"segment": "{{segment}}",
"customer": {
"id": "{{user_data.external_id}}",
"email_hash": "{{user_data.email_hash}}"
},
"properties": {{json properties}}
}""",
    "mixpanel": """{
"event": "{{event_name}}",
"properties": {
"time": "{{occurred_at}}",
"distinct_id": "{{user_data.external_id}}",
"$insert_id": "{{event_id}}",
"value": "{{properties.value}}",
"currency": "{{properties.currency}}"
}
}""",
}


@pytest.mark.parametrize("name", GUIDE)
@given(value=st.one_of(st.just(NASTY), texts))
def test_the_guides_templates_render_to_valid_json_whatever_the_values_are(name: str, value: str) -> None:
    given_event = event(
        event_id=value,
        event_name=value,
        platform=value,
        segment=[value, "b2b"],
        user_data={"email_hash": value, "external_id": value},
        properties={"order_id": value, "value": value, "currency": value, "more": [value, {value: value}]},
    )
    result = rendered(renderer(GUIDE[name]), given_event)
    assert result.invalid is None
    assert result.body is not None
    body = json.loads(result.body)
    if name == "rest":
        assert body["properties"] == given_event.properties
        assert body["segment"] == f"{value},b2b"
    if name == "mixpanel":
        assert body["properties"]["$insert_id"] == value


def test_a_body_that_is_not_json_must_not_be_sent_and_is_there_to_be_seen() -> None:
    result = rendered(renderer('{"n": {{{properties.raw}}}}'), event(properties={"raw": "oops"}))
    assert result.body == b'{"n": oops}'
    assert "not valid JSON" in (result.invalid or "")


def test_a_body_of_another_type_is_not_held_against_json() -> None:
    made = renderer("{{properties.text}}!", headers={"Content-Type": "text/plain"})
    result = rendered(made, event(properties={"text": NASTY}))
    assert result.invalid is None
    assert result.body == f"{NASTY}!".encode()


@given(value=texts)
def test_a_form_keeps_every_value_apart(value: str) -> None:
    made = renderer("a={{properties.a}}&b=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    body = rendered(made, event(properties={"a": value})).body or b""
    assert parse_qsl(body.decode(), keep_blank_values=True) == [("a", value), ("b", "1")]


def test_what_the_event_does_not_have_is_named() -> None:
    missing = rendered(renderer('{"a": "{{properties.nothing}}", "b": "{{event_id}}"}'), event()).missing
    assert [use.path for use in missing] == ["properties.nothing"]


def test_a_kept_body_goes_out_as_it_is() -> None:
    made = renderer('{"v": 2}')
    assert made.render(event(), {"secrets": {}}, kept_body=b'{"v": 1}').body == b'{"v": 1}'


@pytest.mark.parametrize("body, valid", [(b'{"a": 1}', True), (b"", False), (b"{} {}", False), (b"[" * 10_000, False)])
def test_json_is_checked_whole(body: bytes, valid: bool) -> None:
    assert (invalid_json(body) is None) is valid


# The URL and the headers


@given(value=texts)
def test_no_value_leaves_its_place_in_the_url(value: str) -> None:
    made = renderer(url="https://receiver.test/{{properties.a}}/x?b={{properties.a}}&c=1")
    parts = urlsplit(rendered(made, event(properties={"a": value})).url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "receiver.test", "")
    assert unquote(parts.path) == f"/{value}/x"
    assert parse_qsl(parts.query, keep_blank_values=True) == [("b", value), ("c", "1")]


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "nul\x00", "snow ☃"])
def test_a_header_that_cannot_be_carried_is_an_error_and_no_request(value: str) -> None:
    made = renderer(headers={"X-Name": "{{properties.name}}"})
    with pytest.raises(RenderError, match="the header X-Name"):
        rendered(made, event(properties={"name": value}))


def test_people_are_shown_a_masked_header_that_could_not_be_sent() -> None:
    made = renderer(headers={"Authorization": "Bearer {{secrets.token}}"})
    shown = made.show(event(), {"secrets": {"token": "••••3b27"}})
    assert shown.headers == (("Authorization", "Bearer ••••3b27"),)


def test_every_request_carries_what_receivers_rely_on() -> None:
    request = stamped(renderer(headers={"X-Environment": "production"}, timeout="7s", connect_timeout=2), event())
    assert request.headers == (
        ("X-Environment", "production"),
        ("Content-Type", "application/json"),
        ("User-Agent", "TrackLayer/1"),
        ("X-TrackLayer-Event-Id", "ord_1"),
        ("X-TrackLayer-Delivery-Id", "dlv_1"),
        ("X-TrackLayer-Attempt", "2"),
        ("X-TrackLayer-Timestamp", "1770000000"),
        ("Idempotency-Key", "dlv_1"),
        ("X-TrackLayer-Signature", "sha256=00"),
    )
    assert (request.timeout, request.connect_timeout, request.read_timeout) == (7.0, 2.0, None)


def test_the_content_type_and_the_agent_may_be_replaced() -> None:
    request = stamped(renderer(headers={"content-type": "application/vnd.x+json", "USER-AGENT": "shop"}), event())
    assert header(request, "Content-Type") == "application/vnd.x+json"
    assert header(request, "User-Agent") == "shop"


@given(event_id=texts.filter(bool))
def test_any_event_id_can_stand_in_its_header_and_be_read_back(event_id: str) -> None:
    sent = header(stamped(renderer(), event(event_id=event_id)), "X-TrackLayer-Event-Id") or ""
    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent
    if not event_id.isascii() or not event_id.isprintable() or " " in event_id:
        assert unquote(sent) == unquote(event_id)
    else:
        assert sent == event_id


# What is refused when a destination is saved


@pytest.mark.parametrize("port", ["99999", "0", "http", "8O"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(Invalid, match=f"the port of the URL is '{port}': expected 1 to 65535"):
        renderer(url=f"https://receiver.test:{port}/in")


@pytest.mark.parametrize(
    "transport, code, place",
    [
        ({"url": "ftp://receiver.test/"}, "invalid_url", "/transport/url"),
        ({"url": "https://{{properties.host}}/"}, "invalid_url", "/transport/url"),
        ({"url": "https://receiver.{{properties.host}}/"}, "invalid_url", "/transport/url"),
        ({"url": "https://user:password@receiver.test/"}, "invalid_url", "/transport/url"),
        ({"url": "https://receiver.test/{{"}, "invalid_template", "/transport/url"),
        ({"headers": {"X-A": "{{"}}, "invalid_template", "/transport/headers/X-A"),
        ({"headers": {"X-A": "a\r\nX-B: 1"}}, "invalid_header", "/transport/headers/X-A"),
        ({"headers": {"X A": "1"}}, "invalid_header", "/transport/headers/X A"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "invalid_header", "/transport/headers/X-A"),
        ({"headers": {"Idempotency-Key": "1"}}, "reserved_header", "/transport/headers/Idempotency-Key"),
        ({"headers": {"host": "1"}}, "reserved_header", "/transport/headers/host"),
        ({"headers": {"Content-Length": "1"}}, "reserved_header", "/transport/headers/Content-Length"),
        ({"headers": {"x-tracklayer-attempt": "1"}}, "reserved_header", "/transport/headers/x-tracklayer-attempt"),
        ({"headers": {"webhook-id": "1"}}, "reserved_header", "/transport/headers/webhook-id"),
        ({"timeout": "0s"}, "invalid_duration", "/transport/timeout"),
        ({"connect_timeout": "10m"}, "invalid_duration", "/transport/connect_timeout"),
        ({"read_timeout": "soon"}, "invalid_duration", "/transport/read_timeout"),
    ],
)
def test_a_transport_that_cannot_work_is_refused_with_its_place(
    transport: dict[str, Any], code: str, place: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        renderer(**transport)
    assert (refusal.value.code, refusal.value.pointer) == (code, place)


def test_a_template_that_cannot_be_compiled_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid) as refusal:
        renderer('{"a": "{{#if}}"}')
    assert refusal.value.pointer == "/template"


def test_the_secrets_that_a_destination_uses_are_known() -> None:
    made = renderer(
        '{"t": "{{secrets.in_body}}"}',
        url="https://receiver.test/{{secrets.in_url}}",
        headers={"Authorization": "Bearer {{secrets.in_header}}"},
    )
    assert made.secrets == {"in_body", "in_url", "in_header"}
