"""From what callers write to the canonical event."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from tracklayer.errors import Invalid
from tracklayer.model.event import Event, Json, event_to_json
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.normalize import normalize

NOW = 1_777_977_000.0
RECEIVED = "2026-05-05T10:30:00.000Z"
HASH = hashlib.sha256(b"jane@example.com").hexdigest()


def made(**fields: Json) -> Event:
    return normalize({"event_name": "purchase", **fields}, now=NOW, new_id=lambda: "made-here")


def refusal(**fields: Json) -> Invalid:
    with pytest.raises(Invalid) as refused:
        made(**fields)
    return refused.value


def where_and_why(**fields: Json) -> tuple[str | None, str]:
    refused = refusal(**fields)
    return refused.pointer, refused.code


def nested(levels: int) -> Json:
    """An object inside an object, `levels` of them."""
    value: Json = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


# The whole


def test_the_example_of_the_contract_passes_as_it_is() -> None:
    fields = {
        "event_id": "ord_548291_purchase",
        "event_name": "purchase",
        "occurred_at": "2026-05-05T10:30:00Z",
        "platform": "shopify",
        "segment": ["vip_customers"],
        "user_data": {"external_id": "u_1", "anonymous_id": "a_1", "email_hash": HASH, "plan": "pro"},
        "properties": {"order_id": "100045", "value": Decimal("149.90"), "currency": "USD", "items": []},
        "context": {"ip": "203.0.113.9"},
        "consent": {"ad_storage": "granted"},
    }
    event = made(**fields)
    assert event == Event(received_at=RECEIVED, **fields)  # type: ignore[arg-type]  # the values are mixed on purpose
    assert b'"value":149.90' in event_to_json(event)


def test_an_event_needs_only_a_name() -> None:
    assert made() == Event(event_id="made-here", event_name="purchase", occurred_at=RECEIVED, received_at=RECEIVED)


def test_a_null_counts_as_absent() -> None:
    names = [*Event.__struct_fields__, "timestamp", "event_time", "user_id", "anonymous_id", "custom_data"]
    assert made(**dict.fromkeys(set(names) - {"event_name"})) == made()


@pytest.mark.parametrize("fields", [None, [], "purchase", 5, True, Decimal("1.5")])
def test_what_is_no_object_is_no_event(fields: Json) -> None:
    with pytest.raises(Invalid) as refused:
        normalize(fields, now=NOW, new_id=str)
    assert (refused.value.pointer, refused.value.code) == ("", "invalid_type")


def test_the_callers_own_values_are_not_changed() -> None:
    user = {"email": "Jane@Example.com"}
    context = {"extra": {"a": 1}}
    made(user_data=user, user_id="u_1", context=context, unknown=2)
    assert user == {"email": "Jane@Example.com"}
    assert context == {"extra": {"a": 1}}


# event_id, event_name, platform


def test_the_callers_event_id_is_kept_and_a_number_becomes_text() -> None:
    assert made(event_id=" ord 1 ").event_id == " ord 1 "
    assert made(event_id=548291).event_id == "548291"


@pytest.mark.parametrize(
    "event_id, code",
    [
        ("", "empty"),
        ("x" * 201, "too_long"),
        (10**201, "too_long"),
        ("a\x00b", "control_character"),
        ("a\nb", "control_character"),
        ("a\x85b", "control_character"),
        (True, "invalid_type"),
        (Decimal("1.5"), "invalid_type"),
        (["a"], "invalid_type"),
    ],
)
def test_an_event_id_that_cannot_be_a_key_is_refused(event_id: Json, code: str) -> None:
    assert where_and_why(event_id=event_id) == ("/event_id", code)


def test_names_may_hold_any_printable_text() -> None:
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{NO-BREAK SPACE}"
    assert made(event_id=family, platform="日本" * 100).event_id == family


def test_an_event_name_is_trimmed() -> None:
    assert made(event_name=" Garden Watered\n").event_name == "Garden Watered"


@pytest.mark.parametrize(
    "event_name, code",
    [
        (None, "required"),
        ("", "empty"),
        (" \t", "empty"),
        ("x" * 201, "too_long"),
        ("a\x00b", "control_character"),
        (5, "invalid_type"),
        ({}, "invalid_type"),
    ],
)
def test_an_event_without_a_usable_name_is_refused(event_name: Json, code: str) -> None:
    assert where_and_why(event_name=event_name) == ("/event_name", code)


def test_a_refusal_names_the_field_the_value_and_what_was_expected() -> None:
    assert refusal(event_id="").detail == "event_id is empty: expected 1 to 200 characters"
    assert refusal(event_id="x" * 201).detail == "event_id has 201 characters: expected at most 200"
    assert refusal(event_name=[]).detail == "event_name is a list: expected a string"
    assert refusal(platform="a\x00").detail.startswith("platform has the control character U+0000 at 1: expected")
    assert refusal(user_data=7).detail == "user_data is a number: expected an object"


def test_an_empty_platform_is_none() -> None:
    assert made(platform="").platform is None
    assert where_and_why(platform=5) == ("/platform", "invalid_type")


# Times


@pytest.mark.parametrize("field", ["occurred_at", "timestamp", "event_time"])
def test_the_time_may_come_by_each_of_its_names_as_text_or_unix_time(field: str) -> None:
    assert made(**{field: "2026-05-05T12:30:00+02:00"}).occurred_at == "2026-05-05T10:30:00Z"
    assert made(**{field: 1_777_977_000}).occurred_at == "2026-05-05T10:30:00Z"
    assert made(**{field: 1_777_977_000_250}).occurred_at == "2026-05-05T10:30:00.25Z"
    assert made(**{field: Decimal("1777977000.5")}).occurred_at == "2026-05-05T10:30:00.5Z"
    assert where_and_why(**{field: "soon"}) == (f"/{field}", "invalid_time")


def test_a_time_far_away_is_no_error() -> None:
    assert made(occurred_at="9998-01-01T00:00:00Z").occurred_at == "9998-01-01T00:00:00Z"


def test_the_moment_of_arrival_is_ours_and_the_callers_is_kept() -> None:
    event = made(received_at="2020-01-01T00:00:00Z")
    assert event.received_at == RECEIVED
    assert event.context == {"extra": {"received_at": "2020-01-01T00:00:00Z"}}


# Aliases


def test_aliases_find_their_canonical_places() -> None:
    event = made(user_id="u_1", anonymous_id="a_1", custom_data={"value": 5}, segment="vip_customers")
    assert event.user_data == {"external_id": "u_1", "anonymous_id": "a_1"}
    assert event.properties == {"value": 5}
    assert event.segment == ["vip_customers"]
    assert event.context == {}


def test_where_both_are_given_the_canonical_field_wins_and_the_alias_is_kept() -> None:
    event = made(
        occurred_at="2026-05-05T10:30:00Z",
        timestamp="2020-01-01T00:00:00Z",
        event_time=5,
        properties={"value": 1},
        custom_data={"value": 2},
        user_id="top",
        anonymous_id=7,
        user_data={"external_id": "canonical", "anonymous_id": "a_1"},
    )
    assert event.occurred_at == "2026-05-05T10:30:00Z"
    assert event.properties == {"value": 1}
    assert event.user_data == {"external_id": "canonical", "anonymous_id": "a_1"}
    assert event.context["extra"] == {
        "timestamp": "2020-01-01T00:00:00Z",
        "event_time": 5,
        "custom_data": {"value": 2},
        "user_id": "top",
        "anonymous_id": 7,
    }


def test_an_alias_that_says_the_same_is_not_kept_twice() -> None:
    event = made(user_id=7, user_data={"external_id": "7"}, properties={"a": 1}, custom_data={"a": 1})
    assert event.context == {"extra": {"user_id": 7}}
    assert made(user_id="7", user_data={"external_id": 7}).context == {}


def test_an_alias_fills_a_canonical_null() -> None:
    assert made(user_id="u_1", user_data={"external_id": None}).user_data == {"external_id": "u_1"}


@pytest.mark.parametrize(
    "fields, pointer",
    [
        ({"user_id": {}}, "/user_id"),
        ({"anonymous_id": True}, "/anonymous_id"),
        ({"user_data": {"external_id": []}}, "/user_data/external_id"),
        ({"custom_data": []}, "/custom_data"),
        ({"user_data": {"email": False}}, "/user_data/email"),
        ({"user_data": {"phone_hash": {}}}, "/user_data/phone_hash"),
    ],
)
def test_an_error_points_at_the_field_that_the_caller_used(fields: dict[str, Json], pointer: str) -> None:
    assert where_and_why(**fields) == (pointer, "invalid_type")


# Unknown fields


def test_unknown_fields_are_kept_beside_what_the_caller_has_in_extra() -> None:
    event = made(campaign="spring", score=Decimal("0.10"), context={"ip": "::1", "extra": {"a": 1}})
    assert event.context == {"ip": "::1", "extra": {"a": 1, "campaign": "spring", "score": Decimal("0.10")}}


def test_a_taken_name_in_extra_gets_a_number() -> None:
    event = made(a=3, context={"extra": {"a": 1, "a_2": 2}})
    assert event.context == {"extra": {"a": 1, "a_2": 2, "a_3": 3}}


def test_an_extra_that_is_no_object_is_refused() -> None:
    assert where_and_why(context={"extra": "x"}) == ("/context/extra", "invalid_type")


# Who: ids, e-mail, phone


def test_numbers_that_name_a_person_become_text() -> None:
    assert made(user_id=5, anonymous_id=Decimal("1E+3")).user_data == {"external_id": "5", "anonymous_id": "1000"}
    assert where_and_why(user_id=Decimal("1E+999999")) == ("/user_id", "number_out_of_range")


def test_an_email_is_cleaned_and_hashed() -> None:
    assert made(user_data={"email": "  Jane@Example.COM\n"}).user_data == {
        "email": "jane@example.com",
        "email_hash": HASH,
    }


@pytest.mark.parametrize("given_hash", [HASH.upper(), f" {HASH} "])
def test_a_hash_that_is_given_is_kept_in_lower_case(given_hash: str) -> None:
    event = made(user_data={"email": "other@example.com", "email_hash": given_hash})
    assert event.user_data == {"email": "other@example.com", "email_hash": HASH}


@pytest.mark.parametrize("absent", [None, ""])
def test_an_empty_hash_is_filled(absent: str | None) -> None:
    assert made(user_data={"email": "jane@example.com", "email_hash": absent}).user_data["email_hash"] == HASH


@pytest.mark.parametrize("text", ["", "n/a", "@", "jane"])
def test_what_is_no_address_is_not_hashed(text: str) -> None:
    assert made(user_data={"email": text}).user_data == {"email": text}


def test_a_phone_is_trimmed_and_hashed_when_it_is_e164() -> None:
    user = made(user_data={"phone": " +15551234567 "}).user_data
    assert user == {"phone": "+15551234567", "phone_hash": hashlib.sha256(b"+15551234567").hexdigest()}


@pytest.mark.parametrize(
    "phone, text",
    [
        ("555-1234", "555-1234"),
        ("+0155512345", "+0155512345"),
        ("+1555١٢٣٤", "+1555١٢٣٤"),
    ],
)
def test_another_phone_is_kept_and_not_hashed(phone: Json, text: str) -> None:
    assert made(user_data={"phone": phone}).user_data == {"phone": text}


@pytest.mark.parametrize("field", ["email", "phone"])
def test_a_hash_in_place_of_the_value_moves_to_the_hash(field: str) -> None:
    assert made(user_data={field: HASH.upper()}).user_data == {f"{field}_hash": HASH}
    assert made(user_data={field: HASH, f"{field}_hash": HASH.upper()}).context == {}


@pytest.mark.parametrize("field", ["email", "phone"])
def test_of_two_different_hashes_the_canonical_one_wins_and_the_other_is_kept(field: str) -> None:
    other = "0" * 64
    event = made(user_data={field: HASH, f"{field}_hash": other})
    assert event.user_data == {f"{field}_hash": other}
    assert event.context == {"extra": {"user_data": {field: HASH}}}


# What is changed, and said to be


def changes(**fields: Json) -> list[dict[str, Json]]:
    listed: list[dict[str, Json]] = made(**fields).context.get("normalized", [])
    return listed


def test_an_alias_becomes_the_canonical_name() -> None:
    assert made(event_name="Order Completed").event_name == "purchase"
    assert changes(event_name="Order Completed") == [
        {"path": "event_name", "from": "Order Completed", "why": "the canonical name"}
    ]
    assert changes(event_name=" Garden Watered") == [
        {"path": "event_name", "from": " Garden Watered", "why": "trimmed"}
    ]


def test_a_phone_is_e164_by_the_workspaces_region() -> None:
    rules = WorkspaceRules(default_region="DE")
    fields = {"event_name": "purchase", "user_data": {"phone": "030 123456"}}
    event = normalize(fields, now=NOW, new_id=str, rules=rules)
    assert event.user_data == {
        "phone": "+4930123456",
        "phone_hash": hashlib.sha256(b"+4930123456").hexdigest(),
    }
    assert event.context["normalized"] == [
        {"path": "user_data.phone", "from": "030 123456", "why": "E.164, with DE as its region"}
    ]
    assert made(user_data={"phone": 15551234567}).user_data["phone"] == "+15551234567"


def test_what_is_no_number_and_no_address_says_why_it_has_no_hash() -> None:
    assert changes(user_data={"phone": "555-1234", "email": "jane"}) == [
        {"path": "user_data.email", "why": "no e-mail address: not hashed"},
        {"path": "user_data.phone", "why": "no possible phone number, with US as its region: not hashed"},
    ]


def test_codes_are_in_upper_case_wherever_they_stand() -> None:
    event = made(
        user_data={"country": "de", "address": {"country": "USA"}},
        properties={"currency": "eur", "items": [{"currency": "usd"}], "shipping_address": {"country_code": "gb"}},
    )
    assert event.user_data == {"country": "DE", "address": {"country": "US"}}
    assert event.properties == {
        "currency": "EUR",
        "items": [{"currency": "USD"}],
        "shipping_address": {"country_code": "GB"},
    }
    assert [(each["path"], each["from"]) for each in event.context["normalized"]] == [
        ("user_data.country", "de"),
        ("user_data.address.country", "USA"),
        ("properties.currency", "eur"),
        ("properties.items.0.currency", "usd"),
        ("properties.shipping_address.country_code", "gb"),
    ]


def test_a_code_that_nobody_knows_stays_and_a_countrys_name_is_no_mistake() -> None:
    properties = {"currency": "Bitcoin", "country": "XX", "address": {"country": "Germany"}}
    assert made(properties=properties).properties == properties
    assert changes(properties=properties) == [
        {"path": "properties.currency", "why": "no ISO 4217 code: left as it is"},
        {"path": "properties.country", "why": "no ISO 3166 code: left as it is"},
    ]


def test_amounts_are_exact_numbers() -> None:
    event = made(
        custom_data={
            "value": "149.90",
            "revenue": "€1.299,00",
            "tax": "7",
            "items": [{"price": "24.50", "sku": "10.50"}, {"price": Decimal("1.10")}],
            "other": {"price": "1.00"},
        }
    )
    assert b'"value":149.90,"revenue":1299.00,"tax":7,' in event_to_json(event)
    assert event.properties["items"] == [{"price": Decimal("24.50"), "sku": "10.50"}, {"price": Decimal("1.10")}]
    assert event.properties["other"] == {"price": "1.00"}
    assert event.context["normalized"][1] == {
        "path": "properties.revenue",
        "from": "€1.299,00",
        "why": "an amount as a number",
    }


def test_an_amount_that_may_be_another_stays() -> None:
    assert made(properties={"value": "1,299", "shipping": "free"}).properties == {"value": "1,299", "shipping": "free"}
    why = "no amount that can be read in one way only: left as it is"
    assert changes(properties={"value": "1,299", "shipping": "free"}) == [{"path": "properties.value", "why": why}]


def test_another_zone_is_noted_and_another_spelling_of_the_same_is_not() -> None:
    assert changes(occurred_at="2026-05-05T12:30:00+02:00") == [
        {"path": "occurred_at", "from": "2026-05-05T12:30:00+02:00", "why": "in UTC"}
    ]
    assert changes(timestamp=1_777_977_000)[0]["why"] == "unix time as RFC 3339"
    for same in ("2026-05-05T10:30:00+00:00", "2026-05-05 10:30:00z", "2026-05-05T10:30", "2026-05-05"):
        assert changes(occurred_at=same) == []


@pytest.mark.parametrize("field", ["sent_at", "sentAt"])
def test_a_senders_clock_is_corrected_where_the_workspace_wants_that(field: str) -> None:
    fields = {"event_name": "purchase", "timestamp": "2026-05-05T10:00:00Z", field: "2026-05-05T10:00:05Z"}
    event = normalize(fields, now=NOW, new_id=str)
    assert event.occurred_at == "2026-05-05T10:29:55Z"
    assert event.context == {
        "extra": {field: "2026-05-05T10:00:05Z"},
        "normalized": [
            {
                "path": "occurred_at",
                "from": "2026-05-05T10:00:00Z",
                "why": "by our clock: the sender's was 1795 s behind",
            }
        ],
    }
    kept = normalize(fields, now=NOW, new_id=str, rules=WorkspaceRules(clock_skew=False))
    assert (kept.occurred_at, kept.context) == ("2026-05-05T10:00:00Z", {"extra": {field: "2026-05-05T10:00:05Z"}})


def test_at_most_fifty_changes_are_listed_and_the_rest_is_counted() -> None:
    items = [{"price": f"{number}.00"} for number in range(60)]
    event = made(properties={"items": items})
    listed = event.context["normalized"]
    assert len(listed) == 50
    assert listed[-1] == {"path": "", "why": "11 more changes are not listed"}
    assert [item["price"] for item in event.properties["items"]] == [Decimal(f"{number}.00") for number in range(60)]


def test_a_normalized_of_the_callers_is_kept_under_another_name() -> None:
    event = made(event_name="Signed Up", context={"normalized": True, "normalized_2": 1})
    assert event.context["normalized_3"] is True
    assert [each["path"] for each in event.context["normalized"]] == ["event_name"]
    assert made(context={"normalized": "x"}).context == {"normalized_2": "x"}


# Segment, consent


@pytest.mark.parametrize("segment", ["", []])
def test_an_empty_segment_is_an_empty_list(segment: Json) -> None:
    assert made(segment=segment).segment == []


def test_as_many_segments_as_the_limit_pass_and_one_more_is_refused() -> None:
    assert len(made(segment=["s"] * 100).segment) == 100
    assert where_and_why(segment=["s"] * 101) == ("/segment", "too_many")


@pytest.mark.parametrize(
    "segment, at, code",
    [
        (["a", 5], "/segment/1", "invalid_type"),
        (["a", ""], "/segment/1", "empty"),
        (["a\x00"], "/segment/0", "control_character"),
        ("x" * 201, "/segment", "too_long"),
        ({}, "/segment", "invalid_type"),
    ],
)
def test_a_segment_that_is_no_name_is_refused(segment: Json, at: str, code: str) -> None:
    assert where_and_why(segment=segment) == (at, code)


def test_consent_is_granted_or_denied() -> None:
    consent = {"a": "granted", "b": "denied", "c": True, "d": False, "e": "GRANTED", "f": "Denied"}
    assert made(consent=consent).consent == {
        "a": "granted",
        "b": "denied",
        "c": "granted",
        "d": "denied",
        "e": "granted",
        "f": "denied",
    }


@pytest.mark.parametrize("state", ["", "maybe", "true", 1, 0, Decimal("1.0"), [], {"b": 2}])
def test_consent_of_any_other_kind_is_kept_beside_the_rest(state: Json) -> None:
    event = made(consent={"ok": True, "a": state})
    assert event.consent == {"ok": "granted"}
    assert event.context["extra"] == {"consent": {"a": state}}
    why = "no state that can be read: kept in context.extra.consent"
    assert event.context["normalized"] == [{"path": "consent.a", "why": why}]


@pytest.mark.parametrize("state", [None, {}])
def test_consent_that_says_nothing_counts_as_absent(state: Json) -> None:
    assert (made(consent={"a": state}).consent, made(consent={"a": state}).context) == ({}, {})


# Bounds


@pytest.mark.parametrize("field", ["user_data", "properties", "context", "consent"])
@pytest.mark.parametrize("value", ["text", [], 5, Decimal("0.5"), True])
def test_the_events_objects_are_objects(field: str, value: Json) -> None:
    assert where_and_why(**{field: value}) == (f"/{field}", "invalid_type")


@pytest.mark.parametrize("field", ["user_data", "properties", "context"])
def test_an_event_may_be_32_levels_deep(field: str) -> None:
    made(**{field: nested(31)})
    assert where_and_why(**{field: nested(32)}) == (f"/{field}" + "/in" * 31, "too_deep")


def test_unknown_fields_are_counted_where_they_will_stand() -> None:
    made(unknown=nested(29))
    assert where_and_why(unknown=nested(30)) == ("/unknown" + "/in" * 29, "too_deep")


def test_lists_count_as_levels() -> None:
    value: Json = 1
    for _ in range(31):
        value = [value]
    assert where_and_why(properties={"a/b": value}) == ("/properties/a~1b" + "/0" * 30, "too_deep")


@pytest.mark.parametrize("number", ["1E+401", "-1E+401", "1E-401", "0E+999999999"])
def test_a_number_that_cannot_be_written_out_is_refused(number: str) -> None:
    assert where_and_why(properties={"a": [1, Decimal(number)]}) == ("/properties/a/1", "number_out_of_range")
    assert where_and_why(unknown=Decimal(number)) == ("/unknown", "number_out_of_range")
