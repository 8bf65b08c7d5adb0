from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid, Malformed, TooLarge, TrackLayerError
from tracklayer.model.event import Event, encode_json
from tracklayer.pipeline.normalize import normalize
from tracklayer.sources.segment import BATCH_CALLS, CALLS, PATHS, SegmentSettings, map_call, read_calls

NOW = 1_777_977_001.5  # 2026-05-05T10:30:01.500Z
PLAIN = SegmentSettings()
IDS: dict[str, Any] = {"messageId": "m1", "userId": "u1", "anonymousId": "a1"}


def mapped(settings: SegmentSettings = PLAIN, **call: Any) -> dict[str, Any]:
    return map_call({**IDS, **call}, settings)


def event(**call: Any) -> Event:
    return normalize(mapped(**call), now=NOW, new_id=lambda: "made")


def test_a_track_call_becomes_an_event() -> None:
    call = event(
        type="track",
        event="Order Completed",
        timestamp="2026-05-05T10:30:00Z",
        sentAt="2026-05-05T10:30:01Z",
        properties={
            "order_id": 100045,
            "revenue": Decimal("149.90"),
            "currency": "usd",
            "products": [{"product_id": 7, "sku": "A-7", "name": "Mug", "price": Decimal("9.90"), "quantity": 2}],
        },
    )
    assert call.event_id == "m1"
    assert call.event_name == "purchase"
    assert call.occurred_at == "2026-05-05T10:30:00Z"
    assert call.user_data == {"external_id": "u1", "anonymous_id": "a1"}
    assert call.properties == {
        "order_id": "100045",
        "revenue": Decimal("149.90"),
        "value": Decimal("149.90"),
        "currency": "USD",
        "items": [{"id": "7", "sku": "A-7", "name": "Mug", "price": Decimal("9.90"), "quantity": 2}],
    }


@pytest.mark.parametrize("kind", [kind for kind, name in CALLS.items() if name is not None])
def test_every_other_kind_of_call_has_its_name(kind: str) -> None:
    assert event(type=kind).event_name == CALLS[kind]


def test_the_clock_of_the_sender_is_corrected_by_when_it_sent() -> None:
    late = event(type="track", event="x", originalTimestamp="2026-05-05T09:00:00Z", sentAt="2026-05-05T09:00:10Z")
    assert late.occurred_at == "2026-05-05T10:29:51.5Z"


def test_the_circumstances_find_their_canonical_places() -> None:
    context = event(
        type="track",
        event="x",
        context={
            "userAgent": "Mozilla/5.0",
            "ip": "203.0.113.9",
            "locale": "de-DE",
            "timezone": "Europe/Berlin",
            "page": {"url": "https://shop.example/?a=1", "path": "/", "referrer": "https://r.example", "title": "T"},
            "campaign": {"name": "spring", "source": "news", "medium": "email"},
            "device": {"manufacturer": "Apple", "model": "iPhone", "type": "mobile", "id": "d1"},
            "os": {"name": "iOS", "version": "19"},
            "library": {"name": "analytics-python", "version": "2.4"},
            "groupId": "g1",
            "app": {"name": "Shop"},
        },
    ).context
    assert context["user_agent"] == "Mozilla/5.0"
    assert "userAgent" not in context
    assert context["ip"] == "203.0.113.9"
    assert context["locale"] == "de-DE"
    assert context["timezone"] == "Europe/Berlin"
    assert context["page"]["url"] == "https://shop.example/?a=1"
    assert context["campaign"] == {"name": "spring", "source": "news", "medium": "email"}
    assert context["device"] == {"brand": "Apple", "model": "iPhone", "type": "mobile", "id": "d1"}
    assert context["os"] == {"family": "iOS", "version": "19"}
    assert context["library"] == {"name": "analytics-python", "version": "2.4"}
    assert context["group"] == {"id": "g1"}
    assert context["app"] == {"name": "Shop"}


def test_traits_of_identify_tell_who_it_is_wherever_they_stand() -> None:
    traits = {"email": "Jane@Example.com", "firstName": "Jane", "plan": "pro", "address": {"city": "Berlin"}}
    for call in (event(type="identify", traits=traits), event(type="identify", context={"traits": traits})):
        assert call.context["traits"] == traits
        assert call.user_data["email"] == "jane@example.com"
        assert call.user_data["email_hash"]
        assert call.user_data["first_name"] == "Jane"
        assert call.user_data["city"] == "Berlin"


