"""The Segment protocol, which RudderStack's SDKs speak too: requests into calls, a call into the native API's fields.

Sources: Segment's pages "HTTP Tracking API source", "Spec: Common Fields" and "V2 Ecommerce Events"; "Consent in event
payloads"; RudderStack's "Pass consent information"; and what the SDKs send. docs/sources.md shows the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tracklayer.errors import Invalid, TooLarge
from tracklayer.model.event import Json
from tracklayer.pipeline.bounds import json_object, text_of, wrong_kind
from tracklayer.pipeline.known_user import ADDRESS, TRAITS
from tracklayer.sources.body import read_batch_json, read_json

BATCH_CALLS = 2500

CALLS: Mapping[str, str | None] = {  # type of call → name of the event; None: the call says it itself
    "track": None,
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}
PATHS: Mapping[str, str | None] = {  # path → type of call; None: many calls, each with its own type
    **{f"/v1/{name}": name for name in CALLS},
    **{f"/v1/{name[0]}": name for name in CALLS if name != "alias"},
    "/v1/a": "alias",
    "/v1/batch": None,
    "/v1/b": None,
    "/v1/import": None,
    "/beacon/v1/batch": None,  # RudderStack's, for `navigator.sendBeacon`
}
CONTEXT: Mapping[str, str] = {"userAgent": "user_agent"}  # what is called otherwise in our `context`; the rest stays
DEVICE: Mapping[str, str] = {"manufacturer": "brand"}
SYSTEM: Mapping[str, str] = {"name": "family"}
PAGE = ("url", "path", "referrer", "title", "search")  # properties of a page call that stand in `context.page`, too
VALUE = ("value", "revenue", "total")  # the first that is given is the event's `value`
ITEM_ID = ("product_id", "productId", "sku")  # the first that is given is an item's `id`

_READ_NAMES = """
messageId userId anonymousId timestamp originalTimestamp sentAt properties context channel consent
type writeKey _metadata version projectId
"""  # the second line is how the protocol is spoken, and says nothing of the event
_OF_PAGES = ("name", "category")
_EMPTY: tuple[Json, ...] = (None, "", {})
_READ = frozenset(_READ_NAMES.split())
_READ_OF: Mapping[str, frozenset[str]] = {  # what a call of a kind says beside it; of any other kind it is an extra
    "track": _READ | {"event"},
    "page": _READ | set(_OF_PAGES),
    "screen": _READ | set(_OF_PAGES),
    "identify": _READ | {"traits"},
    "group": _READ | {"groupId", "traits"},
    "alias": _READ | {"previousId"},
}
_OF_KINDS = frozenset().union(*_READ_OF.values()) - _READ  # SDKs send them empty with other calls
_PERSON = {**TRAITS, "email": "email", "phone": "phone"}
_NO_CHOICE: tuple[Json, ...] = (None, {}, {"All": True}, {"all": True})  # of integrations


class SegmentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source of this kind can be told."""

    platform: str | None = None  # of its events; None: what a call's `channel` says, "web" for analytics.js

    def check(self) -> None:
        """Raise `Invalid` for what no event can have."""
        if self.platform is not None:
            text_of(self.platform, "/platform")


class Calls(NamedTuple):
    """A request, read."""

    write_key: str | None  # as it stands in the body
    items: list[Json]  # each as if it had come alone; `Unreadable` where one is no JSON


def read_calls(raw: bytes, kind: str | None, *, gpc: bool = False) -> Calls:
    """The calls of a body; `kind` is the type of the one call that it is, None for a batch.

    What stands around a batch (`context`, `integrations`, `sentAt`) becomes part of each call, which wins where it says
    it, too. `gpc`: the browser that sent it asks by Global Privacy Control. Raises `Malformed`, `TooLarge` or `Invalid`
    for what is wrong with the whole.
    """
    body = read_batch_json(raw, "batch") if kind is None else read_json(raw)
    if not isinstance(body, dict):
        raise wrong_kind(body, "", "an object")
    key = body.get("writeKey")
    write_key = key if isinstance(key, str) else None
    if kind is not None:
        call = {**_keyless(body), "type": kind}
        return Calls(write_key, [_asking(call) if gpc else call])
    items = body.get("batch")
    if not isinstance(items, list):
        raise wrong_kind(items, "/batch", "a list of calls")
    if len(items) > BATCH_CALLS:
        raise TooLarge(
            f"the batch has {len(items)} calls: expected at most {BATCH_CALLS}", code="too_many", pointer="/batch"
        )
    around = {name: body[name] for name in ("context", "integrations", "sentAt") if body.get(name) is not None}
    calls = [_within(_keyless(item) if isinstance(item, dict) else item, around) for item in items]
    return Calls(write_key, [_asking(call) for call in calls] if gpc else calls)


