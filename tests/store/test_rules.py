"""The rules of workspaces in the store."""

from __future__ import annotations

import asyncio

import msgspec

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE
from tracklayer.model.rules import Enrichment, WorkspaceRules
from tracklayer.store import Database, RulesStore

RULES = WorkspaceRules(
    default_region="DE",
    event_names={"Order Paid": "purchase", "Signed Up": None},
    drop_pii=True,
    enrichment=Enrichment(geo=False),
    consent_defaults={"EEA": {"ad_storage": "denied"}},
    clock_skew=False,
)


async def test_what_nobody_has_saved_is_as_it_is_from_the_start(database: Database) -> None:
    assert await RulesStore(database).of(WORKSPACE) == WorkspaceRules()


async def test_what_is_put_is_read_again_and_is_one_workspaces_own(database: Database) -> None:
    store = RulesStore(database)
    await store.put(WORKSPACE, RULES, now=NOW)
    assert await store.of(WORKSPACE) == RULES
    assert await store.of(OTHER_WORKSPACE) == WorkspaceRules()


async def test_new_rules_replace_the_old_ones(database: Database) -> None:
    store = RulesStore(database)
    await store.put(WORKSPACE, RULES, now=NOW)
    await store.put(WORKSPACE, WorkspaceRules(clock_skew=False), now=NOW + 1)
    assert await store.of(WORKSPACE) == WorkspaceRules(clock_skew=False)


async def test_rules_replace_only_those_that_were_seen(database: Database) -> None:
    store = RulesStore(database)
    assert await store.put(WORKSPACE, RULES, now=NOW, seen=WorkspaceRules())
    assert not await store.put(WORKSPACE, WorkspaceRules(), now=NOW + 1, seen=WorkspaceRules())
    assert await store.of(WORKSPACE) == RULES
    assert await store.put(WORKSPACE, WorkspaceRules(), now=NOW + 1, seen=RULES)
    assert await store.of(WORKSPACE) == WorkspaceRules()


async def test_of_rules_that_are_saved_at_once_over_the_same_ones_one_stands(database: Database) -> None:
    store = RulesStore(database)
    for before in (WorkspaceRules(), RULES):
        new = [msgspec.structs.replace(before, default_region=region) for region in ("AT", "CH", "FR", "IT")]
        saved = await asyncio.gather(*(store.put(WORKSPACE, each, now=NOW, seen=before) for each in new))
        assert sorted(saved) == [False, False, False, True]
        assert await store.of(WORKSPACE) == new[saved.index(True)]
        await store.put(WORKSPACE, RULES, now=NOW)
