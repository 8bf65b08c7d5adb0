"""What traits say about a person: only from a fixed list, never over the event, never of two people."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.pipeline.known_user import ADDRESS, TRAITS, known_user_data, with_hashes

EMAIL, PHONE = "jane@example.com", "+15551234567"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


CONTACT = {"email": EMAIL, "email_hash": sha(EMAIL), "phone": PHONE, "phone_hash": sha(PHONE)}


def known(traits: dict[str, Any], **user: Any) -> dict[str, str]:
    return known_user_data(user, traits, "US")


def test_contact_is_cleaned_and_hashed_as_any_events_is() -> None:
    assert known({"email": " Jane@Example.com ", "phone": "(555) 123-4567"}) == CONTACT
    assert known({"email": sha(EMAIL).upper(), "phone_hash": sha(PHONE)}) == {
        "email_hash": sha(EMAIL),
        "phone_hash": sha(PHONE),
    }


@pytest.mark.parametrize("value", ["n/a", "", 7, None, ["a@b.c"], "a@b.c\0", "x" * 400 + "@b.c"])
def test_what_is_no_address_is_left_out(value: Any) -> None:
    assert known({"email": value, "phone": value, "email_hash": "abc"}) == {}


def test_what_the_event_says_stands() -> None:
    assert known({"email": EMAIL, "first_name": "Jane"}, email="other@example.com", first_name="J.") == {}
    assert known({"email": EMAIL}, email=None) == {"email": EMAIL, "email_hash": sha(EMAIL)}


def test_an_address_joins_only_a_hash_of_its_own() -> None:
    assert known({"email": EMAIL}, email_hash=sha(EMAIL)) == {"email": EMAIL}
    assert known({"email": EMAIL}, email_hash=sha("other@example.com")) == {}


def test_names_and_places_are_taken_from_a_fixed_list_of_traits() -> None:
    traits = {
        "firstName": "Jane",
        "last_name": "Doe",
        "birthday": "1990-01-31",
        "state": "churned",
        "plan": "pro",
        "address": {"city": "Ulm", "state": "BW", "postalCode": "89073", "country": "deu", "street": "Hauptstr. 1"},
    }
    assert known(traits) == {
        "first_name": "Jane",
        "last_name": "Doe",
        "birth_date": "1990-01-31",
        "city": "Ulm",
        "state": "BW",
        "postal_code": "89073",
        "country": "DE",
    }


def test_a_country_that_is_no_code_is_not_guessed() -> None:
    assert known({"country": "Germany"}) == {}


JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
TRAIT = st.sampled_from([*TRAITS, *ADDRESS, "email", "phone", "email_hash", "phone_hash"])
OBJECTS = st.dictionaries(TRAIT, JSON | st.sampled_from([EMAIL, PHONE, sha(EMAIL)]))


@given(OBJECTS, OBJECTS, st.none() | st.text() | OBJECTS)
def test_whatever_the_traits_are_nothing_is_overridden_and_a_second_look_finds_nothing(
    user: dict[str, Any], traits: dict[str, Any], address: Any
) -> None:
    found = known_user_data(user, {**traits, "address": address}, "US")
    assert all(user.get(name) is None and value for name, value in found.items())
    assert known_user_data({**user, **found}, {**traits, "address": address}, "US") == {}


def test_hashes_stand_beside_the_addresses_they_are_of_and_go_with_them() -> None:
    found = with_hashes({"email": "Jane@Example.com", "phone": "n/a", "plan": "pro"}, "US")
    assert found == {
        "email": "Jane@Example.com",
        "phone": "n/a",
        "plan": "pro",
        "email_hash": sha(EMAIL),
        "phone_hash": None,
    }
    assert with_hashes({"email": None}, "US") == {"email": None, "email_hash": None}
    assert with_hashes({"email": "a@b.example", "email_hash": sha(EMAIL)}, "US")["email_hash"] == sha(EMAIL)
    assert with_hashes({"plan": "pro"}, "US") == {"plan": "pro"}
