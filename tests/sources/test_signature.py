from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.sources.signature import signed_by_segment, signed_by_shopify

SECRET = "shared-secret"
RAW = b'{"id": 1}'
HEX = hmac.new(SECRET.encode(), RAW, hashlib.sha1).hexdigest()
BASE64 = base64.b64encode(hmac.new(SECRET.encode(), RAW, hashlib.sha256).digest()).decode()


def test_a_right_signature_is_accepted() -> None:
    assert signed_by_segment(SECRET, RAW, HEX)
    assert signed_by_segment(SECRET, RAW, HEX.upper())
    assert signed_by_shopify(SECRET, RAW, BASE64)


def test_the_signature_of_another_body_or_secret_is_refused() -> None:
    assert not signed_by_segment(SECRET, RAW + b" ", HEX)
    assert not signed_by_segment("other", RAW, HEX)
    assert not signed_by_shopify(SECRET, RAW + b" ", BASE64)
    assert not signed_by_shopify("other", RAW, BASE64)


@pytest.mark.parametrize("header", [None, "", "sha1=" + HEX, HEX[:-1], HEX[:-2], HEX + "00", "\xe9", BASE64])
def test_what_is_no_sha1_in_hex_is_refused(header: str | None) -> None:
    assert not signed_by_segment(SECRET, RAW, header)


@pytest.mark.parametrize("header", [None, "", HEX, BASE64[:-1], BASE64 + "=", "\xe9", "sha256=" + BASE64])
def test_what_is_no_sha256_in_base64_is_refused(header: str | None) -> None:
    assert not signed_by_shopify(SECRET, RAW, header)


@given(st.text())
def test_any_other_header_is_refused_and_raises_nothing(header: str) -> None:
    assert not signed_by_segment("s", b"x", header)
    assert not signed_by_shopify("s", b"x", header)
