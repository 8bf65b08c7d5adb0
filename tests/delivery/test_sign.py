from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tracklayer.delivery.sign import Keys, Scheme, check_secret, generate_secret, hint, sign, verify
from tracklayer.errors import Invalid

SECRET, OLD = "dest_live_9f3b27", "dest_live_000001"
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_WHSEC = base64.b64encode(bytes(24)).decode()  # the prefix is optional
BODY = '{"text":"“quotes”, 😀, \\n, </script>"}'.encode()

# The guide's own function, word for word but for its TypeScript types.
RECEIVER = """
import crypto from "node:crypto";
export function verifyTrackLayerSignature(rawBody, header, secret) {
const expected = crypto
.createHmac("sha256", secret)
.update(rawBody)
.digest("hex");
const received = header.replace(/^sha256=/, "");
return (
expected.length === received.length &&
crypto.timingSafeEqual(
Buffer.from(expected, "utf8"),
Buffer.from(received, "utf8"),
)
);
}
const cases = JSON.parse(await new Response(process.stdin).text());
console.log(JSON.stringify(cases.map(([body, header, secret]) => verifyTrackLayerSignature(body, header, secret))));
"""


def signed(scheme: Scheme, keys: Keys, body: bytes = BODY, timestamp: int = 1_700_000_000) -> dict[str, str]:
    return dict(sign(scheme, keys, delivery_id="dlv_1", timestamp=timestamp, body=body))


def test_the_header_is_the_hex_digest_of_the_exact_body() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert signed("tracklayer", Keys(SECRET)) == {"X-TrackLayer-Signature": f"sha256={digest}"}