def test_the_traits_of_a_group_are_not_its_users() -> None:
    call = event(type="group", groupId=9, traits={"email": "office@example.com", "employees": 12})
    assert call.context["group"] == {"id": "9", "traits": {"email": "office@example.com", "employees": 12}}
    assert "email" not in call.user_data
    assert "traits" not in call.context


def test_an_alias_keeps_the_previous_id() -> None:
    assert event(type="alias", previousId="a0").properties == {"previous_id": "a0"}


def test_a_page_call_tells_its_page() -> None:
    call = event(type="page", name="Pricing", category="Docs", properties={"url": "https://x.example/p", "title": "P"})
    assert call.properties == {
        "url": "https://x.example/p", "title": "P", "name": "Pricing", "category": "Docs"
    }  # fmt: skip
    assert call.context["page"] == {"url": "https://x.example/p", "title": "P"}


def test_what_tells_of_consent_stays_in_the_context_where_it_is_read() -> None:
    context = {
        "consent": {"categoryPreferences": {"advertising": True, "analytics": False}},
        "consentManagement": {"provider": "custom", "allowedConsentIds": ["c1"], "deniedConsentIds": ["c2"]},
    }
    assert mapped(type="page", context=context)["context"] == context


def test_global_privacy_control_of_the_browser_becomes_part_of_each_call() -> None:
    (single,) = read_calls(b'{"context": {"ip": "1.1.1.1"}}', "page", gpc=True).items
    assert single["context"] == {"gpc": True, "ip": "1.1.1.1"}
    batch = (
        b'{"context": {"locale": "de"}, "batch": [{"type": "page", "context": {"ip": "1.1.1.1"}}, {"type": "page"}]}'
    )
    first, second = read_calls(batch, None, gpc=True).items
    assert first["context"] == {"gpc": True, "locale": "de", "ip": "1.1.1.1"}
    assert second["context"] == {"gpc": True, "locale": "de"}


def test_what_a_page_says_of_global_privacy_control_does_not_undo_the_browsers() -> None:
    said = {"gpc": False}
    (single,) = read_calls(encode_json({"context": said}), "page", gpc=True).items
    inner, outer, none, odd = read_calls(
        encode_json({"context": said, "batch": [{"context": said}, {}, 7, {"context": "x"}]}), None, gpc=True
    ).items
    assert [each["context"] for each in (single, inner, outer)] == [{"gpc": True}] * 3
    assert (none, odd["context"]) == (7, "x")


def test_where_it_happened_is_the_channel_or_what_the_source_is_told() -> None:
    assert mapped(type="page", channel="mobile")["platform"] == "mobile"
    assert mapped(type="page", context={"library": {"name": "analytics.js"}})["platform"] == "web"
    assert mapped(SegmentSettings(platform="ios"), type="page", channel="mobile")["platform"] == "ios"
    assert "platform" not in mapped(type="page")


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_value_is_none(empty: Any) -> None:
    call = event(type="track", event="Order Completed", properties={"value": empty, "revenue": Decimal("149.9")})
    assert call.properties["value"] == Decimal("149.9")


def test_what_belongs_to_another_kind_of_call_is_kept_as_an_extra() -> None:
    loose = {"groupId": "g", "traits": {"plan": "pro"}, "name": "N", "category": "C", "previousId": "p"}
    assert event(type="track", event="E", **loose).context == {"extra": loose}
    assert event(type="identify", **loose, event="E").context == {
        "traits": {"plan": "pro"},
        "extra": {name: value for name, value in loose.items() if name != "traits"} | {"event": "E"},
    }
    assert event(type="track", event="E", receivedAt="2026-05-05T10:30:01Z").context == {
        "extra": {"receivedAt": "2026-05-05T10:30:01Z"}
    }
    page = event(type="page", name="Home", properties={"name": "Start"})
    assert (page.properties["name"], page.context["extra"]) == ("Start", {"name": "Home"})
    empty = dict.fromkeys(("groupId", "name", "previousId", "category"), None) | {"traits": {}}
    assert event(type="track", event="E", **empty).context == {}


def test_fields_that_nobody_knows_are_kept_and_the_key_is_not() -> None:
    call = event(type="page", writeKey="secret", integrations={"All": True}, custom=1, _metadata={"x": 1})
    assert call.context == {"extra": {"custom": 1}}
    assert event(type="page", integrations={"All": False}).context["extra"] == {"integrations": {"All": False}}


