"""Taking secrets out of what a receiver said, before anybody keeps or shows it (a receiver may echo a request)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

from tracklayer.model.delivery import Failure, Response

REDACTED = "••••"
_SHORTEST = 4  # a shorter secret would blank out half of every text


def redact(text: str, revealing: Sequence[str]) -> str:
    """`text` without any of the `revealing` texts, also where they are escaped for JSON or a URL, or in base64."""
    for secret in revealing:
        if len(secret) >= _SHORTEST:
            for form in _forms(secret):
                text = text.replace(form, REDACTED)
    return text


def redact_result(result: Response | Failure, revealing: Sequence[str]) -> Response | Failure:
    """An answer or a failure without secrets."""
    if not revealing:
        return result
    if isinstance(result, Failure):
        return Failure(kind=result.kind, detail=redact(result.detail, revealing), timings=result.timings)
    return Response(
        status=result.status,
        headers=tuple((name, redact(value, revealing)) for name, value in result.headers),
        body=redact(result.body.decode(errors="surrogateescape"), revealing).encode(errors="surrogateescape"),
        truncated=result.truncated,
        timings=result.timings,
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
