"""Calls of the API to paste into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from tracklayer.model.event import encode_json

EVENT = {
    "event_name": "purchase",
    "user_id": "customer-7",
    "properties": {"order_id": "order-1", "total": 49.9, "currency": "EUR"},
}
KEY_FROM_ENVIRONMENT = "$TRACKLAYER_API_KEY"


def example_call(origin: str, key: str, scopes: Collection[str]) -> str | None:
    """A curl line that a key with these scopes may make, and that changes no configuration; None where there is none.

    `key` stands between double quotes: `KEY_FROM_ENVIRONMENT` is filled in by the shell.
    """
    if "events:write" in scopes or "admin" in scopes:
        body = encode_json(EVENT).decode()
        return _call(origin, "/v1/events", key, f"--header 'Content-Type: application/json' \\\n  --data '{body}'")
    for scope, path in (("events:read", "/v1/events"), ("destinations:read", "/v1/destinations")):
        if scope in scopes:
            return _call(origin, path, key)
    return None


def _call(origin: str, path: str, key: str, more: str = "") -> str:
    line = f'curl {shlex.quote(origin + path)} \\\n  --header "Authorization: Bearer {key}"'
    return f"{line} \\\n  {more}" if more else line
