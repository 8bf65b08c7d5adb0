"""Phone numbers as E.164."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.phone import e164, is_region, region_of


@pytest.mark.parametrize(
    "text, region, number",
    [
        ("+15551234567", "DE", "+15551234567"),
        ("+1 (555) 123-4567", "DE", "+15551234567"),
        ("(555) 123-4567", "US", "+15551234567"),
        ("1-555-123-4567", "US", "+15551234567"),
        ("15551234567", "US", "+15551234567"),
        ("tel:+1-555-123-4567", "DE", "+15551234567"),
        ("030 123456", "DE", "+4930123456"),
        ("0049 30 123456", "DE", "+4930123456"),
        ("+49 (0)30 123456", "US", "+4930123456"),
        ("+4930123456", "US", "+4930123456"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("06 6982", "IT", "+39066982"),
        ("+390669812345", "US", "+390669812345"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+1 555 123 4567 ext. 89", "US", "+15551234567"),
        ("+800 1234 5678", "US", "+80012345678"),
    ],
)
def test_a_possible_number_is_written_as_e164(text: str, region: str, number: str) -> None:
    assert e164(text, region) == number


@pytest.mark.parametrize(
    "text", ["", "n/a", "555-1234", "12", "+", "+1555123", "+0155512345", "+9991234567890", "+1" + "5" * 20, "5" * 100]
)
def test_what_is_no_possible_number_is_none(text: str) -> None:
    assert e164(text, "US") is None


def test_a_region_is_known_by_its_code() -> None:
    assert is_region("DE")
    assert not any(map(is_region, ["de", "DEU", "XX", ""]))


@pytest.mark.parametrize(
    "code, region", [("49", "DE"), ("1", "US"), ("7", "RU"), ("39", "IT"), ("800", None), ("99", None)]
)
def test_a_calling_code_stands_for_its_main_region(code: str, region: str | None) -> None:
    assert region_of(code) == region


@pytest.mark.parametrize("code", ["", "049", "+49", "4９", "1" * 5_000])
def test_what_is_no_calling_code_stands_for_none(code: str) -> None:
    assert region_of(code) is None


def test_every_regions_example_is_read_in_every_format() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for written in phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.NATIONAL:
            assert e164(phonenumbers.format_number(example, written), region) == number
        assert e164(number, "US") == number


@given(st.text("+0123456789 ()-", max_size=18) | st.text(max_size=6), st.sampled_from(["US", "DE", "IT", "CN", "AR"]))
def test_what_was_read_is_read_as_itself(text: str, region: str) -> None:
    number = e164(text, region)
    if number is not None:
        assert e164(number, region) == number
