"""Texts that say an amount in one way only, and those that do not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.pipeline.amounts import read_amount


@pytest.mark.parametrize(
    "text, amount",
    [
        ("149.90", "149.90"),
        ("149,90", "149.90"),
        (" 149.9 ", "149.9"),
        ("0.125", "0.125"),
        ("0,5", "0.5"),
        ("1234.567", "1234.567"),
        ("0.12345", "0.12345"),
        ("1,299.00", "1299.00"),
        ("1.299,00", "1299.00"),
        ("1 299,00", "1299.00"),
        ("1\N{NARROW NO-BREAK SPACE}299,00", "1299.00"),
        ("1\N{NO-BREAK SPACE}299.5", "1299.5"),
        ("1'299.00", "1299.00"),
        ("1’299.00", "1299.00"),
        ("12,345,678.90", "12345678.90"),
        ("1,29,999.00", "129999.00"),
        ("€149.90", "149.90"),
        ("149,90 €", "149.90"),
        ("$ 5.00", "5.00"),
        ("US$5.00", "5.00"),
        ("USD 149.90", "149.90"),
        ("149.90 EUR", "149.90"),
        ("-5.00", "-5.00"),
        ("-$5.00", "-5.00"),
        ("$-5.00", "-5.00"),
        ("+5.00", "5.00"),
    ],
)
def test_a_clear_amount_keeps_its_digits(text: str, amount: str) -> None:
    read = read_amount(text)
    assert type(read) is Decimal
    assert str(read) == amount


@pytest.mark.parametrize(
    "text, amount",
    [
        ("0", 0),
        ("149", 149),
        ("1,299,000", 1_299_000),
        ("1.299.000", 1_299_000),
        ("1 299", 1299),
        ("¥1500", 1500),
        ("$5 USD", 5),
    ],
)
def test_a_whole_amount_is_a_whole_number(text: str, amount: int) -> None:
    read = read_amount(text)
    assert type(read) is int
    assert read == amount


@pytest.mark.parametrize("text", ["1,299", "1.299", "€12.345", "999,999"])
def test_what_is_a_thousand_here_and_a_fraction_there_is_left(text: str) -> None:
    assert read_amount(text) is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "free", "12%", "007", "1..2", "1,2.3,4", "149.", ".5", "1e5", "5-", "--5", "-$-5", "1-2", "12,34,5.0"],
)
def test_what_is_no_amount_is_left(text: str) -> None:
    assert read_amount(text) is None


@pytest.mark.parametrize("text", ["1 29", "1 2345", "1,299 000", "5 apples", "$", "٣", "1" * 41, "0,000,000", "NaN"])
def test_what_is_written_oddly_is_left(text: str) -> None:
    assert read_amount(text) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_a_number_written_with_cents_is_read_again(amount: Decimal) -> None:
    plain = f"{amount:f}"
    assert str(read_amount(plain)) == plain
    assert str(read_amount(f"{amount:,f}")) == plain
    assert str(read_amount(f"{amount:,f}".replace(",", " ").replace(".", ","))) == plain


@given(st.text("0123456789.,' €$-", max_size=14))
def test_any_text_is_an_amount_of_its_own_digits_or_none(text: str) -> None:
    read = read_amount(text)
    if read is not None:
        digits = "".join(each for each in text if each.isdigit())
        assert "".join(each for each in str(read) if each.isdigit()) == digits
