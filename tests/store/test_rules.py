"""The rules of workspaces in the store."""

from __future__ import annotations

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