def _keyless(call: dict[str, Json]) -> dict[str, Json]:
    """A call as it is kept where it is rejected: a write key is shown once, and not to whoever reads what was sent."""
    return {name: value for name, value in call.items() if name != "writeKey"}


def _within(item: Json, around: dict[str, Json]) -> Json:
    if not isinstance(item, dict) or not around:
        return item
    merged = {**around, **{name: value for name, value in item.items() if value is not None}}
    for name in ("context", "integrations"):
        outer, inner = around.get(name), item.get(name)
        if isinstance(outer, dict) and isinstance(inner, dict):
            merged[name] = {**outer, **inner}
    return merged


def _asking(call: Json) -> Json:
    """`call` with the browser's Global Privacy Control, whatever the page says of it."""
    context = call.get("context") if isinstance(call, dict) else ""
    if context is not None and not isinstance(context, dict):
        return call  # no call: it is refused
    return {**call, "context": {**(context or {}), "gpc": True}}


def map_call(call: Json, settings: SegmentSettings) -> dict[str, Json]:
    """One call as fields of the native API. Raises `Invalid`, its pointer into `call`."""
    if not isinstance(call, dict):
        raise wrong_kind(call, "", "an object with the fields of one call")
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in CALLS:
        raise Invalid(
            f"type is {_shown(kind)}: expected one of {', '.join(CALLS)}", code="unknown_type", pointer="/type"
        )
    sent = json_object(call.get("context"), "/context")
    traits = json_object(call.get("traits"), "/traits")
    context = _context(sent, call, kind, traits)
    fields: dict[str, Json] = {
        "event_id": call.get("messageId"),
        "event_name": CALLS[kind] or _event_name(call.get("event")),
        "occurred_at": _first(call, "originalTimestamp", "timestamp", "sentAt"),
        "sent_at": call.get("sentAt"),
        "platform": settings.platform or _platform(call, context),
        "user_data": _user_data(call, context),
        "properties": _properties(call, kind),
        "context": context,
        "consent": call.get("consent"),
    }
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def _event_name(value: Json) -> Json:
    if value is None or value == "":
        raise Invalid(
            "event is missing: expected the name of what happened, such as Order Completed",
            code="required",
            pointer="/event",
        )
    if not isinstance(value, str):
        raise wrong_kind(value, "/event", "a string")
    return value


def _platform(call: Mapping[str, Json], context: Mapping[str, Json]) -> str | None:
    channel = call.get("channel") or context.get("channel")
    if isinstance(channel, str):
        return channel
    library = context.get("library")
    name = library.get("name") if isinstance(library, dict) else None
    return "web" if isinstance(name, str) and name.startswith("analytics.js") else None


def _user_data(call: Mapping[str, Json], context: Mapping[str, Json]) -> dict[str, Json]:
    user = {"external_id": call.get("userId"), "anonymous_id": call.get("anonymousId")}
    traits = context.get("traits")
    address = traits.get("address") if isinstance(traits, dict) else None
    for known, table in ((traits, _PERSON), (address, ADDRESS)):
        told = known if isinstance(known, dict) else {}
        for name, field in table.items():
            value = told.get(name)
            if isinstance(value, str) and value.strip():
                user.setdefault(field, value)
    return {name: value for name, value in user.items() if value is not None and value != ""}


