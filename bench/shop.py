"""What a shop sends: known visitors who come again, page after page, now and then an order; and what it has set up."""

from __future__ import annotations

import time
from typing import Any

from tracklayer.model.moment import rfc3339

USERS = 2_000
DENYING = 5  # every fifth visitor denies ads
WITH_CAMPAIGN = 2  # every second page has a campaign in its URL
TEMPLATE = """{
  "type": "{{event_name}}", "id": "{{event_id}}", "at": "{{occurred_at}}",
  "user": {"id": "{{user_data.external_id}}", "email_hash": "{{user_data.email_hash}}"},
  "properties": {{json properties}}
}"""
_HOUR = 20 * ("page",) + 11 * ("view",) + 4 * ("cart",) + 3 * ("order",) + 2 * ("identify",)  # 5 % bring traits

AGENTS = tuple(
    agent.format(version)
    for version in range(118, 143)
    for agent in (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/{}.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/{}.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "CriOS/{}.0.7151.79 Mobile/15E148 Safari/604.1",
    )
)
PLACES = {
    f"203.0.{part}.0/24": {
        "country": {"iso_code": country},
        "subdivisions": [{"iso_code": region}],
        "city": {"names": {"en": city}},
        "postal": {"code": f"{10_000 + part}"},
        "location": {"time_zone": zone},
    }
    for part in range(256)
    for country, region, city, zone in (
        (("DE", "BE", "Berlin", "Europe/Berlin"), ("US", "CA", "San Francisco", "America/Los_Angeles"))[part % 2],
    )
}
LISTS = {f"list_{number}": [f"u_{user}" for user in range(number, USERS, 10)] for number in range(5)}
RULES: dict[str, dict[str, Any]] = {
    "big_spenders": {"event_name": ["purchase"], "properties.value": {"$gte": 100}},
    "gold": {"traits.plan": "gold"},
    "from_news": {"context.campaign.source": "news"},
    "german_phones": {"context.geo.country": "DE", "context.device.type": "mobile"},
    "leaving": {"event_name": ["add_to_cart", "initiate_checkout"], "traits.orders": {"$lt": 2}},
}
CONSENT_DEFAULTS = {"EEA": {"ad_personalization": "denied"}, "*": {"functionality_storage": "granted"}}


def destination(url: str) -> dict[str, Any]:
    """One that wants every event, at `url`: shaped and signed, unpaced."""
    return {
        "name": "warehouse",
        "type": "http",
        "transport": {"url": url, "method": "POST"},
        "signing": {"secret": "a secret of the bench"},
        "template": TEMPLATE,
    }


def event(run: str, number: int, at: float) -> dict[str, Any]:
    """The `number`-th event of `run`, sent at `at` by a browser, in the form of the native API."""
    user = number * 7 % USERS
    kind = _HOUR[number * 13 % len(_HOUR)]
    product = f"p_{number % 500}"
    path = {"order": "/checkout/thanks", "page": f"/c/{number % 40}", "identify": "/account"}.get(kind, f"/p/{product}")
    query = f"?utm_source=news&utm_medium=email&utm_campaign=w{number % 9}&gclid=Cj0{number}"
    page = {
        "url": f"https://shop.example{path}{'' if number % WITH_CAMPAIGN else query}",
        "path": path,
        "title": f"Shop {path}",
        "referrer": "https://www.google.com/",
    }
    context: dict[str, Any] = {
        "ip": f"203.0.{user % 256}.{user % 250}",
        "user_agent": AGENTS[user % len(AGENTS)],
        "locale": "en-US",
        "page": page,
        "screen": {"width": 1440, "height": 900, "density": 2},
        "library": {"name": "analytics.js", "version": "2.1.0"},
    }
    if kind == "identify":
        context["traits"] = traits(user, orders=number % 5)
    return {
        "event_id": f"{run}_{number}",
        "event_name": _NAMES[kind],
        "timestamp": rfc3339(at),
        "sent_at": rfc3339(at + 0.04),
        "platform": "web",
        "user_id": f"u_{user}",
        "anonymous_id": f"5f0c7a52-7d2e-4bb4-9a55-{user:012d}",
        "properties": _properties(kind, number, product),
        "context": context,
        "consent": {"ad_storage": "granted" if user % DENYING else "denied", "analytics_storage": "granted"},
    }


def events(run: str, count: int) -> list[dict[str, Any]]:
    """`count` events of this moment: to be sent within a second, or their clock counts as wrong."""
    now = time.time()
    return [event(run, number, now + number / 10_000) for number in range(count)]


def identify(user: int) -> dict[str, Any]:
    """How a visitor becomes known."""
    return {
        "event_name": "identify",
        "user_id": f"u_{user}",
        "anonymous_id": f"5f0c7a52-7d2e-4bb4-9a55-{user:012d}",
        "context": {"traits": traits(user, orders=0)},
    }


def traits(user: int, *, orders: int) -> dict[str, Any]:
    """What the shop knows of a visitor."""
    return {
        "email": f"user{user}@shop.example",
        "phone": f"+1415555{user:04d}",
        "firstName": "Ann",
        "lastName": f"Example{user}",
        "plan": "gold" if user % 4 == 0 else "basic",
        "orders": orders,
        "address": {"city": "Springfield", "postalCode": f"{user:05d}", "country": "US"},
    }


_NAMES = {
    "page": "Page Viewed",
    "view": "Product Viewed",
    "cart": "Product Added",
    "order": "Order Completed",
    "identify": "identify",
}


def _properties(kind: str, number: int, product: str) -> dict[str, Any]:
    if kind in ("page", "identify"):
        return {}
    item = {"product_id": product, "sku": f"S-{product}", "name": "T-shirt, black, M", "price": 24.5, "quantity": 2}
    if kind != "order":
        return {**item, "currency": "USD", "category": "shirts"}
    return {"order_id": str(number), "value": number % 300 + 0.5, "currency": "USD", "items": [item, item]}
