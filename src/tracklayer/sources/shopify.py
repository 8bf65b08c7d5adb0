"""Shopify's webhooks: an order, a refund, a checkout or a customer into the native API's fields.

Source: Shopify's REST Admin API reference (Order, Refund, Checkout, Customer), whose shapes the webhooks have. Amounts
come as texts and stay exact. docs/sources.md shows the tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json
from tracklayer.pipeline.bounds import text_of, wrong_kind

SIGNATURE = "x-shopify-hmac-sha256"
TOPIC = "x-shopify-topic"
SHOP = "x-shopify-shop-domain"
WEBHOOK_ID = "x-shopify-webhook-id"
TRIGGERED_AT = "x-shopify-triggered-at"

TOPICS: Mapping[str, str] = {
    "orders/create": "purchase",
    "refunds/create": "refund_requested",
    "checkouts/create": "initiate_checkout",
    "customers/create": "lead",
}
AMOUNTS: Mapping[str, str] = {  # of an order or a checkout: our property → their field
    "value": "total_price",
    "subtotal": "subtotal_price",
    "tax": "total_tax",
    "discount": "total_discounts",
}
TEXTS: Mapping[str, str] = {  # the same, for what is no amount
    "currency": "currency",
    "order_name": "name",
    "order_number": "order_number",
    "source_name": "source_name",
    "tags": "tags",
    "checkout_url": "abandoned_checkout_url",
}
ITEM: Mapping[str, str] = {  # of a line of either
    "name": "title",
    "variant": "variant_title",
    "brand": "vendor",
    "sku": "sku",
    "quantity": "quantity",
}
ADDRESS: Mapping[str, str] = {
    "city": "city",
    "state": "province_code",
    "postal_code": "zip",
    "country": "country_code",
}

_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")  # a sum of them is exact in 28 digits
_SHOP = re.compile(r"[A-Za-z0-9.-]{1,100}")


class ShopifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source of this kind can be told."""

    topics: dict[str, str] = {}  # more topics of orders, refunds, checkouts and customers, or other names for them

    def check(self) -> None:
        """Raise `Invalid` for a topic that cannot be mapped, or a name that no event can have."""
        for topic, name in self.topics.items():
            text_of(name, pointer("topics", topic))
            kind, _, action = topic.partition("/")
            if kind not in _READERS or not action:
                raise Invalid(
                    f"{topic[:80]!r} is no topic that can be mapped: expected such as orders/paid, of "
                    + ", ".join(_READERS),
                    code="unknown_topic",
                    pointer=pointer("topics", topic),
                )


class Delivery(NamedTuple):
    """What the headers of a webhook say."""

    topic: str
    shop: str
    triggered_at: str | None = None


def map_webhook(payload: Json, delivery: Delivery, settings: ShopifySettings) -> dict[str, Json]:
    """One webhook as fields of the native API. Raises `Invalid`, its pointer into `payload`."""
    topic, shop = delivery.topic, delivery.shop
    name = settings.topics.get(topic) or TOPICS.get(topic)
    if name is None:
        known = ", ".join({**TOPICS, **settings.topics})
        raise Invalid(f"no mapping for topic {topic[:80]!r}: there is one for {known}", code="no_mapping")
    if not _SHOP.fullmatch(shop):
        raise Invalid(f"{shop[:80]!r} is no shop: expected such as example.myshopify.com in {SHOP}", code="no_shop")
    if not isinstance(payload, dict):
        raise wrong_kind(payload, "", f"an object as {topic} has it")
    kind, _, action = topic.partition("/")
    thing = _id(payload.get("id"))
    if thing is None:
        raise Invalid("id is missing: without it a repetition could not be told", code="required", pointer="/id")
    created, changed = payload.get("created_at"), payload.get("updated_at")
    parts = ["shopify", shop, f"{kind}.{action}", thing]  # no slash: it shall stand in a path
    if action != "create" and isinstance(changed, str):
        parts.append(changed)
    read = _READERS[kind](payload, shop)
    return {
        "event_id": ":".join(parts),
        "event_name": name,
        "occurred_at": created if action == "create" else delivery.triggered_at or changed or created,
        "platform": "shopify",
        "user_data": _present(read.user),
        "properties": _present(read.properties),
        "context": _present({**read.context, "shopify": {"shop": shop, "topic": topic}}),
    }


