"""What is personal is hashed, and dropped where the workspace wants that."""

from __future__ import annotations

import hashlib

import pytest

from tracklayer.model.event import Event, Json, event_fields, event_to_json
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.normalize import normalize
from tracklayer.pipeline.personal import drop_personal

NOW = 1_777_977_000.0
HASH = hashlib.sha256(b"jane@example.com").hexdigest()
DROPPING = WorkspaceRules(drop_pii=True)
WHY = "personal: dropped by the workspace's rule drop_pii"


def made(**fields: Json) -> Event:
    return normalize({"event_name": "purchase", **fields}, now=NOW, new_id=lambda: "made-here", rules=DROPPING)


def dropped(event: Event) -> list[str]:
    return [change["path"] for change in event.context.get("normalized", []) if change["why"] == WHY]


def test_an_address_and_a_number_leave_their_hashes() -> None:
    event = made(user_data={"external_id": "u_1", "email": " Jane@Example.com", "phone": "(555) 123-4567"})
    assert event.user_data == {
        "external_id": "u_1",
        "email_hash": HASH,
        "phone_hash": hashlib.sha256(b"+15551234567").hexdigest(),
    }
    assert dropped(event) == ["user_data.email", "user_data.phone"]


def test_what_was_sent_is_not_told_in_the_changes_either() -> None:
    body = event_to_json(made(user_data={"email": " Jane@Example.com", "phone": "(555) 123-4567", "zip": "1"}))
    assert b"ane@" not in body.lower()
    assert b"555" not in body


@pytest.mark.parametrize(
    "user_data, kept",
    [
        ({"first_name": "Jane", "lastName": "Doe", "Full Name": "Jane Doe", "name": "Jane"}, {}),
        (
            {"street": "Main St 1", "zip": "10115", "city": "Berlin", "country": "DE"},
            {"city": "Berlin", "country": "DE"},
        ),
        ({"address": {"street": "Main St 1", "postalCode": "1", "country": "DE"}}, {"address": {"country": "DE"}}),
        ({"address": "Main St 1"}, {}),
        (
            {"shipping_address": {"line1": "Main St 1", "Line 2": "Apt 1", "city": "Bonn"}},
            {"shipping_address": {"city": "Bonn"}},
        ),
        (
            {"address_line_3": "x", "street2": "y", "address3": "z", "product_line": "shirts"},
            {"product_line": "shirts"},
        ),
        ({"client_ip_address": "203.0.113.9", "userIp": "203.0.113.9", "ip_addresses": ["203.0.113.9"]}, {}),
        ({"mobileNumber": "+1555", "fname": "Jane", "lname": "Doe", "email_2": "jane@example.com"}, {}),
        ({"birth_date": "1990-01-01", "dob": 19900101}, {}),
        ({"emails": ["jane@example.com"], "plan": "pro"}, {"plan": "pro"}),
        ({"work_email": {"address": "jane@example.com"}, "homePhone": ["+15551234567"]}, {}),
        ({"iphone": "15 Pro", "email_domain": "example.com"}, {"iphone": "15 Pro", "email_domain": "example.com"}),
    ],
)
def test_who_it_was_is_dropped_by_the_names_of_fields(user_data: dict[str, Json], kept: dict[str, Json]) -> None:
    assert made(user_data=user_data).user_data == kept


def test_hashes_flags_and_what_is_empty_stay() -> None:
    user = {"fn": HASH, "em": [HASH, HASH.upper()], "last_name": None, "zip": "", "phone_opt_in": True, "mobile": True}
    assert made(user_data=user).user_data == user
    assert made(user_data=user).context == {}


def test_the_address_in_the_context_and_unknown_fields_go_too() -> None:
    event = made(email="jane@example.com", context={"ip": "203.0.113.9", "traits": {"name": "Jane", "plan": "pro"}})
    assert event.context["extra"] == {}
    assert event.context["traits"] == {"plan": "pro"}
    assert dropped(event) == ["context.ip", "context.traits.name", "context.extra.email"]


def test_a_field_that_had_to_be_renamed_goes_all_the_same() -> None:
    event = made(email="jane@example.com", context={"extra": {"email": "another@example.com", "shop": 7}})
    assert event.context["extra"] == {"shop": 7}


def test_a_products_name_stays_and_a_customers_goes() -> None:
    event = made(
        properties={
            "name": "T-shirt",
            "items": [{"name": "Mug", "zip": "x"}],
            "customer": {"name": "Jane", "id": 7},
            "billing_address": {"name": "Jane", "zip": "10115", "country": "DE"},
            "contact_email": "jane@example.com",
            "email": "jane@example.com",
        }
    )
    assert event.properties == {
        "name": "T-shirt",
        "items": [{"name": "Mug", "zip": "x"}],
        "customer": {"id": 7},
        "billing_address": {"country": "DE"},
    }


def test_dropping_again_changes_nothing_and_the_callers_values_stay() -> None:
    properties = {"customer": {"email": "jane@example.com"}}
    event = made(user_data={"email": "jane@example.com"}, properties=properties, ip="::1")
    assert drop_personal(event) == event
    assert normalize(event_fields(event), now=NOW, new_id=str, rules=DROPPING) == event
    assert properties == {"customer": {"email": "jane@example.com"}}


def test_what_is_added_later_can_be_dropped_then() -> None:
    kept = normalize({"event_name": "purchase", "user_data": {"email": "Jane@x.y"}}, now=NOW, new_id=str)
    event = drop_personal(kept)
    assert event.user_data.keys() == {"email_hash"}
    assert all("from" not in change for change in event.context["normalized"])
