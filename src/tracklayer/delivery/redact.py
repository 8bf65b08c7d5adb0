"""Taking secrets out of what a receiver said, before anybody keeps or shows it (a receiver may echo a request)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

import msgspec

from tracklayer.model.delivery import Failure, Response

REDACTED = "••••"
_SHORTEST = 4  # a shorter secret would blank out half of every text


def redact(text: str, revealing: Sequence[str]) -> str:
    """`text` without any of the `revealing` texts, also where they are escaped for JSON or a URL, or in base64."""
    for secret in revealing:
        # No form is shorter than the secret itself, so most answers ("ok") cost nothing.
        if _SHORTEST <= len(secret) <= len(text):
            for form in _forms(secret):
                text = text.replace(form, REDACTED)
    return text


def redact_result(result: Response | Failure, revealing: Sequence[str]) -> Response | Failure:
    """An answer or a failure without secrets."""
    if isinstance(result, Failure):
        return msgspec.structs.replace(result, detail=redact(result.detail, revealing))
    shortest = min(map(len, revealing), default=0)
    longest = max(len(result.body), *(len(value) for _, value in result.headers), 0)
    if longest < shortest or not revealing:
        return result
    body = result.body.decode(errors="surrogateescape")
    return msgspec.structs.replace(
        result,
        headers=tuple((name, redact(value, revealing)) for name, value in result.headers),
        body=redact(body, revealing).encode(errors="surrogateescape"),
    )


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    return sorted(forms, key=len, reverse=True)
