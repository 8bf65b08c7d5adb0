"""The audit trail in the store: added, read newest first, never mixed between workspaces."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE
from tracklayer.model.records import AuditEntry
from tracklayer.store import AuditStore, Database


@pytest.fixture
def audit(database: Database) -> AuditStore:
    return AuditStore(database)


def entry(number: int, **fields: Any) -> AuditEntry:
    made = AuditEntry(
        id=f"aud_{number:03}",
        workspace_id=WORKSPACE,
        at=NOW + number,
        actor="kim@example.com",
        action="destination.paused",
        target="dst_1",
        detail={},
    )
    return msgspec.structs.replace(made, **fields)


async def test_an_entry_comes_back_as_it_was(audit: AuditStore) -> None:
    whole = entry(1, detail={"filter": {"properties.value": {"$gt": Decimal("0.10")}}, "until": None, "count": 3})
    await audit.add(whole)
    assert await audit.page(WORKSPACE, limit=10) == [whole]


async def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(audit: AuditStore) -> None:
    entries = [entry(number) for number in range(5)]
    for each in (entries[2], entries[0], entries[4], entries[1], entries[3]):
        await audit.add(each)
    first = await audit.page(WORKSPACE, limit=3)
    rest = await audit.page(WORKSPACE, limit=3, before=first[-1].id)
    assert first + rest == entries[::-1]


async def test_a_workspace_sees_its_own_entries_only(audit: AuditStore) -> None:
    await audit.add(entry(1))
    await audit.add(entry(2, workspace_id=OTHER_WORKSPACE))
    assert [each.id for each in await audit.page(WORKSPACE, limit=10)] == ["aud_001"]


@pytest.mark.parametrize(
    "wanted, ids",
    [
        ({"actor": "shop key"}, ["aud_002"]),
        ({"target": "dst_2"}, ["aud_004"]),
        ({"action": "destination.paused"}, ["aud_004", "aud_001"]),
        ({"action": "destination"}, ["aud_004", "aud_003", "aud_001"]),
        ({"action": "dest"}, []),
        ({"action": "%"}, []),
        ({"action": "destination", "target": "dst_1", "before": "aud_003"}, ["aud_001"]),
    ],
)
async def test_entries_are_found_by_actor_action_and_target(
    audit: AuditStore, wanted: dict[str, str], ids: list[str]
) -> None:
    await audit.add(entry(1))
    await audit.add(entry(2, actor="shop key", action="secret.stored", target="token"))
    await audit.add(entry(3, action="destination.resumed"))
    await audit.add(entry(4, target="dst_2"))
    assert [each.id for each in await audit.page(WORKSPACE, limit=10, **wanted)] == ids
