"""The newest events, asked by an editor: what matches, which paths there are, which values are frequent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Invalid
from tracklayer.operate.recent import (
    EXAMPLE,
    KEPT,
    KEPT_FOR,
    LOOKED_AT_FOR_PATHS,
    MOST_PATHS,
    SAMPLES,
    TOP_VALUES,
    FieldPath,
    Recent,
    ValueCount,
    _walk,
)
from tracklayer.pipeline.filter import compile_filter
from tracklayer.template import Escape, compile_template


def recent(world: World) -> Recent:
    return world.service.recent


async def paths(world: World) -> dict[str, FieldPath]:
    return {each.path: each for each in await recent(world).paths(world.workspace_id)}


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}_{number:04}" for number in range(count)]


@in_virtual_time
async def test_a_filter_is_held_against_the_newest_five_hundred(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("beyond", event_name="refund_requested")
        await world.send(*ids("purchase", KEPT - 37))
        refunds = ids("refund_requested", 37)
        await world.send(*refunds, event_name="refund_requested")
        found = await recent(world).matches(world.workspace_id, {"event_name": ["refund_requested"]})
        assert (found.matched, found.looked_at) == (37, KEPT)
        assert found.sample_ids == refunds[::-1][:SAMPLES]
        assert (await recent(world).matches(world.workspace_id, {})).matched == KEPT


@in_virtual_time
async def test_without_events_there_is_nothing_to_match(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        found = await recent(world).matches(world.workspace_id, {})
        assert (found.matched, found.looked_at, found.sample_ids) == (0, 0, [])


@in_virtual_time
async def test_a_filter_that_cannot_be_evaluated_is_refused_at_its_place(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with pytest.raises(Invalid) as refused:
            await recent(world).matches(world.workspace_id, {"properties.value": {"$near": 1}})
        assert refused.value.pointer == "/filter/properties.value/$near"


@in_virtual_time
async def test_tests_are_left_out(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", status="draft")
        await world.send("ord_1", "ord_2")
        await world.service.rehearsals.test(world.workspace_id, made, None)
        found = await recent(world).events(world.workspace_id)
        assert [stored.event.event_id for stored in found] == ["ord_2", "ord_1"]


@in_virtual_time
async def test_they_are_read_once_in_two_seconds_whoever_asks(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        asked = recent(world)
        await world.send("ord_1")
        first, second = await asyncio.gather(asked.events(world.workspace_id), asked.events(world.workspace_id))
        assert first[0] is second[0]
        await world.send("ord_2")
        assert (await asked.events(world.workspace_id))[0] is first[0]
        await asyncio.sleep(KEPT_FOR)
        assert [each.event.event_id for each in await asked.events(world.workspace_id)] == ["ord_2", "ord_1"]
        assert [each.event.event_id for each in await asked.events(world.workspace_id, 1)] == ["ord_2"]


@in_virtual_time
async def test_large_events_are_kept_only_up_to_a_size(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for number in range(5):
            await world.send(*ids(f"batch{number}", 10), properties={"blob": "x" * 250_000})
        found = await recent(world).events(world.workspace_id)
        assert len(found) == 8 * 1024 * 1024 // 250_500


@in_virtual_time
async def test_paths_have_their_kind_an_example_of_the_newest_and_their_share(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        properties: dict[str, Any] = {
            "value": 149.90,
            "gift": True,
            "note": "n" * 100,
            "nothing": None,
            "items": [{"id": "SKU-1", "price": 5}, {"id": "SKU-2", "extra": 1}],
            "a name": 1,
            "a.b": 1,
            "this": 1,
        }
        await world.send("ord_1", properties={"value": "free"}, platform="web")
        await world.send("ord_2", properties=properties, platform="shopify", user_data={"email": "a@b.test"})
        found = await paths(world)
        assert found["properties.value"] == FieldPath(path="properties.value", kind="number", example="149.9", share=1)
        assert found["properties.gift"] == FieldPath(path="properties.gift", kind="boolean", example="true", share=0.5)
        assert found["platform"] == FieldPath(path="platform", kind="text", example="shopify", share=1)
        assert (found["properties.items"].kind, found["properties"].kind) == ("list", "object")
        assert found["properties.items.0.id"].example == "SKU-1"
        assert found["properties.note"].example == "n" * (EXAMPLE - 1) + "…"
        assert found["user_data.email"].share == 0.5
        assert found.keys().isdisjoint(
            {"properties.nothing", "properties.a name", "properties.a.b", "properties.this", "properties.items.0.extra"}
        )


@in_virtual_time
async def test_the_canonical_paths_are_always_there(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        found = await paths(world)
        assert {"event_id", "event_name", "occurred_at", "segment", "user_data.email_hash", "consent"} <= found.keys()
        assert found["event_id"] == FieldPath(path="event_id", kind=None, example=None, share=0)
        assert list(found) == sorted(found)


@in_virtual_time
async def test_paths_are_of_the_newest_two_hundred_and_not_without_end(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("old", properties={"old": 1})
        await world.send(*ids("new", LOOKED_AT_FOR_PATHS), properties={f"p{number}": 1 for number in range(MOST_PATHS)})
        found = await paths(world)
        assert "properties.old" not in found
        assert MOST_PATHS <= len(found) < MOST_PATHS + 20


@in_virtual_time
async def test_values_come_from_the_most_frequent_to_the_least(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("r1", event_name="refund_requested", segment=["vip", "b2b"], platform="web")
        await world.send("p1", "p2", segment=["vip"])
        asked = recent(world)
        assert await asked.values(world.workspace_id, "event_name") == [
            ValueCount("purchase", 2),
            ValueCount("refund_requested", 1),
        ]
        assert await asked.values(world.workspace_id, "segment") == [ValueCount("vip", 3), ValueCount("b2b", 1)]
        assert await asked.values(world.workspace_id, "platform") == [ValueCount("web", 1)]
        with pytest.raises(Invalid, match=r"user_data\.email"):
            await asked.values(world.workspace_id, "user_data.email")


@in_virtual_time
async def test_no_more_than_twenty_values_are_given(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for number in range(TOP_VALUES + 5):
            await world.send(f"e{number}", event_name=f"name_{number:02}")
        found = await recent(world).values(world.workspace_id, "event_name")
        assert [each.value for each in found] == [f"name_{number:02}" for number in range(TOP_VALUES)]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(properties=st.dictionaries(st.text(max_size=6) | st.sampled_from(["this", "true", "0"]), _values, max_size=5))
def test_every_path_leads_filters_and_templates_to_its_value(properties: dict[str, Any]) -> None:
    fields = {"properties": properties}
    for path, value in _walk(fields):
        assert compile_filter({path: {"$exists": True}}).matches(fields), path
        template = compile_template(f"{{{{json {path}}}}}", escape=Escape.TEXT)
        assert [use.path for use in template.paths] == [path]
        assert value is not None
        assert template.render(fields).missing == ()
