"""Signatures: how a receiver knows that a request is ours and whole.

`tracklayer`: `X-TrackLayer-Signature: sha256=<hex HMAC-SHA256 of the exact body bytes>`, keyed with the secret's text.
While a secret is being rotated, `X-TrackLayer-Signature-Previous` carries the same under the old one.

`standard-webhooks`: those headers, and `webhook-id`, `webhook-timestamp`, `webhook-signature` as the Standard Webhooks
specification 1.0.0 has them: HMAC-SHA256 over `id.timestamp.body`, keyed with the bytes that the secret encodes in
base64, written `v1,<base64>`; both signatures, separated by a space, during a rotation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tracklayer.errors import Invalid

Scheme = Literal["tracklayer", "standard-webhooks"]
Headers = tuple[tuple[str, str], ...]

SIGNATURE = "X-TrackLayer-Signature"
SIGNATURE_PREVIOUS = "X-TrackLayer-Signature-Previous"
STANDARD_SIGNATURE = "webhook-signature"
SIGNATURES = (SIGNATURE, SIGNATURE_PREVIOUS, STANDARD_SIGNATURE)

_MAX_SECRET = 256  # characters
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # what Standard Webhooks asks of a symmetric key
_HINT = 4  # characters of a secret that may be shown …
_HINTED = 8  # … where it has at least so many


@dataclass(frozen=True, slots=True)
class Keys:
    """A destination's signing secrets; `previous` only while the overlap of a rotation lasts."""

    current: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)


def sign(scheme: Scheme, keys: Keys, *, delivery_id: str, timestamp: int, body: bytes) -> Headers:
    """The signature headers of a request. `timestamp` is in unix seconds; no body is `b""`.

    The secrets must have passed `check_secret`.
    """
    headers = [(SIGNATURE, _tracklayer(keys.current, body))]
    if keys.previous is not None:
        headers.append((SIGNATURE_PREVIOUS, _tracklayer(keys.previous, body)))
    if scheme == "standard-webhooks":
        content = b"%s.%d.%s" % (delivery_id.encode(), timestamp, body)
        secrets = [keys.current] if keys.previous is None else [keys.current, keys.previous]
        headers.append(("webhook-id", delivery_id))
        headers.append(("webhook-timestamp", str(timestamp)))
        headers.append((STANDARD_SIGNATURE, " ".join(_standard(secret, content) for secret in secrets)))
    return tuple(headers)


def verify(scheme: Scheme, secret: str, headers: Iterable[tuple[str, str]], body: bytes) -> bool:
    """Whether a receiver that knows `secret` accepts the request; compares in constant time.

    Reads the headers as a receiver does, whatever `sign` meant to write: its secret may have made either of the two
    `X-TrackLayer-*` headers and, for Standard Webhooks, any of the `v1` signatures. How old the timestamp may be is the
    receiver's own choice and is not looked at.
    """
    received = {name.lower(): value for name, value in headers}
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    candidates = [received.get(name.lower(), "").removeprefix("sha256=") for name in (SIGNATURE, SIGNATURE_PREVIOUS)]
    accepted = [hmac.compare_digest(candidate.encode(), digest.encode()) for candidate in candidates]
    if scheme == "tracklayer":
        return any(accepted)
    key = _decoded(secret)
    message = ".".join(received.get(name, "") for name in ("webhook-id", "webhook-timestamp")).encode() + b"." + body
    expected = base64.b64encode(hmac.new(key or b"", message, hashlib.sha256).digest())
    versioned = [entry.partition(",") for entry in received.get(STANDARD_SIGNATURE, "").split(" ")]
    matching = [hmac.compare_digest(found.encode(), expected) for version, _, found in versioned if version == "v1"]
    return key is not None and any(accepted) and any(matching)


def check_secret(scheme: Scheme, secret: str) -> None:
    """Raise `Invalid` (code `invalid_secret`, pointer "") for a secret that `scheme` cannot use; never shows it.

    Any secret is 1 to 256 printable ASCII characters without a space at either end: receivers in every language read
    the same bytes, and none comes from a slip of copy and paste. Standard Webhooks needs base64 of 24 to 64 bytes, with
    `whsec_` before it or not.
    """
    if not 1 <= len(secret) <= _MAX_SECRET:
        raise _refused(f"the secret has {len(secret)} characters: expected 1 to {_MAX_SECRET}")
    if not (secret.isascii() and secret.isprintable()) or secret != secret.strip():
        raise _refused("the secret must be printable ASCII, with no space at its start or end and no line break")
    if scheme == "standard-webhooks":
        key = _decoded(secret)
        if key is None:
            raise _refused("a standard-webhooks secret must be whsec_ and base64 (A-Z, a-z, 0-9, +, /)")
        if len(key) not in _KEY_BYTES:
            raise _refused(f"a standard-webhooks secret must encode 24 to 64 bytes; this one encodes {len(key)}")


def generate_secret(scheme: Scheme, rng_bytes: bytes) -> str:
    """A new secret from 24 to 64 bytes of good randomness."""
    if len(rng_bytes) not in _KEY_BYTES:
        raise ValueError(f"{len(rng_bytes)} random bytes: expected 24 to 64")
    if scheme == "standard-webhooks":
        return _PREFIX + base64.b64encode(rng_bytes).decode()
    return "dest_live_" + rng_bytes.hex()


def hint(secret: str) -> str:
    """What may be shown of a secret, so that people tell two apart: its last four characters, of a long enough one."""
    return "…" + (secret[-_HINT:] if len(secret) >= _HINTED else "")


def _tracklayer(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def _standard(secret: str, content: bytes) -> str:
    key = _decoded(secret)
    if key is None:
        raise ValueError("a standard-webhooks secret that is not base64: check_secret refuses it")
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _decoded(secret: str) -> bytes | None:
    """The key bytes of a Standard Webhooks secret, padded or not; None where it is not base64."""
    text = secret.removeprefix(_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


def _refused(detail: str) -> Invalid:
    return Invalid(detail, code="invalid_secret", pointer="")
