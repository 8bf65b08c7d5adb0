"""Whether a webhook was signed with our secret: over the bytes as they came, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac


def signed_by_segment(secret: str, raw: bytes, header: str | None) -> bool:
    """Whether `header` (X-Signature) is the HMAC-SHA1 of `raw` in hex: Segment's "Webhooks (Actions)" destination."""
    try:
        given = bytes.fromhex((header or "").strip())
    except ValueError:
        return False
    return hmac.compare_digest(given, hmac.digest(secret.encode(), raw, hashlib.sha1))


def signed_by_shopify(secret: str, raw: bytes, header: str | None) -> bool:
    """Whether `header` (X-Shopify-Hmac-SHA256) is the HMAC-SHA256 of `raw` in base64: Shopify, "Verify webhooks"."""
    try:
        given = base64.b64decode((header or "").strip(), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return False
    return hmac.compare_digest(given, hmac.digest(secret.encode(), raw, hashlib.sha256))
