"""Any JSON at all becomes a canonical event, or a refusal that points into it."""

from __future__ import annotations

import string
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracklayer.delivery.body_schema import BodySchema
from tracklayer.errors import Invalid
from tracklayer.model.event import Json, decode_json, event_from_json, event_to_json
from tracklayer.model.event_reference import event_schema
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.normalize import normalize

NOW = 1_777_977_000.0
HASH = "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"

SCHEMA = BodySchema(event_schema())
NAMES = st.sampled_from(["country", "currency", "price", "value", "items", "email", "zip", "address", "customer"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([HASH, "jane@example.com", "+15551234567", "2026-05-05", "granted", "\x00", 1_777_977_000])
    | st.sampled_from(["eur", "de", "USA", "xx", "1,299.00", "1,299", "€5", "(555) 123-4567", "030 123456", " a@B "]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | NAMES, inner, max_size=4),
    max_leaves=12,
)
USER = st.dictionaries(
    st.sampled_from(["external_id", "anonymous_id", "email", "email_hash", "phone", "phone_hash", "plan", "country"]),
    JSON,
)
CONTEXT = st.dictionaries(
    st.sampled_from(["ip", "extra", "normalized", "traits"]), JSON | st.dictionaries(st.text(max_size=4), JSON)
)
PLAIN = st.text(string.ascii_letters, min_size=1, max_size=8)
TIMES = st.integers(0, 2_000_000_000) | st.datetimes().map(lambda moment: moment.isoformat())
FIELDS = st.fixed_dictionaries(
    {"event_name": PLAIN | st.sampled_from(["Order Completed", "sign-up", "a", "b"])},
    optional={
        "event_id": JSON | PLAIN,
        "occurred_at": JSON | TIMES,
        "received_at": JSON,
        "timestamp": JSON | TIMES,
        "event_time": JSON | TIMES,
        "platform": JSON | PLAIN,
        "segment": JSON | st.lists(PLAIN),
        "user_id": JSON | PLAIN,
        "anonymous_id": JSON | PLAIN,
        "user_data": JSON | USER,
        "properties": JSON | st.dictionaries(NAMES, JSON),
        "sent_at": JSON | TIMES,
        "custom_data": JSON,
        "context": JSON | CONTEXT,
        "consent": JSON | st.dictionaries(st.text(max_size=3), st.sampled_from(["granted", "denied", True])),
        "a": JSON,
        "extra": JSON,
    },
)


def resolve(document: Json, pointer: str) -> Json:
    """What stands at a JSON pointer. Raises `LookupError` or `ValueError` where nothing does."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@given(JSON | FIELDS)
def test_any_json_becomes_an_event_or_a_refusal_that_points_into_it(fields: Json) -> None:
    try:
        event = normalize(fields, now=NOW, new_id=lambda: "made-here")
    except Invalid as refused:
        assert refused.pointer is not None
        if refused.code == "required":
            assert refused.pointer == "/event_name"
            assert fields.get("event_name") is None
        else:
            resolve(fields, refused.pointer)
        return
    body = event_to_json(event)
    assert SCHEMA.violation(body) is None
    assert event_from_json(body) == event
    assert normalize(decode_json(body), now=NOW, new_id=lambda: "another") == event


RULES = st.builds(
    WorkspaceRules,
    default_region=st.sampled_from(["US", "DE"]),
    event_names=st.sampled_from(
        [{}, {"a": "Signed Up", "sign up": None}, {"purchase": "Sale", "b": "Order Completed"}]
    ),
    drop_pii=st.booleans(),
    clock_skew=st.booleans(),
)


@given(FIELDS, RULES)
def test_what_is_normal_stays_as_it_is_and_no_change_is_added(fields: dict[str, Json], rules: WorkspaceRules) -> None:
    try:
        event = normalize(fields, now=NOW, new_id=lambda: "made-here", rules=rules)
    except Invalid:
        return
    again = normalize(decode_json(event_to_json(event)), now=NOW, new_id=lambda: "another", rules=rules)
    assert again == event
    assert event_to_json(again) == event_to_json(event)


@given(FIELDS, RULES, st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_matter(fields: dict[str, Json], rules: WorkspaceRules, rng: Random) -> None:
    def shuffled(value: Json) -> Json:
        if isinstance(value, dict):
            return {name: shuffled(value[name]) for name in rng.sample(list(value), len(value))}
        return value

    try:
        event = normalize(fields, now=NOW, new_id=lambda: "made-here", rules=rules)
    except Invalid:
        return
    other = normalize(shuffled(fields), now=NOW, new_id=lambda: "made-here", rules=rules)
    listed, other_listed = (each.context.pop("normalized", []) for each in (event, other))
    assert other == event
    assert sorted(map(str, other_listed)) == sorted(map(str, listed))


@given(FIELDS)
def test_no_field_is_lost(fields: dict[str, Json]) -> None:
    try:
        event = normalize(fields, now=NOW, new_id=lambda: "made-here")
    except Invalid:
        return
    extra = event.context.get("extra") or {}
    for name in ("a", "extra"):
        if name in fields:
            assert fields[name] in extra.values()
    for alias, canonical in (("custom_data", event.properties), ("user_id", event.user_data.get("external_id"))):
        if fields.get(alias) is not None:
            kept = (canonical, str(canonical), extra.get(alias), extra.get(f"{alias}_2"))
            assert fields[alias] in kept or str(fields[alias]) in kept or f"{fields[alias]:f}" in kept
