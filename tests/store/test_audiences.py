"""Audiences over the database: definitions, and lists of any length changed in steps."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE
from tracklayer.errors import NotFound
from tracklayer.model.records import Audience, Member
from tracklayer.store import Database
from tracklayer.store.audiences import STEP, AudienceStore


@pytest.fixture
def store(database: Database) -> AudienceStore:
    return AudienceStore(database)


def audience(name: str = "vip", *, workspace: str = WORKSPACE, **fields: object) -> Audience:
    plain = Audience(workspace_id=workspace, name=name, rule=None, created_at=NOW, updated_at=NOW)
    return msgspec.structs.replace(plain, **fields)


async def test_an_audience_comes_back_as_it_was_put_and_keeps_its_first_time(store: AudienceStore) -> None:
    rule = {"properties.value": {"$gte": Decimal("99.90")}}
    await store.put(audience("big", rule=rule))
    await store.put(audience("a_list"))
    await store.put(audience("big", rule={"platform": "web"}, created_at=NOW + 9, updated_at=NOW + 9))
    assert await store.of(WORKSPACE) == [
        audience("a_list"),
        audience("big", rule={"platform": "web"}, updated_at=NOW + 9),
    ]


async def test_a_rule_is_replaced_only_where_it_is_the_one_that_was_seen(store: AudienceStore) -> None:
    await store.put(audience("big", rule={"platform": "web"}))
    newer = audience("big", rule={"platform": "ios"}, updated_at=NOW + 9)
    assert not await store.replace_rule(newer, seen=NOW - 1)
    assert not await store.replace_rule(audience("gone", rule={}), seen=NOW)
    assert await store.replace_rule(newer, seen=NOW)
    assert await store.of(WORKSPACE) == [newer]


async def test_members_are_added_once_and_removed_and_paged_in_order(store: AudienceStore) -> None:
    await store.put(audience())
    assert await store.add_members(WORKSPACE, "vip", ["id:b", "id:a", "email:x", "id:b"], now=NOW) == 3
    assert await store.add_members(WORKSPACE, "vip", ["id:a", "id:c"], now=NOW + 1) == 1
    assert await store.remove_members(WORKSPACE, "vip", ["id:b", "id:gone"]) == 1
    page = await store.members(WORKSPACE, "vip", limit=2)
    assert page == [Member(key="email:x", added_at=NOW), Member(key="id:a", added_at=NOW)]
    assert await store.members(WORKSPACE, "vip", limit=2, after="id:a") == [Member(key="id:c", added_at=NOW + 1)]
    assert await store.count(WORKSPACE, "vip") == 3
    assert await store.listed(WORKSPACE, "vip", ["id:a", "id:b"]) == ["id:a"]


async def test_lists_of_other_audiences_and_workspaces_are_their_own(store: AudienceStore) -> None:
    for workspace, name in ((WORKSPACE, "vip"), (WORKSPACE, "b2b"), (OTHER_WORKSPACE, "vip")):
        await store.put(audience(name, workspace=workspace))
        await store.add_members(workspace, name, ["id:a"], now=NOW)
    await store.remove(WORKSPACE, "vip")
    assert await store.counts(WORKSPACE) == {"b2b": 1}
    assert await store.counts(OTHER_WORKSPACE) == {"vip": 1}
    assert [each.name for each in await store.of(WORKSPACE)] == ["b2b"]
    assert [each.name for each in await store.of(OTHER_WORKSPACE)] == ["vip"]


async def test_a_long_list_goes_in_and_out_in_steps(store: AudienceStore) -> None:
    await store.put(audience())
    members = [f"id:{number}" for number in range(2 * STEP + 1)]
    assert await store.add_members(WORKSPACE, "vip", members, now=NOW) == len(members)
    assert await store.remove_members(WORKSPACE, "vip", members[: STEP + 1]) == STEP + 1
    assert await store.counts(WORKSPACE) == {"vip": STEP}
    await store.remove(WORKSPACE, "vip")
    assert await store.counts(WORKSPACE) == {}
    assert await store.of(WORKSPACE) == []


async def test_nobody_joins_an_audience_that_is_gone(store: AudienceStore) -> None:
    with pytest.raises(NotFound, match="'vip'"):
        await store.add_members(WORKSPACE, "vip", ["id:a"], now=NOW)
    assert await store.counts(WORKSPACE) == {}