class _Read(NamedTuple):
    user: dict[str, Json]
    properties: dict[str, Json]
    context: dict[str, Json]


def _order(payload: dict[str, Json], shop: str) -> _Read:
    read = _sale(payload, shop)
    return read._replace(
        properties={"order_id": _id(payload["id"]), **read.properties, "checkout_id": _id(payload.get("checkout_id"))}
    )


def _checkout(payload: dict[str, Json], shop: str) -> _Read:
    read = _sale(payload, shop)
    return read._replace(properties={"checkout_id": _id(payload["id"]), **read.properties})


def _sale(payload: dict[str, Json], shop: str) -> _Read:
    """What an order and a checkout have in common."""
    codes = [_text(each.get("code")) for each in _objects(payload.get("discount_codes"))]
    properties: dict[str, Json] = {
        **{ours: _amount_or_as_sent(payload.get(theirs)) for ours, theirs in AMOUNTS.items()},
        "shipping": _shipping(payload),
        "coupon": ",".join(code for code in codes if code) or None,
        **{ours: payload.get(theirs) for ours, theirs in TEXTS.items()},
        "test": payload.get("test") or None,
        "items": [_item(line, _amount_or_as_sent(line.get("price"))) for line in _objects(payload.get("line_items"))],
    }
    client = _object(payload.get("client_details"))
    landing = _text(payload.get("landing_site"))
    page = {
        "url": f"https://{shop}{landing}" if landing and landing.startswith("/") else landing,
        "referrer": _text(payload.get("referring_site")),
    }
    context: dict[str, Json] = {
        "page": _present(page),
        "ip": _text(payload.get("browser_ip")) or _text(client.get("browser_ip")),
        "user_agent": _text(client.get("user_agent")),
        "locale": _text(payload.get("customer_locale")),
    }
    return _Read(_buyer(payload), properties, context)


def _refund(payload: dict[str, Json], _shop: str) -> _Read:
    """What is paid back: the refunds among the transactions that succeeded. What is under way is `pending`.

    Amounts of several currencies, as where a gift card pays in the shop's, are no sum: each stands on its own.
    """
    paid = [each for each in _objects(payload.get("transactions")) if each.get("kind") == "refund"]
    counts = sorted(paid, key=lambda each: each.get("status") not in ("success", "pending"))
    currency = next(filter(None, (_text(each.get("currency")) for each in counts)), None) or _currency(payload)
    back, pending = (_by_currency(paid, status, currency) for status in ("success", "pending"))
    said: dict[str, Json] = {"amounts": _listed(back), "pending_amounts": _listed(pending)}
    if not (back.keys() | pending.keys()) - {currency}:
        said = {"value": back.get(currency, Decimal(0)), "pending": pending.get(currency) or None, "currency": currency}
    properties: dict[str, Json] = {
        "order_id": _id(payload.get("order_id")),
        "refund_id": _id(payload["id"]),
        **said,
        "reason": payload.get("note"),
        "items": [_refunded(each, said.get("currency")) for each in _objects(payload.get("refund_line_items"))],
    }
    return _Read({}, properties, {})


def _refunded(refunded: dict[str, Json], currency: Json) -> dict[str, Json]:
    """A line that is given back: its amounts in `currency` where Shopify tells all of them in it, or the shop's."""
    refunded, line = dict(refunded), dict(_object(refunded.get("line_item")))
    amounts = ((refunded, "subtotal"), (refunded, "total_tax"), (line, "price"), (line, "total_discount"))
    told = [(thing, name) for thing, name in amounts if thing.get(name) is not None]
    shop = _text(_money(refunded, "subtotal", "shop").get("currency_code"))
    shown = [_money(thing, name, "presentment") for thing, name in told]
    if (
        currency is not None
        and shop not in (None, currency)
        and all(each.get("currency_code") == currency for each in shown)
    ):
        for (thing, name), each in zip(told, shown, strict=True):
            thing[name] = each.get("amount")
        shop = None
    own = {"subtotal": _amount(refunded.get("subtotal")), "tax": _amount(refunded.get("total_tax"))}
    item = _item({**line, "quantity": refunded.get("quantity")}, _amount(line.get("price")))
    return item | _present({**own, "currency": None if shop == currency else shop})