def _context(sent: dict[str, Json], call: Mapping[str, Json], kind: str, traits: dict[str, Json]) -> dict[str, Json]:
    """Our `context`. What it tells of consent stays in it: `pipeline.consent_signals` reads it there."""
    context = {CONTEXT.get(name, name): value for name, value in sent.items()}
    for name, table in (("device", DEVICE), ("os", SYSTEM)):
        if isinstance(context.get(name), dict):
            context[name] = _renamed(context[name], table)
    if kind == "identify" and traits:
        known = context.get("traits")
        context["traits"] = {**known, **traits} if isinstance(known, dict) else traits
    group_id = _first(call, "groupId") if kind == "group" else context.pop("groupId", None)
    if group_id is not None:
        context["group"] = {"id": _text_of_id(group_id), **({"traits": traits} if kind == "group" and traits else {})}
    if kind == "page":
        _fill_page(context, call)
    read = _READ_OF[kind]
    extra = {
        name: value for name, value in call.items() if name not in read and not (name in _OF_KINDS and value in _EMPTY)
    } | _unsaid(call, kind)
    if extra.get("integrations") in _NO_CHOICE:
        extra.pop("integrations", None)
    known = context.get("extra")
    if extra:
        context["extra"] = (
            {**known, **extra} if isinstance(known, dict) else extra | ({"extra": known} if known else {})
        )
    return context


def _unsaid(call: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """The name and the category of a page that `properties` say otherwise."""
    properties = call.get("properties")
    if kind not in ("page", "screen") or not isinstance(properties, dict):
        return {}
    said = {name: call[name] for name in _OF_PAGES if call.get(name) is not None}
    return {name: value for name, value in said.items() if properties.get(name, value) != value}


def _fill_page(context: dict[str, Json], call: Mapping[str, Json]) -> None:
    """What a page call says of its page in `properties` stands in `context.page`, too, unless that says it."""
    page, properties = context.get("page") or {}, call.get("properties")
    if isinstance(page, dict) and isinstance(properties, dict):
        told = {name: properties[name] for name in PAGE if isinstance(properties.get(name), str)}
        if told:
            context["page"] = {**told, **page}


def _properties(call: Mapping[str, Json], kind: str) -> dict[str, Json]:
    properties = dict(json_object(call.get("properties"), "/properties"))
    if kind in ("page", "screen"):
        for name in _OF_PAGES:
            if call.get(name) is not None:
                properties.setdefault(name, call[name])
    if kind == "alias" and call.get("previousId") is not None:
        properties["previous_id"] = call["previousId"]
    if kind == "track":
        _commerce(properties)
    return properties


def _commerce(properties: dict[str, Json]) -> None:
    """`products` become `items`, revenue or total becomes `value`; an `orderId` is an `order_id`."""
    value = next((properties[name] for name in VALUE if properties.get(name) not in (None, "")), None)
    if value is not None:
        properties["value"] = value
    if "orderId" in properties:
        properties.setdefault("order_id", properties.pop("orderId"))
    if isinstance(properties.get("order_id"), int) and not isinstance(properties["order_id"], bool):
        properties["order_id"] = str(properties["order_id"])
    products = properties.get("products")
    if isinstance(products, list) and "items" not in properties:
        properties["items"] = [_item(each) for each in products]
        del properties["products"]


def _item(product: Json) -> Json:
    if not isinstance(product, dict) or product.get("id") is not None:
        return product
    name = next((name for name in ITEM_ID if product.get(name) is not None), None)
    if name is None:
        return product
    rest = {key: value for key, value in product.items() if key != name or name == "sku"}
    return {"id": _text_of_id(product[name]), **rest}


def _text_of_id(value: Json) -> Json:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _renamed(value: dict[str, Json], table: Mapping[str, str]) -> dict[str, Json]:
    """`value` with names of ours; one that has both keeps ours."""
    ours = {table[name]: each for name, each in value.items() if name in table}
    return {**ours, **{name: each for name, each in value.items() if name not in table}}


def _first(values: Mapping[str, Json], *names: str) -> Json:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _shown(value: Any) -> str:
    return f'"{value[:40]}"' if isinstance(value, str) else "missing" if value is None else "no string"
