"""Helpers that hash and encode, and that bring e-mail addresses and phone numbers into the form a receiver hashes.

Receivers hash different forms of the same phone number (Meta's and Snap's digits alone, Google's and TikTok's E.164),
so normalize first, then hash: `{{sha256 (phone user_data.phone "meta")}}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from tracklayer.model.phone import e164, is_region, region_of
from tracklayer.template.helper import FLAG, TEXT, Helper, Kind, Refusal, choice, shown
from tracklayer.template.values import scrub

_RECEIVERS = ("meta", "snap", "google", "tiktok")
_BARE_DIGITS = ("meta", "snap")
_GMAIL = ("gmail.com", "googlemail.com")


def _bytes(text: str) -> bytes:
    return scrub(text).encode()


def _encoded(digest: bytes, encoding: str) -> str:
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def _sha256(text: str, *, encoding: str = "hex") -> str:
    return _encoded(hashlib.sha256(_bytes(text)).digest(), encoding)


def _md5(text: str, *, encoding: str = "hex") -> str:
    """For receivers that ask for it; protects nothing."""
    return _encoded(hashlib.md5(_bytes(text), usedforsecurity=False).digest(), encoding)


def _hmac(text: str, key: str, *, algorithm: str = "sha256", encoding: str = "hex") -> str:
    return _encoded(hmac.digest(_bytes(key), _bytes(text), algorithm), encoding)


def _base64(text: str, *, url: bool = False) -> str:
    """Of the text's UTF-8; `url` takes `-_` instead of `+/` and no padding."""
    if url:
        return base64.urlsafe_b64encode(_bytes(text)).decode().rstrip("=")
    return base64.b64encode(_bytes(text)).decode()


def _email(address: str, receiver: str | None = None) -> str | None:
    """Trimmed and in lower case; for Google without the dots in Gmail names. Null for what is no address."""
    name, at, domain = address.strip().lower().rpartition("@")
    if not (name and domain):
        return None
    if receiver == "google" and domain in _GMAIL:
        name = name.replace(".", "")
    return f"{name}{at}{domain}"


def _phone(number: str, receiver: str | None = None, *, country: str = "") -> str | None:
    """E.164, for Meta and Snap without its `+`. Null for what is no possible number.

    A number without a calling code (behind `+` or `00`) is one of the region `country`.
    """
    number = number.strip()
    written = e164(f"+{number[2:]}" if number.startswith("00") else number, country)
    return written[1:] if written and receiver in _BARE_DIGITS else written


def _country(value: object) -> object:
    if value is None:
        return ""
    code = value.removeprefix("+") if isinstance(value, str) else ""
    region = code if is_region(code) else region_of(code)
    if region is None:
        raise Refusal(f'expected a country such as "DE", or its calling code such as "49", got {shown(value)}')
    return region


RECEIVER = choice(*_RECEIVERS)
ENCODING = choice("hex", "base64")
ALGORITHM = choice("sha256", "sha1", "sha512", "md5")
COUNTRY = Kind("a country", _country, takes_null=True)

IDENTITY_HELPERS = (
    Helper("sha256", _sha256, (TEXT,), options={"encoding": ENCODING}),
    Helper("md5", _md5, (TEXT,), options={"encoding": ENCODING}),
    Helper("hmac", _hmac, (TEXT, TEXT), options={"algorithm": ALGORITHM, "encoding": ENCODING}),
    Helper("base64", _base64, (TEXT,), options={"url": FLAG}),
    Helper("email", _email, (TEXT,), (RECEIVER,)),
    Helper("phone", _phone, (TEXT,), (RECEIVER,), options={"country": COUNTRY}, steps=10),
)