def test_a_rotation_adds_the_signature_of_the_old_secret() -> None:
    headers = signed("tracklayer", Keys(SECRET, OLD))
    assert headers["X-TrackLayer-Signature"] == signed("tracklayer", Keys(SECRET))["X-TrackLayer-Signature"]
    assert headers["X-TrackLayer-Signature-Previous"] == signed("tracklayer", Keys(OLD))["X-TrackLayer-Signature"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: install `node` to run the guide's function")
def test_the_guides_node_function_accepts_it() -> None:
    bodies = [BODY.decode(), "", "{}", "\ufeff\u2028é" * 100]
    keys = Keys('secret with spaces, ~ and "quotes"', OLD)
    cases = []
    for body in bodies:
        headers = signed("tracklayer", keys, body.encode())
        cases.append((body, headers["X-TrackLayer-Signature"], keys.current))
        cases.append((body, headers["X-TrackLayer-Signature-Previous"], OLD))
        cases.append((body + " ", headers["X-TrackLayer-Signature"], keys.current))
        cases.append((body, headers["X-TrackLayer-Signature"], OLD))
    answer = subprocess.run(
        ["node", "--input-type=module", "-e", RECEIVER],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(answer.stdout) == [True, True, False, False] * len(bodies)


def test_the_standard_webhooks_library_accepts_it() -> None:
    headers = signed("standard-webhooks", Keys(WHSEC), timestamp=int(time.time()))
    assert Webhook(WHSEC).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(BODY + b" ", headers)


@pytest.mark.parametrize("secret", [WHSEC, OLD_WHSEC])
def test_during_a_rotation_the_library_accepts_it_with_either_secret(secret: str) -> None:
    headers = signed("standard-webhooks", Keys(WHSEC, OLD_WHSEC), timestamp=int(time.time()))
    assert headers["webhook-signature"].count("v1,") == 2
    assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)


def test_the_example_of_the_specifications_reference_library() -> None:
    keys = Keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    message, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    headers = dict(sign("standard-webhooks", keys, delivery_id=message, timestamp=1614265330, body=body))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_standard_webhooks_keeps_the_other_header_as_well() -> None:
    headers = signed("standard-webhooks", Keys(WHSEC, OLD_WHSEC))
    assert list(headers) == [
        "X-TrackLayer-Signature",
        "X-TrackLayer-Signature-Previous",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]
    assert headers["webhook-id"] == "dlv_1"
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["X-TrackLayer-Signature"] == signed("tracklayer", Keys(WHSEC))["X-TrackLayer-Signature"]


@pytest.mark.parametrize("scheme, current, old", [("tracklayer", SECRET, OLD), ("standard-webhooks", WHSEC, OLD_WHSEC)])
def test_verify_accepts_what_is_signed_and_nothing_else(scheme: Scheme, current: str, old: str) -> None:
    headers = sign(scheme, Keys(current, old), delivery_id="dlv_1", timestamp=1, body=BODY)
    assert verify(scheme, current, headers, BODY)
    assert verify(scheme, old, headers, BODY)
    assert not verify(scheme, generate_secret(scheme, bytes(32)), headers, BODY)
    assert not verify(scheme, current, headers, BODY + b" ")
    assert not verify(scheme, current, [], BODY)
    assert not verify(scheme, current, [(name, "é" + value) for name, value in headers], BODY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", "X-TrackLayer-Signature"])
def test_verify_notices_any_header_that_is_missing_or_changed(name: str) -> None:
    headers = signed("standard-webhooks", Keys(WHSEC))
    changed = headers | {name: headers[name][:-3] + "abc"}
    missing = {other: value for other, value in headers.items() if other != name}
    assert verify("standard-webhooks", WHSEC, headers.items(), BODY)
    assert not verify("standard-webhooks", WHSEC, changed.items(), BODY)
    assert not verify("standard-webhooks", WHSEC, missing.items(), BODY)


@given(
    st.binary(max_size=200), st.sampled_from(["tracklayer", "standard-webhooks"]), st.binary(min_size=24, max_size=64)
)
def test_every_generated_secret_is_usable_and_signs_any_body(body: bytes, scheme: Scheme, chance: bytes) -> None:
    secret = generate_secret(scheme, chance)
    check_secret(scheme, secret)
    assert verify(scheme, secret, sign(scheme, Keys(secret), delivery_id="d", timestamp=0, body=body), body)


@pytest.mark.parametrize(
    "scheme, secret",
    [
        ("tracklayer", "x"),
        ("tracklayer", "a passphrase of several words"),
        ("tracklayer", "x" * 256),
        ("standard-webhooks", WHSEC),
        ("standard-webhooks", OLD_WHSEC),
        ("standard-webhooks", base64.b64encode(bytes(25)).decode().rstrip("=")),
        ("standard-webhooks", "whsec_" + base64.b64encode(bytes(64)).decode()),
    ],
)
def test_a_usable_secret_passes(scheme: Scheme, secret: str) -> None:
    check_secret(scheme, secret)


@pytest.mark.parametrize(
    "scheme, secret, word",
    [
        ("tracklayer", "", "0 characters"),
        ("tracklayer", "x" * 257, "257"),
        ("tracklayer", "sesame\r\nX-Evil: 1", "line break"),
        ("tracklayer", "sesame\n", "line break"),
        ("tracklayer", " sesame", "space"),
        ("tracklayer", "sésame", "ASCII"),
        ("tracklayer", "sesame\x00", "ASCII"),
        ("standard-webhooks", "dest_live_9f3b27", "base64"),
        ("standard-webhooks", "whsec_", "0"),
        ("standard-webhooks", "whsec_" + base64.urlsafe_b64encode(b"\xff" * 33).decode(), "base64"),
        ("standard-webhooks", "whsec_" + base64.b64encode(bytes(23)).decode(), "23"),
        ("standard-webhooks", "whsec_" + base64.b64encode(bytes(65)).decode(), "65"),
    ],
)
def test_an_unusable_secret_is_refused_and_not_shown(scheme: Scheme, secret: str, word: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_secret(scheme, secret)
    assert refusal.value.code == "invalid_secret"
    assert word in refusal.value.detail
    assert len(secret) < 2 or secret.strip() not in refusal.value.detail


def test_a_secret_that_was_not_checked_signs_nothing() -> None:
    with pytest.raises(ValueError, match="not base64"):
        signed("standard-webhooks", Keys("dest_live_9f3b27"))


def test_too_little_randomness_makes_no_secret() -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        generate_secret("tracklayer", bytes(23))


@pytest.mark.parametrize("show", [hint, lambda secret: repr(Keys(secret, secret))])
def test_no_secret_is_shown_whole(show: Callable[[str], str]) -> None:
    for length in range(1, 20):
        secret = "0123456789abcdefghij"[:length]
        assert length <= 1 or secret not in show(secret)


def test_the_hint_is_the_last_four_of_a_long_enough_secret() -> None:
    assert hint("dest_live_9f3b27") == "…3b27"
    assert hint("12345678") == "…5678"
    assert hint("1234567") == "…"
