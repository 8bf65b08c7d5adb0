"""Audiences as people work with them: in force at once, with what is known of users, every change in the trail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.store.samples import remembered
from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Conflict, Invalid, NotFound
from tracklayer.model.event import Event
from tracklayer.model.facts import Facts, fact_keys
from tracklayer.model.profile import ProfileUpdate
from tracklayer.operate.audiences import MOST, Audiences
from tracklayer.pipeline.member import member_key
from tracklayer.pipeline.normalize import normalize
from tracklayer.store.audiences import STEP
from tracklayer.store.facts import FactsReader

KIM = "kim@example.com"


async def know(world: World, user: str, **traits: Any) -> None:
    """What identify says of a user."""
    database = world.service._database
    said = {world.workspace_id: [ProfileUpdate(user_key=user, traits=traits, at=world.clock.now())]}
    await remembered(database, said)


async def segment(world: World, **fields: Any) -> list[str]:
    """The segment that an event would have, if it came in now."""
    tenant = world.service.catalog.tenant(world.workspace_id)
    event: Event = normalize({"event_name": "purchase", **fields}, now=world.clock.now(), new_id=lambda: "1")
    keys = fact_keys(event, members=bool(tenant.audiences.static))
    facts: Facts = await FactsReader(world.service._database).of(world.workspace_id, keys)
    whole = world.service.enriching.make_whole(tenant, event, facts, facts.consent).event
    return list(whole.segment)


async def make(world: World, name: str, rule: dict[str, Any] | None = None) -> Audiences:
    await world.service.audiences.put(world.workspace_id, name, rule, author=KIM)
    return world.service.audiences


@in_virtual_time
async def test_an_audience_is_in_force_at_once_and_no_more_once_it_is_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "vip")
        await make(world, "big", {"properties.value": {"$gte": 100}})
        await audiences.change_members(world.workspace_id, "vip", add=["id:u_1"], author=KIM)
        buying = {"user_id": "u_1", "properties": {"value": 100}}
        assert await segment(world, **buying, segment="mine") == ["big", "mine", "vip"]
        await audiences.put(world.workspace_id, "big", {"properties.value": {"$gte": 200}}, author=KIM)
        assert await segment(world, **buying) == ["vip"]
        await audiences.remove(world.workspace_id, "vip", author=KIM)
        assert await segment(world, **buying) == []


@in_virtual_time
async def test_a_list_of_addresses_finds_the_user_who_once_gave_the_address(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "vip")
        member = member_key({"email": "Jane@Example.com"})
        await audiences.change_members(world.workspace_id, "vip", add=[member], author=KIM)
        assert await segment(world, user_id="u_1") == []
        await know(world, "u_1", email="jane@example.com")
        assert await segment(world, user_id="u_1") == ["vip"]
        assert (await audiences.test_user(world.workspace_id, "vip", {"external_id": "u_1"})).member


@in_virtual_time
async def test_a_rule_over_traits_is_tested_with_what_is_known_of_the_user(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "pros", {"traits.plan": "pro", "segment": {"$exists": True}})
        where = (world.workspace_id, "pros")
        assert (
            await audiences.test_user(*where, {"external_id": "u_1"})
        ).reason == "traits.plan is absent, expected 'pro'"
        await know(world, "u_1", plan="pro")
        assert (await audiences.test_user(*where, {"external_id": "u_1"})).member
        found = await audiences.test_event(*where, {"event_name": "purchase", "user_id": "u_1"})
        assert (found.member, found.reason) == (True, "the rule matches")
        assert await segment(world, user_id="u_1") == ["pros"]


@in_virtual_time
async def test_a_workspace_that_switches_audiences_off_is_told_so(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "all_of_us", {"platform": {"$exists": False}})
        await world.service.workspaces.save_rules(world.workspace_id, {"enrichment": {"audiences": False}}, KIM)
        found = await audiences.test_event(world.workspace_id, "all_of_us", {"event_name": "purchase"})
        assert (found.member, found.reason) == (False, "the workspace's rules switch audiences off")
        assert await segment(world) == []


@in_virtual_time
async def test_every_change_is_in_the_trail_with_its_author_and_no_member_in_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "vip")
        await make(world, "vip")
        await audiences.change_members(world.workspace_id, "vip", add=["id:u_1", "id:u_2"], author=KIM)
        await audiences.change_members(world.workspace_id, "vip", add=["id:u_1"], remove=["id:u_9"], author=KIM)
        await audiences.change_members(world.workspace_id, "vip", remove=["id:u_1"], author=KIM)
        await audiences.remove(world.workspace_id, "vip", author=KIM)
        entries = await world.service.audit.page(world.workspace_id, limit=100, action="audience")
        assert [(each.actor, each.action, each.target, each.detail) for each in entries[::-1]] == [
            (KIM, "audience.saved", "vip", {"kind": "list", "replaced": False}),
            (KIM, "audience.saved", "vip", {"kind": "list", "replaced": True}),
            (KIM, "audience.members_changed", "vip", {"added": 2, "removed": 0}),
            (KIM, "audience.members_changed", "vip", {"added": 0, "removed": 1}),
            (KIM, "audience.removed", "vip", {}),
        ]


@in_virtual_time
async def test_a_long_list_is_added_in_steps_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "vip")
        members = [f"id:{number}" for number in range(3 * STEP)]
        assert await audiences.change_members(world.workspace_id, "vip", add=members, author=KIM) == (len(members), 0)
        assert [(each.name, count) for each, count in await audiences.all(world.workspace_id)] == [
            ("vip", len(members))
        ]


@in_virtual_time
async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "vip")
        with pytest.raises(Conflict, match="is a list: delete it first"):
            await make(world, "vip", {"platform": "web"})
        with pytest.raises(Invalid, match="expected letters, digits"):
            await make(world, "two words")
        with pytest.raises(NotFound, match="'none'"):
            await audiences.change_members(world.workspace_id, "none", add=["id:u_1"], author=KIM)
        with pytest.raises(NotFound):
            await audiences.test_user(world.workspace_id, "none", {"external_id": "u_1"})
        for number in range(MOST - 1):
            await make(world, f"list_{number}")
        with pytest.raises(Conflict, match=f"at most {MOST} audiences"):
            await make(world, "one_more")
        await make(world, "vip")


@in_virtual_time
async def test_audiences_are_there_again_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await make(world, "web", {"platform": "web"})
    async with running(tmp_path) as world:
        assert await segment(world, platform="web") == ["web"]


@in_virtual_time
async def test_an_address_counts_also_where_it_is_dropped_before_it_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "shops", {"user_data.email": {"$suffix": "@shop.example"}})
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, KIM)
        event = {"event_name": "purchase", "user_data": {"email": "a@shop.example"}}
        assert (await audiences.test_event(world.workspace_id, "shops", event)).member
        await world.send("ord_1", user_data={"email": "a@shop.example"})
        stored = await world.service.history.event(world.workspace_id, "ord_1")
        assert stored is not None
        assert stored.event.segment == ["shops"]


@in_virtual_time
async def test_a_rule_sees_the_consent_that_stands_in_the_end_and_so_does_its_test(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = await make(world, "reachable", {"consent.ad_storage": "granted"})
        await world.send("said", user_id="u_1", consent={"ad_storage": "granted"})
        await world.send("remembered", user_id="u_1")
        await world.send("refused", user_id="u_2", consent={"ad_storage": "granted"}, context={"gpc": True})
        found = {}
        for event_id in ("said", "remembered", "refused"):
            stored = await world.service.history.event(world.workspace_id, event_id)
            assert stored is not None
            found[event_id] = stored.event.segment
        assert found == {"said": ["reachable"], "remembered": ["reachable"], "refused": []}
        event = {"event_name": "purchase", "user_id": "u_1"}
        assert (await audiences.test_event(world.workspace_id, "reachable", event)).member
        assert (
            await audiences.test_event(world.workspace_id, "reachable", event | {"context": {"gpc": True}})
        ).reason == ("consent.ad_storage is 'denied', expected 'granted'")
        assert (await audiences.test_user(world.workspace_id, "reachable", {"external_id": "u_1"})).member
