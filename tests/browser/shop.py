"""A shop as the stage plays it: its destinations, its customers' events, and how its receivers behave. No I/O.

Times are told as `ago`, seconds before the end of the play. The hosts' names are shown and never asked.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tracklayer.presets import presets

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SPAN = 3 * DAY  # from the first destination to the end

SECRETS = {
    "collector_token": "clt_5d0c1fa77e2b4e0a9f3b27",
    "slack_webhook_path": "T02LUMEN/B07ORDERS/x9Kq2mWcE1rTyUiOp",
    "pagerduty_routing_key": "9f3b27c1d5e84a60b2f7c3d8e1a4f605",
    "mixpanel_token": "b27f3c9d1e5a48609f3bc7d2e8a1f406",
    "loyalty_token": "loy_live_7c3d8e1a4f605b2f",
    "warehouse_key": "whk-5d0c1fb2a7",
    "returns_token": "rtn_2b4e0a9f3b27",
}

_SHORT = """{
  "type": "{{event_name}}",
  "timestamp": "{{occurred_at}}",
  "user": {
    "email_hash": "{{user_data.email_hash}}",
    "external_id": "{{user_data.external_id}}"
  },
  "order_id": "{{properties.order_id}}",
  "value": {{properties.value}},
  "currency": "{{properties.currency}}"
}"""
_LONG = """"{{properties.currency}}",
  "items": [
    {{#each properties.items}}
    { "sku": "{{sku}}", "quantity": {{quantity}} }{{#unless @last}},{{/unless}}
    {{/each}}
  ]
}"""
_ORDER = (  # as the three versions of the destination have it
    _SHORT.replace("{{properties.value}}", '"{{properties.value}}"'),
    _SHORT,
    _SHORT.replace('"{{properties.currency}}"\n}', _LONG),
)
_POINTS = """{
  "member": "{{user_data.external_id}}",
  "points": {{round properties.value}},
  "reason": "order {{properties.order_id}}",
  "at": "{{occurred_at}}"
}"""
_RETURN = """{
  "order": "{{properties.order_id}}",
  "reason": "{{properties.reason}}",
  "amount": { "value": {{properties.value}}, "currency": "{{properties.currency}}" },
  "items": {{json properties.items}}
}"""
_SCORE = """{
  "order": "{{properties.order_id}}",
  "amount": {{properties.value}},
  "currency": "{{properties.currency}}",
  "customer": "{{user_data.external_id}}",
  "coupon": "{{properties.coupon}}",
  "country": "{{user_data.country}}"
}"""
GUIDE_RETRY = {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m"}


def destinations() -> dict[str, dict[str, Any]]:
    """By a short name: each destination as it was first made."""
    start = {preset.name: preset.destination for preset in presets()}
    return {
        "collector": {
            "name": "Order collector",
            "transport": _to("https://collector.internal.example.com/tracklayer/events", "collector_token"),
            "signing": {"secret": "dest_live_9f3b27"},
            "filter": {"event_name": ["purchase", "refund_requested"]},
            "template": _ORDER[0],
            "retry": GUIDE_RETRY,
            "rate_limit": {"profile": "internal"},
        },
        "slack": start["slack"]
        | {"name": "Slack #orders", "filter": {"event_name": ["purchase"], "properties.value": {"$gte": 100}}},
        "warehouse": {
            "name": "Warehouse",
            "transport": {
                "url": "https://ingest.warehouse.example.com/v2/rows?table=events",
                "headers": {"X-Api-Key": "{{secrets.warehouse_key}}"},
                "timeout": "5s",
            },
            "signing": {"secret": "dest_live_c41d07"},
            "retry": {"attempts": 4, "backoff": "5s, 30s, 2m, 10m"},
            "rate_limit": {"profile": "warehouse"},
        },
        "pagerduty": start["pagerduty"] | {"name": "PagerDuty refunds"},
        "loyalty": {
            "name": "Loyalty points",
            "transport": _to("https://api.loyalty.example.com/v1/points", "loyalty_token"),
            "signing": {"secret": "dest_live_77e2b4"},
            "filter": {"event_name": ["purchase"]},
            "template": _POINTS,
            "retry": GUIDE_RETRY,
            "rate_limit": {"events_per_second": 10},
        },
        "mixpanel": start["mixpanel"]
        | {"name": "Mixpanel", "consent": {"requires": ["analytics_storage"], "when_unknown": "allow"}},
        "returns": {
            "name": "Returns desk",
            "transport": _to("https://returns.example.com/api/requests", "returns_token"),
            "filter": {"event_name": ["refund_requested"]},
            "template": _RETURN,
            "on_missing": "fail",
            "retry": GUIDE_RETRY,
        },
        "fraud": {
            "name": "Fraud scoring",
            "status": "draft",
            "note": "waiting for the receiver's token",
            "transport": {"url": "https://score.fraud.example.com/orders"},
            "signing": {"secret": "dest_live_e1a4f6"},
            "filter": {"event_name": ["purchase"], "properties.value": {"$gte": 50}},
            "template": _SCORE,
            "retry": GUIDE_RETRY,
            "rate_limit": {"profile": "internal"},
        },
    }


COLLECTOR_CHANGES = (  # when, with which template, and why
    (2.1 * DAY, _ORDER[1], "the value is a number for the receiver"),
    (5.2 * HOUR, _ORDER[2], "the warehouse team wants the items as well"),
)


class Told(NamedTuple):
    """An event that a customer makes, and when."""

    ago: float
    fields: dict[str, Any]


def events(rng: random.Random, count: int) -> list[Told]:
    """Three days of a shop, most of it in the last one, oldest first; the last few minutes are always busy."""
    times = [DAY * rng.random() for _ in range(count * 3 // 4)] + [
        SPAN * 0.95 * rng.random() for _ in range(count // 4)
    ]
    kept = [ago for ago in times if rng.random() < 0.35 + 0.65 * math.sin(math.pi * ago / DAY + 0.6) ** 2]
    kept += [MINUTE * 5 * rng.random() for _ in range(14)]
    return [Told(ago, _event(rng, number, ago)) for number, ago in enumerate(sorted(kept, reverse=True))]


_FIRST = (
    *("Ada", "Ben", "Chloé", "Dario", "Emma", "Farid", "Greta", "Hugo", "Ines", "Jonas"),
    *("Kim", "Lena", "Marek", "Nora", "Omar", "Paula", "Quinn", "Rosa", "Sven", "Tara"),
)
_LAST = ("Albers", "Bianchi", "Costa", "Dubois", "Ek", "Fischer", "Garcia", "Haddad")
_COUNTRIES = ("DE", "FR", "ES", "US", "NL", "SE")
_PRODUCTS = (
    ("LMP-ARC-BLK", "Arc floor lamp, black", 189.0),
    ("LMP-DSK-OAK", "Desk lamp, oak", 79.5),
    ("BLB-E27-4W", "Bulb E27, 4 W, warm", 8.9),
    ("SHD-LIN-40", "Linen shade, 40 cm", 34.0),
    ("CBL-TEX-3M", "Textile cable, 3 m", 14.5),
    ("LMP-PND-CPR", "Pendant “Copper”", 129.0),
)
_NAMES = ("purchase",) * 9 + ("add_to_cart",) * 4 + ("checkout_started",) * 3 + ("refund_requested",) * 2 + ("lead",)
_REASONS = ("arrived damaged", "other colour than shown", "changed my mind", "too late")


def _event(rng: random.Random, number: int, ago: float) -> dict[str, Any]:
    name = rng.choice(_NAMES)
    customer = rng.randrange(len(_FIRST) * len(_LAST))
    first, last = _FIRST[customer % len(_FIRST)], _LAST[customer // len(_FIRST)]
    bought = [(each, rng.choice((1, 1, 1, 2, 4))) for each in rng.sample(_PRODUCTS, rng.choice((1, 1, 2, 3)))]
    order = str(100_045 + number)
    properties: dict[str, Any] = {
        "order_id": order,
        "value": round(sum(price * quantity for (_, _, price), quantity in bought), 2),
        "currency": "EUR",
        "items": [{"sku": sku, "name": title, "quantity": n, "price": price} for (sku, title, price), n in bought],
    }
    if name == "refund_requested" and rng.random() < 0.8:
        properties["reason"] = rng.choice(_REASONS)
    if rng.random() < 0.2:
        properties["coupon"] = rng.choice(("SPRING10", "WELCOME", "LIGHTS-ON"))
    return {
        "event_id": f"ord_{order}_{name}",
        "event_name": name,
        "platform": rng.choice(("shopify", "shopify", "shopify", "ios")),
        "segment": rng.sample(("vip_customers", "b2b_accounts", "newsletter"), rng.choice((0, 1, 1, 2))),
        "user_data": {
            "external_id": f"u_{1000 + customer}",
            "email": f"{first}.{last}@{'qa.' if customer % 37 == 0 else ''}example.com".lower().replace("é", "e"),
            "first_name": first,
            "last_name": last,
            "country": _COUNTRIES[customer % len(_COUNTRIES)],
        },
        "properties": properties,
        "context": {"ip": "203.0.113.7", "page": {"path": "/checkout"}},
        "consent": {"analytics_storage": "denied" if rng.random() < 0.08 else "granted"},
    }


class Reply(NamedTuple):
    """What a receiver does: it answers after `seconds`; status 0: it takes longer than anybody waits."""

    status: int
    body: str
    seconds: float
    headers: tuple[tuple[str, str], ...] = ()


def reply(rng: random.Random, host: str, body: bytes, ago: float) -> Reply:
    """How the receiver at `host` meets a request."""
    act = _RECEIVERS.get(host)
    return act(rng, body, ago) if act else _json(200, {"ok": True}, _time(rng, 0.06))


def _collector(rng: random.Random, _: bytes, ago: float) -> Reply:
    if 6.2 * HOUR > ago > 5.7 * HOUR:
        return _json(503, {"error": "deploy in progress"}, _time(rng, 0.02))
    return _json(202, {"accepted": True}, _time(rng, 0.045))


def _slack(rng: random.Random, _body: bytes, _ago: float) -> Reply:
    if rng.random() < 0.05:
        return Reply(429, "rate_limited", _time(rng, 0.06), (("retry-after", "3"), _TEXT))
    return Reply(200, "ok", _time(rng, 0.16), (_TEXT,))


def _warehouse(rng: random.Random, _: bytes, ago: float) -> Reply:
    if 11.5 * HOUR > ago > 10.2 * HOUR and rng.random() < 0.95:
        return Reply(0, "", 0.0)
    if ago < 4 * MINUTE and rng.random() < 0.7:
        return _json(503, {"error": "maintenance", "message": "Loading is paused, back in a few minutes."}, 0.04)
    return _json(200, {"rows": 1}, _time(rng, 0.11))


def _loyalty(rng: random.Random, _: bytes, ago: float) -> Reply:
    if ago < 3.2 * HOUR:
        return _json(401, {"error": "invalid_token", "message": "This token was revoked."}, _time(rng, 0.05))
    return _json(200, {"ok": True}, _time(rng, 0.07))


def _returns(rng: random.Random, body: bytes, _: float) -> Reply:
    if b"LMP-PND-CPR" in body:
        detail = [{"field": "items[0].sku", "message": "LMP-PND-CPR is not in the catalogue"}]
        return _json(422, {"errors": detail}, _time(rng, 0.09))
    return _json(200, {"ok": True}, _time(rng, 0.07))


def _mixpanel(rng: random.Random, _body: bytes, _ago: float) -> Reply:
    return Reply(200, "0" if rng.random() < 0.004 else "1", _time(rng, 0.08), (_TEXT,))


def _pagerduty(rng: random.Random, _body: bytes, _ago: float) -> Reply:
    return _json(202, {"status": "success", "message": "Event processed"}, _time(rng, 0.14))


_TEXT = ("content-type", "text/plain")
_RECEIVERS: dict[str, Callable[[random.Random, bytes, float], Reply]] = {
    "collector.internal.example.com": _collector,
    "hooks.slack.com": _slack,
    "ingest.warehouse.example.com": _warehouse,
    "api.loyalty.example.com": _loyalty,
    "returns.example.com": _returns,
    "api.mixpanel.com": _mixpanel,
    "events.pagerduty.com": _pagerduty,
}


def _json(status: int, body: object, seconds: float) -> Reply:
    return Reply(status, json.dumps(body), seconds, (("content-type", "application/json"), ("server", "nginx")))


def _time(rng: random.Random, median: float) -> float:
    return median * rng.lognormvariate(0, 0.5)


def _to(url: str, secret: str) -> dict[str, Any]:
    return {"url": url, "headers": {"Authorization": f"Bearer {{{{secrets.{secret}}}}}", "X-Environment": "production"}}
