from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.model.destination import DestinationConfig, Signing, Transport
from tracklayer.model.event import Json, encode_json
from tracklayer.operate.draft import (
    Change,
    changes,
    config_json,
    draft_config,
    merge_draft,
    read_draft,
    signing_view,
)

MINIMAL: dict[str, Any] = {"name": "d", "transport": {"url": "https://receiver.test/d"}}
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner),
    max_leaves=6,
)


def draft(**fields: Any) -> DestinationConfig:
    return draft_config(read_draft(encode_json(MINIMAL | fields)), signed=False)


def test_a_draft_needs_a_name_and_a_url_and_the_rest_has_defaults() -> None:
    config = draft()
    assert config == DestinationConfig(name="d", transport=Transport(url="https://receiver.test/d"))
    assert (config.on_missing, config.body_schema) == ("empty", None)


def test_a_drafts_fields_are_the_configurations() -> None:
    schema: dict[str, Json] = {"type": "object"}
    config = draft(on_missing="omit", body_schema=schema, template="{}", filter={"platform": "web"})
    assert (config.on_missing, config.body_schema, config.template) == ("omit", schema, "{}")
    assert config.filter == {"platform": "web"}


@pytest.mark.parametrize(
    "fields, pointer",
    [
        ({"on_missing": "ignore"}, "/on_missing"),
        ({"body_schema": []}, "/body_schema"),
        ({"body_schema": True}, "/body_schema"),
        ({"notes": "x"}, "/notes"),
        ({"note": 1}, "/note"),
        ({"transport": {"url": "https://a.test", "verb": "POST"}}, "/transport/verb"),
    ],
)
def test_what_is_no_draft_is_refused_with_its_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        draft(**fields)
    assert caught.value.pointer == pointer


def test_what_answers_carry_beside_is_taken_and_ignored() -> None:
    answer = {"id": "dst_1", "version": 3, "created_at": "…", "updated_at": "…", "warnings": ["x"]}
    assert draft(**answer) == draft()


def test_a_configuration_without_a_secret_is_not_signed() -> None:
    given_draft = read_draft(encode_json(MINIMAL | {"signing": {"scheme": "standard-webhooks", "secret": "s"}}))
    assert draft_config(given_draft, signed=False).signing is None
    assert draft_config(given_draft, signed=True).signing == Signing(scheme="standard-webhooks")


def test_a_merge_patch_replaces_adds_and_removes() -> None:
    standing = config_json(draft(template="{}", on_missing="null", retry={"attempts": 2}))
    merged = draft_config(
        merge_draft(standing, {"on_missing": "fail", "template": None, "retry": {"jitter": 0}}), signed=False
    )
    assert (merged.on_missing, merged.template) == ("fail", None)
    assert (merged.retry.attempts, merged.retry.jitter) == (2, 0)


def test_a_body_schema_is_merged_as_every_other_object() -> None:
    standing = config_json(draft(body_schema={"type": "object", "required": ["a"]}))
    merged = merge_draft(standing, {"body_schema": {"required": ["b"]}})
    assert merged.body_schema == {"type": "object", "required": ["b"]}
    assert merge_draft(standing, {"body_schema": None}).body_schema is None


@given(config=st.fixed_dictionaries({}, optional={"note": st.text(max_size=3), "body_schema": st.none()}))
def test_a_configuration_merged_with_nothing_is_itself(config: dict[str, Any]) -> None:
    assert draft_config(merge_draft(config_json(draft(**config)), {}), signed=False) == draft(**config)


def test_changes_name_every_field_that_differs() -> None:
    old, new = config_json(draft()), config_json(draft(template="{}", retry={"attempts": 1}, on_missing="omit"))
    assert changes(old, new) == [
        Change(path="template", old=None, new="{}"),
        Change(path="on_missing", old="empty", new="omit"),
        Change(path="retry.attempts", old=5, new=1),
    ]


def test_a_subtree_that_one_side_lacks_is_one_change() -> None:
    assert changes({"a": {"b": 1}}, {}) == [Change(path="a", old={"b": 1}, new=None)]
    assert changes({"a": [1]}, {"a": [1, 2]}) == [Change(path="a", old=[1], new=[1, 2])]


@given(value=VALUES)
def test_nothing_differs_from_itself(value: Json) -> None:
    assert changes(value, value) == []


@given(old=VALUES, new=VALUES)
def test_there_are_changes_where_and_only_where_something_differs(old: Json, new: Json) -> None:
    found = changes(old, new)
    assert all(each.old != each.new for each in found)
    assert bool(found) == (without_nulls(old) != without_nulls(new))


def test_signing_is_shown_by_a_hint_alone() -> None:
    config = draft_config(read_draft(encode_json(MINIMAL | {"signing": {"secret": "dest_live_9f3b27"}})), signed=True)
    assert signing_view(config, "dest_live_9f3b27", None) == {"enabled": True, "hint": "…3b27"}
    assert signing_view(config, None, None) is None
    assert signing_view(draft(), "dest_live_9f3b27", None) is None


def without_nulls(value: Json) -> Json:
    """A member that is null is one that is not there."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value