def _customer(payload: dict[str, Json], _shop: str) -> _Read:
    properties = {"customer_id": _id(payload["id"]), **{name: payload.get(name) for name in ("currency", "tags")}}
    return _Read(_person(payload, _object(payload.get("default_address"))), properties, {})


_READERS: Mapping[str, Callable[[dict[str, Json], str], _Read]] = {
    "orders": _order,
    "refunds": _refund,
    "checkouts": _checkout,
    "customers": _customer,
}


def _buyer(payload: dict[str, Json]) -> dict[str, Json]:
    customer = _object(payload.get("customer"))
    address = _object(payload.get("billing_address")) or _object(payload.get("shipping_address"))
    person = _person(customer, address or _object(customer.get("default_address")))
    own = {
        "email": _text(payload.get("email")) or _text(payload.get("contact_email")),
        "phone": _text(payload.get("phone")),
    }
    return {**person, **_present(own)}


def _person(customer: dict[str, Json], address: dict[str, Json]) -> dict[str, Json]:
    names = {name: _text(customer.get(name)) or _text(address.get(name)) for name in ("first_name", "last_name")}
    return {
        "external_id": _id(customer.get("id")),
        "email": _text(customer.get("email")),
        "phone": _text(customer.get("phone")) or _text(address.get("phone")),
        **names,
        **{ours: _text(address.get(theirs)) for ours, theirs in ADDRESS.items()},
    }


def _item(line: dict[str, Json], price: Json) -> dict[str, Json]:
    return _present(
        {
            "id": _id(line.get("product_id")) or _id(line.get("sku")) or _id(line.get("variant_id")),
            "variant_id": _id(line.get("variant_id")),
            **{ours: line.get(theirs) for ours, theirs in ITEM.items()},
            "price": price,
            "discount": _amount(line.get("total_discount")),
        }
    )


def _shipping(payload: dict[str, Json]) -> Json:
    total = _amount(_object(_object(payload.get("total_shipping_price_set")).get("shop_money")).get("amount"))
    if total is not None:
        return total
    lines = [_amount(each.get("price")) for each in _objects(payload.get("shipping_lines"))]
    return _total(lines) if lines else None


def _by_currency(
    transactions: Iterable[dict[str, Json]], status: str, currency: str | None
) -> dict[str | None, Decimal]:
    """What the transactions of a status sum up to; one that says no currency is in `currency`."""
    amounts: dict[str | None, list[Decimal | None]] = {}
    for each in transactions:
        if each.get("status") == status:
            amounts.setdefault(_text(each.get("currency")) or currency, []).append(_amount(each.get("amount")))
    return {code: _total(each) for code, each in amounts.items()}


def _listed(sums: Mapping[str | None, Decimal]) -> list[Json]:
    return [{"value": amount, "currency": code} for code, amount in sums.items()]


def _money(thing: dict[str, Json], name: str, which: str) -> dict[str, Json]:
    """One of the two currencies in which Shopify tells an amount: the shop's, or the one shown to the buyer."""
    return _object(_object(thing.get(f"{name}_set")).get(f"{which}_money"))


def _total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _currency(refund: dict[str, Json]) -> str | None:
    """Where no transaction says it: of the first line that was given back."""
    for each in _objects(refund.get("refund_line_items")):
        code = _text(_money(each, "subtotal", "shop").get("currency_code"))
        if code:
            return code
    return None


def _amount(value: Json) -> Decimal | None:
    text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
    return Decimal(text) if isinstance(text, str) and _AMOUNT.fullmatch(text) else None


def _amount_or_as_sent(value: Json) -> Json:
    """What is no amount as Shopify writes it is not lost, nor guessed."""
    amount = _amount(value)
    return value if amount is None else amount


def _id(value: Json) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[dict[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _present(values: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
