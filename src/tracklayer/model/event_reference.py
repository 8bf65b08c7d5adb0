"""Every field of the canonical event with a meaning; `/v1/schemas/event.json` and docs/event.md are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tracklayer.model.event import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: dict[str, Json] = {"type": ["string", "null"]}  # a null that was sent stays
_ANY: dict[str, Json] = {}  # kept as its sender wrote it, so nothing is promised of it
_OBJECT: dict[str, Json] = {"type": "object"}
_TIME: dict[str, Json] = {"type": "string", "format": "date-time", "pattern": "Z$"}
_NAME: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": 200}
_NOTES: dict[str, Json] = {
    "type": "array",
    "maxItems": 50,
    "items": {
        "type": "object",
        "required": ["path", "why"],
        "properties": {"path": {"type": "string"}, "why": {"type": "string"}},
    },
}


class Field(NamedTuple):
    """One field: `type` is for people, `schema` what holds for every stored event."""

    path: str
    type: str
    schema: Mapping[str, Json]
    what: str
    source: str
    example: Json


_CALLER = "the sender"
_PERSON = "the sender, or known traits"
_PAGE = "the sender; a Segment page call"
_READ = "read from the user agent"

FIELDS: tuple[Field, ...] = (
    Field("event_id", "text", _NAME, "the idempotency key", "the sender, else a UUIDv7", "ord_548291_purchase"),
    Field("event_name", "text", _NAME, "what happened, by its canonical name", _CALLER, "purchase"),
    Field("occurred_at", "time", _TIME, "when it happened", "the sender, else `received_at`", "2026-05-05T10:30:00Z"),
    Field("received_at", "time", _TIME, "when it arrived here", "TrackLayer", "2026-05-05T10:30:01.500Z"),
    Field(
        "platform",
        "text or null",
        {**_TEXT, "maxLength": 200},
        "where it happened",
        "the sender, or its source",
        "shopify",
    ),
    Field(
        "segment",
        "list of texts",
        {"type": "array", "maxItems": 100, "items": _NAME},
        "the audiences of the user",
        "the sender, and audiences",
        ["vip_customers"],
    ),
    Field("user_data", "object", _OBJECT, "who it was", _CALLER, {"external_id": "u_1"}),
    Field("user_data.external_id", "text", _TEXT, "the shop's id of the user", _CALLER, "u_1"),
    Field("user_data.anonymous_id", "text", _TEXT, "the browser's or device's id", _CALLER, "a81e-22f0"),
    Field("user_data.email", "text", _TEXT, "in lower case", _PERSON, "jane@example.com"),
    Field(
        "user_data.email_hash",
        "text",
        _TEXT,
        "SHA-256 of `email`",
        "the sender, else made",
        "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
    ),
    Field("user_data.phone", "text", _TEXT, "in E.164", _PERSON, "+15551234567"),
    Field(
        "user_data.phone_hash",
        "text",
        _TEXT,
        "SHA-256 of `phone`",
        "the sender, else made",
        "8a59780bb8cd2ba022bfa5ba2ea3b6e07af17a7d8b30c1f9b3390e36f69019e4",
    ),
    Field("user_data.first_name", "text", _ANY, "given name", _PERSON, "Jane"),
    Field("user_data.last_name", "text", _ANY, "family name", _PERSON, "Doe"),
    Field("user_data.gender", "text", _ANY, "as the sender writes it", _PERSON, "female"),
    Field("user_data.birth_date", "text", _ANY, "as the sender writes it", _PERSON, "1990-07-31"),
    Field("user_data.city", "text", _ANY, "of the address", _PERSON, "Berlin"),
    Field("user_data.state", "text", _ANY, "state or province of the address", _PERSON, "BE"),
    Field("user_data.postal_code", "text", _ANY, "of the address", _PERSON, "10115"),
    Field("user_data.country", "text", _ANY, "ISO 3166-1 alpha-2", _PERSON, "DE"),
    Field("properties", "object", _OBJECT, "what it was about", _CALLER, {"order_id": "100045"}),
    Field("properties.order_id", "text", _ANY, "the order", _CALLER, "100045"),
    Field(
        "properties.value",
        "number",
        _ANY,
        "the amount of the whole",
        "the sender; of Segment also revenue, total",
        149.99,
    ),
    Field("properties.currency", "text", _ANY, "ISO 4217", _CALLER, "USD"),
    Field("properties.subtotal", "number", _ANY, "before tax and shipping", _CALLER, 129.99),
    Field("properties.tax", "number", _ANY, "an amount", _CALLER, 10),
    Field("properties.shipping", "number", _ANY, "an amount", _CALLER, 10),
    Field("properties.discount", "number", _ANY, "an amount", _CALLER, 5),
    Field("properties.coupon", "text", _ANY, "codes, joined by commas", _CALLER, "SPRING"),
    Field(
        "properties.items",
        "list of objects",
        _ANY,
        "id, name, price, quantity, sku, brand, variant",
        "the sender; Segment's products",
        [{"id": "sku_1", "price": 74.95, "quantity": 2}],
    ),
    Field("context", "object", _OBJECT, "the circumstances", _CALLER, {"ip": "203.0.113.9"}),
    Field("context.ip", "text", _ANY, "the user's address", _CALLER, "203.0.113.9"),
    Field("context.user_agent", "text", _ANY, "the browser's", "the sender; Segment's `userAgent`", "Mozilla/5.0"),
    Field("context.locale", "text", _ANY, "language and country", _CALLER, "de-DE"),
    Field(
        "context.page", "object", _ANY, "url, path, referrer, title, search", _PAGE, {"url": "https://shop.example/"}
    ),
    Field(
        "context.campaign",
        "object",
        _ANY,
        "source, medium, name, term, content, id",
        "the sender, or the page's UTM parameters",
        {"source": "news", "name": "spring"},
    ),
    Field("context.click_ids", "object", _ANY, "gclid, fbclid, ttclid, …", "the page's URL", {"gclid": "Cj0K"}),
    Field(
        "context.device", "object", _ANY, "family, brand, model, type", _READ, {"family": "iPhone", "type": "mobile"}
    ),
    Field("context.os", "object", _ANY, "family, version", _READ, {"family": "iOS", "version": "16.0"}),
    Field("context.browser", "object", _ANY, "family, version", _READ, {"family": "Chrome", "version": "139.0.0"}),
    Field(
        "context.geo",
        "object",
        _ANY,
        "country, region, city, postal, timezone",
        "the file of places, by `context.ip`",
        {"country": "DE", "region": "BE", "city": "Berlin"},
    ),
    Field("context.traits", "object", _ANY, "what is known of the user", "identify, then and before", {"plan": "pro"}),
    Field("context.group", "object", _ANY, "id and traits", "group, then and before", {"id": "g_1"}),
    Field("context.library", "object", _ANY, "the SDK", "the SDK", {"name": "analytics-python"}),
    Field("context.shopify", "object", _ANY, "shop, topic", "Shopify's webhook", {"topic": "orders/create"}),
    Field("context.gpc", "flag", _ANY, "Global Privacy Control", "the sender; the header `Sec-GPC`", True),
    Field(
        "context.consent",
        "object",
        _ANY,
        "who said so (`by`, `at`), for each of the `categories` where they differ",
        "TrackLayer",
        {"by": "event", "at": "2026-05-05T10:30:00.000Z"},
    ),
    Field(
        "context.normalized",
        "list of objects",
        _NOTES,
        "what was changed: path, from, why",
        "TrackLayer",
        [{"path": "event_name", "from": "Order Completed", "why": "the canonical name"}],
    ),
    Field(
        "context.enriched",
        "list of objects",
        _ANY,
        "what was added: by, paths; or what failed: by, error",
        "TrackLayer",
        [{"by": "geo", "paths": ["context.geo"]}],
    ),
    Field(
        "context.extra",
        "object",
        {"type": ["object", "null"]},
        "fields that nobody knows",
        _CALLER,
        {"campaign": "spring"},
    ),
    Field(
        "consent",
        "object",
        {"type": "object", "additionalProperties": {"enum": ["granted", "denied"]}},
        "category → `granted` or `denied`",
        "the sender, memory, defaults of the workspace",
        {"ad_storage": "granted"},
    ),
)


def event_schema() -> dict[str, Json]:
    """The JSON Schema (2020-12) that every stored event meets, and so what templates and receivers get."""
    schema: dict[str, Json] = {
        "$schema": DIALECT,
        "title": "TrackLayer's canonical event",
        "type": "object",
        "required": [field.path for field in FIELDS if "." not in field.path],
        "additionalProperties": False,
        "properties": {},
    }
    for field in FIELDS:
        *holders, name = field.path.split(".")
        place = schema
        for holder in holders:
            place = place["properties"][holder]
        described = {**field.schema, "description": f"{field.what}. From: {field.source}", "examples": [field.example]}
        place.setdefault("properties", {})[name] = described
    return schema
