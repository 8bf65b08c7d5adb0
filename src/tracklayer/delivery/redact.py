"""Taking secrets out of what a receiver said, before anybody keeps or shows it (a receiver may echo a request)."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import msgspec

from tracklayer.model.delivery import Failure, Response, Verdict

REDACTED = "••••"
SHORTEST = 4  # characters: to take a shorter secret out would blank out half of every text


class Redactor:
    """Knows the forms in which secrets could come back: as they are, escaped for JSON, a URL or HTML, in base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """`secrets` shorter than `SHORTEST` are let be: none is stored any more, but older ones are there still."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._shortest = min(map(len, forms), default=0)

    def text(self, text: str) -> str:
        """`text` without any of the secrets."""
        if self._forms and len(text) >= self._shortest:
            for form in self._forms:
                text = text.replace(form, REDACTED)
        return text

    def result(self, result: Response | Failure) -> Response | Failure:
        """An answer or a failure without secrets."""
        if isinstance(result, Failure):
            return msgspec.structs.replace(result, detail=self.text(result.detail))
        longest = max(len(result.body), *(len(value) for _, value in result.headers), 0)
        if not self._forms or (longest < self._shortest and not result.truncated):
            return result
        body = self.text(result.body.decode(errors="surrogateescape"))
        return msgspec.structs.replace(
            result,
            headers=tuple((name, self.text(value)) for name, value in result.headers),
            body=(self._ending(body) if result.truncated else body).encode(errors="surrogateescape"),
        )

    def verdict(self, verdict: Verdict) -> Verdict:
        """A verdict whose rule quotes no secret."""
        rule = self.text(verdict.rule)
        return verdict if rule == verdict.rule else msgspec.structs.replace(verdict, rule=rule)

    def _ending(self, text: str) -> str:
        """`text`, that was cut off, without the beginning of a secret at its end."""
        for form in self._forms:
            for length in range(min(len(form), len(text)), SHORTEST - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + REDACTED
        return text


class Blind(Redactor):
    """For an answer in which too much would have to be looked for: nothing of it is kept but its status."""

    def result(self, result: Response | Failure) -> Response | Failure:
        """An answer without its texts, or a failure without secrets."""
        if isinstance(result, Failure):
            return super().result(result)
        headers = tuple((name, REDACTED) for name, _ in result.headers)
        return msgspec.structs.replace(result, headers=headers, body=REDACTED.encode() if result.body else b"")


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    in_json = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    in_json |= {json.dumps(form)[1:-1] for form in in_json}  # a body in JSON that is echoed as a text in JSON
    return {
        secret,
        *in_json,
        *(form.replace("/", "\\/") for form in in_json),  # as PHP writes JSON
        html.escape(secret),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
