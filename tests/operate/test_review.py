from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.virtual_time import START, in_virtual_time
from tests.world import World, running
from tracklayer.errors import Invalid, NotFound
from tracklayer.operate.review import COMPARED, DIFFS, FAILURES, PAGE, RECENT, Comparison


async def warnings(world: World, destination_id: str) -> list[str]:
    destination = world.service.destinations.get(world.workspace_id, destination_id)
    return await world.service.reviews.warnings(destination)


async def compare(world: World, destination_id: str, version: int | None = None, **fields: Any) -> Comparison:
    return await world.service.reviews.compare(world.workspace_id, destination_id, fields, version)


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}_{number:05}" for number in range(count)]


DRAFT: dict[str, Any] = {"status": "draft", "filter": {"event_name": "refund_requested"}}
"""Looks at events, and nothing is sent."""


@in_virtual_time
async def test_without_events_and_faults_there_is_nothing_to_say(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", template='{"c": "{{properties.coupon}}"}', **DRAFT)
        assert await warnings(world, made) == []
        assert await compare(world, made, template="{}") == Comparison(compared=0, changed=0, failing=0, diffs=[])


@in_virtual_time
async def test_matching_events_are_found_behind_pages_of_others(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("old", event_name="refund_requested")
        await world.send(*ids("purchase", PAGE + 50))
        made = await world.destination("d", template='{"c": "{{properties.coupon}}"}', **DRAFT)
        assert await warnings(world, made) == ["1 of the last 1 matching events have no properties.coupon"]
        assert (await compare(world, made, template="{}")).compared == 1


@in_virtual_time
async def test_it_does_not_look_further_back_than_it_says(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("old", event_name="refund_requested")
        await world.send(*ids("purchase", RECENT))
        made = await world.destination("d", template='{"c": "{{properties.coupon}}"}', **DRAFT)
        assert await warnings(world, made) == []


class Slow:
    """A clock on which every look takes 0.3 s."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> float:
        self._now += 0.3
        return self._now

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)


@in_virtual_time
async def test_a_template_that_takes_long_is_held_against_fewer_events(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send(*ids("e", 20), event_name="refund_requested")
        made = await world.destination("d", template='{"c": "{{properties.coupon}}"}', **DRAFT)
        with mock.patch.object(world.service.reviews, "_clock", Slow()):
            (said,) = await warnings(world, made)
            compared = (await compare(world, made, template="{}")).compared
        count = int(said.split()[0])
        assert said == f"{count} of the last {count} matching events have no properties.coupon"
        assert 1 <= count < 5
        assert 1 <= compared < 5


@in_virtual_time
async def test_the_newest_hundred_count_and_the_first_twenty_changes_are_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        sent = ids("refund_requested", COMPARED + 30)
        await world.send(*sent, event_name="refund_requested")
        made = await world.destination("d", template='{"id": "{{event_id}}"}', **DRAFT)
        found = await compare(world, made, template='{"event": "{{event_id}}"}')
        assert (found.compared, found.changed, found.failing) == (COMPARED, COMPARED, 0)
        assert [each.event_id for each in found.diffs] == sent[::-1][:DIFFS]


@in_virtual_time
async def test_paths_are_warned_of_from_the_most_to_the_least(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("a", event_name="refund_requested", properties={"x": 1})
        await world.send("b", event_name="refund_requested", properties={})
        template = '{"x": "{{properties.x}}", "y": "{{properties.y}}", "again": "{{properties.x}}"}'
        made = await world.destination("d", template=template, **DRAFT)
        assert await warnings(world, made) == [
            "2 of the last 2 matching events have no properties.y",
            "1 of the last 2 matching events have no properties.x",
        ]


@in_virtual_time
async def test_failures_are_warned_of_by_their_kind_and_not_without_end(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for number in range(FAILURES + 3):
            await world.send(f"e{number}", event_name="refund_requested", properties={f"k{number}": 1})
        schema = {"patternProperties": {"^k": {"type": "string"}}}
        made = await world.destination("d", template="{{json properties}}", body_schema=schema, **DRAFT)
        found = await warnings(world, made)
        assert len(found) == FAILURES
        assert all(
            each.startswith(f"1 of the last {FAILURES + 3} matching events could not be sent: ") for each in found
        )


@in_virtual_time
async def test_a_secret_that_does_not_exist_is_said_once_and_blamed_for_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("a", event_name="purchase")
        template = '{"t": "{{secrets.token}}"}'
        schema = {"properties": {"t": {"minLength": 1}}}
        made = await world.destination("d", template=template, body_schema=schema, status="draft")
        assert await warnings(world, made) == ["the secret token does not exist yet: deliveries fail until it does"]


@in_virtual_time
async def test_the_synthetic_event_is_only_judged_where_it_matches(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        config: dict[str, Any] = {"template": "{}", "body_schema": {"required": ["x"]}, "status": "draft"}
        every = await world.destination("every", **config)
        other = await world.destination("other", **config, filter={"event_name": "refund_requested"})
        (warning,) = await warnings(world, every)
        assert warning.startswith("the synthetic event could not be sent: ")
        assert await warnings(world, other) == []


@in_virtual_time
async def test_the_synthetic_event_is_judged_also_where_consent_would_keep_it_back(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        config: dict[str, Any] = {"template": "{}", "body_schema": {"required": ["x"]}, "status": "draft"}
        made = await world.destination("d", **config, consent={"requires": ["marketing"], "when_unknown": "deny"})
        (warning,) = await warnings(world, made)
        assert warning.startswith("the synthetic event could not be sent: ")


@in_virtual_time
async def test_a_comparison_saves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("a", event_name="refund_requested")
        made = await world.destination("d", template="{}", **DRAFT)
        await compare(world, made, template='{"x": 1}', signing={"secret": "dest_live_9f3b27"})
        standing = world.service.destinations.get(world.workspace_id, made)
        assert (standing.record.version, standing.plan.config.template, standing.signing_secret) == (1, "{}", None)


@in_virtual_time
async def test_a_comparison_takes_a_version_or_fields(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("a", event_name="refund_requested")
        made = await world.destination("d", template='{"v": 1}', **DRAFT)
        await world.change(made, "d", template='{"v": 2}', **DRAFT)
        (change,) = (await compare(world, made, version=1)).diffs
        assert (change.before, change.after) == ('{"v": 2}', '{"v": 1}')
        with pytest.raises(Invalid, match="not both"):
            await compare(world, made, version=1, template="{}")
        with pytest.raises(NotFound):
            await compare(world, made, version=3)


@in_virtual_time
async def test_what_becomes_sendable_is_a_change_too(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("a", event_name="refund_requested")
        made = await world.destination("d", template="{}", body_schema={"required": ["x"]}, **DRAFT)
        found = await compare(world, made, body_schema=None)
        assert (found.changed, found.failing) == (1, 0)
        (change,) = found.diffs
        assert (change.before, change.after, change.error) == ("{}", "{}", None)
        assert "body_schema" in str(change.error_before)


@pytest.mark.parametrize(
    "wanted",
    [
        {"event_name": ["Order Completed", "purchase", "Garden Watered"]},
        {"event_name": {"$ne": "Order Completed"}},
        {"$or": [{"platform": "web"}, {"event_name": "Order Completed"}]},
    ],
)
@in_virtual_time
async def test_a_filter_that_names_an_alias_is_warned_of_with_the_name_to_use(
    tmp_path: Path, wanted: dict[str, Any]
) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", filter=wanted)
        (warning,) = await warnings(world, made)
        said = "the filter names event_name 'Order Completed', which no event has: such events are called purchase"
        assert warning == said


@in_virtual_time
async def test_the_workspaces_own_aliases_count_for_a_filter_too(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        rules = {"event_names": {"Garden Watered": "watered", "Order Completed": None}}
        await world.service.workspaces.save_rules(world.workspace_id, rules, "kim@example.com")
        made = await world.destination("d", filter={"event_name": ["Garden Watered", "Order Completed", " spaced"]})
        assert await warnings(world, made) == [
            "the filter names event_name ' spaced', which no event has: such events are called spaced",
            "the filter names event_name 'Garden Watered', which no event has: such events are called watered",
        ]


@in_virtual_time
async def test_a_filter_that_no_event_or_no_single_value_can_match_is_warned_of(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        never = await world.destination("d", filter={"event_name": {"$in": ["a"], "$nin": ["a"]}})
        (warning,) = await warnings(world, never)
        assert warning == "the filter never matches: event_name would have to be one of 'a' and none of 'a'"
        lists = await world.destination("e", filter={"properties.value": {"$gt": 10, "$lt": 5}})
        (warning,) = await warnings(world, lists)
        expected = (
            "the filter only matches where properties.value is a list: no single value is more than 10 and less than 5"
        )
        assert warning == expected
