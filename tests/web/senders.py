"""What senders do: sign webhooks, and call with a write key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.harness import Answer, Api
from tests.web.expect import ok

SECRET = "a-shared-secret"
SHOP = "mugs.myshopify.com"


def made(api: Api, kind: str, name: str, **settings: Any) -> dict[str, Any]:
    """A new source; webhooks are signed with `SECRET`."""
    secret = {} if kind == "segment" else {"secret": SECRET}
    return dict(ok(api.post("/v1/sources", {"type": kind, "name": name, "settings": secret | settings}), 201))


def basic(key: str) -> dict[str, str]:
    """The header of a write key."""
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def call(api: Api, path: str, body: Any, key: str | None) -> Answer:
    """A request of the Segment protocol."""
    return Api(api.url, None).call("POST", path, body, headers=None if key is None else basic(key))


def webhook(api: Api, source: dict[str, Any], body: Any, *, secret: str = SECRET, **headers: str) -> Answer:
    """A signed webhook to the address of `source`; `x_shopify_topic` and so on are its other headers."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = "/v1/sources/" + source["id"] + "/ingest"
    if source["type"] == "shopify":
        signature = base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()
        sent = {"X_Shopify_Hmac_SHA256": signature, "X_Shopify_Shop_Domain": SHOP}
    else:
        sent = {"X_Signature": hmac.new(secret.encode(), raw, hashlib.sha1).hexdigest()}
    return Api(api.url, None).call("POST", path, raw, headers=sent | headers)


def rejected(api: Api, source: dict[str, Any]) -> list[dict[str, Any]]:
    """What a source sent in vain, newest first."""
    return list(ok(api.get("/v1/rejected", source_id=source["id"]))["data"])


def today(api: Api, source: dict[str, Any]) -> dict[str, int]:
    """What became of what a source sent, over all days that are shown."""
    days = ok(api.get(f"/v1/sources/{source['id']}"))["days"]
    return {name: sum(day[name] for day in days) for name in ("accepted", "duplicate", "rejected")}
