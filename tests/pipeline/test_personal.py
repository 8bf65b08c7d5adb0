"""What is personal is hashed, and dropped where the workspace wants that."""

from __future__ import annotations

import hashlib

import pytest

from tracklayer.model.event import Event, Json, event_fields, event_to_json
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.consent import consent_now
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
    user = {
        "fn": HASH,
        "em": [HASH, HASH.upper()],
        "last_name": None,
        "zip": "",
        "phone_opt_in": True,
        "mobile": True,
        "is_mobile": 1,
    }
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


STRANGE_NAMES = """
shipping_address billing_address home_address shipping_address_1 addresses billing_street customer_ip clientIP ip4
x_forwarded_for X-Real-IP customer_birthday customer_dob user_birthdate guest_date_of_birth customer_surname
customer_full_name customerMobile customer_mail email_list emails mobile_no tel_no phone_number_2
customer_name recipient_name cardholder_name card_holder_name shipping_name billing_zip shippingPostalCode whatsapp
WhatsApp whatsapp_number fax eMail E-Mail shipping_address_zip
"""
OTHER_NAMES = """
product_name item_name category_name event_name form_name contact_form_name customer_group_name email_campaign
email_subject email_template_id email_opt_in page_title page_name address_type address_id web_address shipping_method
shipping_method_name shipping_line shipping_lines billing_plan delivery_date user_agent user_type customer_id user_id
recipient_count vip zip_file membership tip phone_model mobile_os iphone street_style birthday_offer ip_version_name
"""


@pytest.mark.parametrize("name", STRANGE_NAMES.split())
def test_what_is_personal_goes_in_any_spelling_from_anywhere(name: str) -> None:
    value = ["jane@example.com", "Main St 1"] if name.endswith(("list", "s")) else "Jane, Main St 1"
    event = made(properties={name: value}, context={"a": [{name: value}]}, user_data={name: value}, order={name: value})
    assert event.properties == event.user_data == {}
    assert event.context["a"] == [{}]
    assert event.context["extra"] == {"order": {}}


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_what_only_sounds_like_it_stays(name: str) -> None:
    assert made(properties={name: "T-shirt"}).properties == {name: "T-shirt"}


def test_whoever_is_told_of_in_an_object_or_in_a_list_of_them_has_no_name() -> None:
    somebody = {"name": "Jane", "zip": "10115", "city": "Berlin"}
    found = made(properties={"gift_recipient": somebody, "recipients": [somebody], "addresses": [somebody]}).properties
    assert found == {name: {"city": "Berlin"} if name == "gift_recipient" else [{"city": "Berlin"}] for name in found}


def test_dropping_again_changes_nothing_and_the_callers_values_stay() -> None:
    properties = {"customer": {"email": "jane@example.com"}}
    event = made(user_data={"email": "jane@example.com"}, properties=properties, ip="::1")
    assert drop_personal(event) == event
    assert normalize(event_fields(event), now=NOW, new_id=str, rules=DROPPING) == event
    assert properties == {"customer": {"email": "jane@example.com"}}


@pytest.mark.parametrize("said", [{"email": "no"}, {"phone": "opted_out"}, {"update": {"email": "no"}}])
def test_that_a_category_could_not_be_read_is_still_known_where_it_is_called_as_something_personal(said: Json) -> None:
    event = made(consent=said)
    (category,) = (said.get("update") or said).keys()
    assert consent_now(event, {category: ("granted", 1.0)}) == {}
    assert drop_personal(event) == event
    assert b"opted_out" not in event_to_json(event)


def test_what_is_added_later_can_be_dropped_then() -> None:
    kept = normalize({"event_name": "purchase", "user_data": {"email": "Jane@x.y"}}, now=NOW, new_id=str)
    event = drop_personal(kept)
    assert event.user_data.keys() == {"email_hash"}
    assert all("from" not in change for change in event.context["normalized"])