def test_a_field_with_the_name_of_one_of_ours_is_no_way_around_the_mapping() -> None:
    call = event(type="page", event_id="mine", segment=["vip"], platform="ours")
    assert (call.event_id, call.segment, call.platform) == ("m1", [], None)
    assert call.context["extra"] == {"event_id": "mine", "segment": ["vip"], "platform": "ours"}


def test_a_plain_consent_beside_the_fields_of_a_call_is_heard() -> None:
    assert event(type="page", consent={"adStorage": False, "marketing": "granted"}).consent == {
        "ad_storage": "denied",
        "marketing": "granted",
    }
    with pytest.raises(Invalid) as refused:
        event(type="page", consent="no")
    assert refused.value.pointer == "/consent"


@pytest.mark.parametrize(
    "call, at",
    [
        ({"type": "track"}, "/event"),
        ({"type": "track", "event": ""}, "/event"),
        ({"type": "track", "event": 7}, "/event"),
        ({"type": "dance"}, "/type"),
        ({}, "/type"),
        ({"type": "page", "context": "x"}, "/context"),
        ({"type": "identify", "traits": []}, "/traits"),
        ({"type": "page", "properties": "x"}, "/properties"),
        ("no object", ""),
    ],
)
def test_what_is_no_call_is_refused_with_its_place(call: Any, at: str) -> None:
    with pytest.raises(Invalid) as caught:
        map_call(call, PLAIN)
    assert caught.value.pointer == at


def test_what_stands_around_a_batch_becomes_part_of_each_call() -> None:
    body = {
        "writeKey": "k",
        "sentAt": "2026-05-05T10:30:00Z",
        "context": {"ip": "1.1.1.1", "locale": "de"},
        "integrations": {"A": True},
        "batch": [{"type": "page", "context": {"ip": "2.2.2.2"}}, {"type": "page", "context": None}, "no call"],
    }
    calls = read_calls(encode_json(body), None)
    assert calls.write_key == "k"
    around = {"sentAt": "2026-05-05T10:30:00Z", "integrations": {"A": True}, "type": "page"}
    assert calls.items == [
        {**around, "context": {"ip": "2.2.2.2", "locale": "de"}},
        {**around, "context": {"ip": "1.1.1.1", "locale": "de"}},
        "no call",
    ]


def test_the_path_says_what_a_single_call_is() -> None:
    assert read_calls(b'{"type": "track", "userId": "u"}', "page").items == [{"type": "page", "userId": "u"}]


def test_every_spelling_of_a_path_is_known() -> None:
    kinds = {path.removeprefix("/v1/"): kind for path, kind in PATHS.items()}
    assert {kinds[letter] for letter in "tipsga"} == set(CALLS)
    assert [kinds[name] for name in ("b", "batch", "import")] == [None] * 3


def test_a_body_that_is_no_request_is_refused_whole() -> None:
    with pytest.raises(Malformed):
        read_calls(b"{", None)
    for raw in (b"[]", b"{}", b'{"batch": {}}'):
        with pytest.raises(Invalid):
            read_calls(raw, None)
    with pytest.raises(TooLarge):
        read_calls(encode_json({"batch": [{}] * (BATCH_CALLS + 1)}), None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_NAMES = [
    "messageId",
    "userId",
    "anonymousId",
    "event",
    "properties",
    "traits",
    "context",
    "timestamp",
    "sentAt",
    "groupId",
    "previousId",
    "channel",
    "integrations",
    "name",
    "category",
    "extra",
]
_CONTEXT = [
    "page",
    "campaign",
    "userAgent",
    "device",
    "os",
    "library",
    "traits",
    "consent",
    "consentManagement",
    "groupId",
    "extra",
]
_CALL = st.fixed_dictionaries(
    {"type": st.sampled_from(list(CALLS))},
    optional=dict.fromkeys(_NAMES, _JSON)
    | {"context": st.dictionaries(st.sampled_from(_CONTEXT), _JSON) | _JSON}
    | {"properties": st.dictionaries(st.sampled_from(["products", "orderId", "revenue", "items", "url"]), _JSON)},
)


@given(_CALL | _JSON)
def test_any_json_becomes_an_event_or_is_refused_with_its_reason(call: Any) -> None:
    before = encode_json(call)
    try:
        made = normalize(map_call(call, PLAIN), now=NOW, new_id=lambda: "made")
    except TrackLayerError as error:
        assert error.detail
        assert error.pointer is not None
    else:
        assert msgspec.json.decode(encode_json(made))["event_name"] == made.event_name
    assert encode_json(call) == before  # what is kept when it is refused later is what was sent
