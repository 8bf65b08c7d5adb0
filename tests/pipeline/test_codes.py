"""Currencies and countries."""

from __future__ import annotations

import pytest

from tracklayer.pipeline.codes import COUNTRIES, CURRENCIES, country_code, currency_code


@pytest.mark.parametrize("text", ["EUR", "eur", " Eur "])
def test_a_currency_is_known_in_any_case(text: str) -> None:
    assert currency_code(text) == "EUR"


@pytest.mark.parametrize("text", ["", "€", "$", "Euro", "EURO", "XYZ", "US"])
def test_what_is_no_currencys_code_is_not_guessed(text: str) -> None:
    assert currency_code(text) is None


@pytest.mark.parametrize("text", ["DE", "de", " De", "DEU", "deu"])
def test_a_country_is_known_by_both_of_its_codes(text: str) -> None:
    assert country_code(text) == "DE"


def test_codes_in_use_that_are_in_no_list() -> None:
    assert country_code("uk") == "GB"
    assert country_code("XK") == country_code("XKX") == "XK"
    assert currency_code("BGN") == "BGN"


@pytest.mark.parametrize("text", ["", "Germany", "XX", "D", "ZZZ", "EU"])
def test_a_countrys_name_is_not_guessed(text: str) -> None:
    assert country_code(text) is None


def test_the_lists_are_whole_and_of_their_shape() -> None:
    assert len(COUNTRIES) == 250  # of ISO 3166-1, and Kosovo
    assert len(CURRENCIES) == 184  # of ISO 4217 with its metals and funds, and six withdrawn ones
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in COUNTRIES)
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)
    assert all(country_code(code) == code for code in COUNTRIES)
