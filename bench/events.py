"""What is sent and what must arrive: the guide's purchase, and the guide's first destination."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

SIGNING_SECRET = "dest_live_9f3b27"
WEBHOOK_TOKEN = "whk-5d0c1f"  # lower case: the receiver sees heads in lower case
OCCURRED_AT = "2026-05-05T10:30:00Z"

TEMPLATE = """{
  "type": "{{event_name}}",
  "timestamp": "{{occurred_at}}",
  "user": {
    "email_hash": "{{user_data.email_hash}}",
    "external_id": "{{user_data.external_id}}"
  },
  "order_id": "{{properties.order_id}}",
  "value": "{{properties.value}}",
  "currency": "{{properties.currency}}"
}"""


def event_id(run: str, number: int) -> str:
    """The id of the `number`-th event of `run` (lower-case letters)."""
    return f"{run}-{number:07d}"


def event(run: str, number: int) -> dict[str, Any]:
    """The `number`-th purchase of `run`, on the wire about 750 bytes."""
    return {
        "event_id": event_id(run, number),
        "event_name": "purchase",
        "occurred_at": OCCURRED_AT,
        "platform": "shopify",
        "segment": ["vip_customers"],
        "user_data": {
            "external_id": f"u_{number}",
            "email_hash": _email_hash(number),
            "phone": "+15551234567",
            "country": "US",
        },
        "properties": {
            "order_id": str(100_000 + number),
            "value": 149.99,
            "currency": "USD",
            "items": [
                {"sku": "TEE-M-BLK", "name": "T-shirt, black, M", "quantity": 2, "price": 24.5},
                {"sku": "MUG-01", "name": "Mug “Hello”", "quantity": 1, "price": 100.99},
            ],
        },
        "context": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:138.0) Gecko/20100101"},
        "consent": {"ad_storage": "granted"},
    }


def events(run: str, count: int) -> list[dict[str, Any]]:
    """The first `count` purchases of `run`."""
    return [event(run, number) for number in range(count)]


def shaped(number: int) -> dict[str, Any]:
    """The body that the template makes of the `number`-th event."""
    return {
        "type": "purchase",
        "timestamp": OCCURRED_AT,
        "user": {"email_hash": _email_hash(number), "external_id": f"u_{number}"},
        "order_id": str(100_000 + number),
        "value": "149.99",
        "currency": "USD",
    }


def destination(url: str) -> dict[str, Any]:
    """The guide's first destination, posting to `url`: filtered, shaped, signed, with a secret in a header, unpaced."""
    return {
        "name": "bench",
        "type": "http",
        "transport": {
            "url": url,
            "method": "POST",
            "headers": {"Authorization": "Bearer {{secrets.webhook_token}}", "X-Environment": "production"},
            "timeout": "10s",
        },
        "signing": {"secret": SIGNING_SECRET},
        "filter": {
            "event_name": ["purchase", "refund_requested"],
            "platform": ["shopify"],
            "segment": ["vip_customers"],
        },
        "template": TEMPLATE,
        "retry": {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m"},
    }


def requests(
    events: Sequence[dict[str, Any]], *, batch: int | None, path: str, headers: Mapping[str, str]
) -> tuple[list[bytes], list[range]]:
    """Whole HTTP requests for `events`, ready to be written, and the places of the events that each of them holds.

    With `batch` None a request is one event, else `{"events": […]}` of up to `batch` events.
    """
    groups = [range(start, min(start + (batch or 1), len(events))) for start in range(0, len(events), batch or 1)]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{lines}"
    return [_request(head, [events[number] for number in group], batch) for group in groups], groups


def _request(head: str, items: list[dict[str, Any]], batch: int | None) -> bytes:
    if "sent_at" in items[-1]:  # one request is sent at one moment
        items = [{**item, "sent_at": items[-1]["sent_at"]} for item in items]
    body = json.dumps(items[0] if batch is None else {"events": items}, ensure_ascii=False).encode()
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _email_hash(number: int) -> str:
    return hashlib.sha256(b"user%d@example.com" % number).hexdigest()
