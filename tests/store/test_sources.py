from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tracklayer.store import Database
from tracklayer.store.sources import DayCount, SourceRecord, SourceStore

SOURCE = SourceRecord(
    id="src_1",
    workspace_id="ws_1",
    type="segment",
    name="shop",
    enabled=True,
    key_hash="hash",
    sealed=None,
    hint="…hint",
    settings={"platform": "web"},
    created_at=1.0,
    updated_at=1.0,
)


async def test_a_source_is_kept_replaced_and_removed(database: Database) -> None:
    store = SourceStore(database)
    await store.add(SOURCE)
    other = msgspec.structs.replace(SOURCE, name="other", enabled=False, key_hash=None, sealed=b"s", settings={})
    assert await store.update(SOURCE, other)
    assert await store.all() == [other]
    await store.note_webhook("src_1", "w", 1.0)
    await store.add_counts({("src_1", 1, "accepted"): 1})
    await store.remove("src_1")
    assert await store.all() == []
    assert await store.counts(["src_1"], since=0) == []
    assert not await store.came("src_1", "w")
    assert not await store.update(other, SOURCE)
    assert await store.all() == []


@pytest.mark.parametrize(
    "changed",
    [{"name": "n"}, {"enabled": False}, {"key_hash": None, "sealed": b"s"}, {"settings": {"platform": "ios"}}],
)
async def test_a_source_that_is_not_what_it_was_is_not_written_over(
    database: Database, changed: dict[str, Any]
) -> None:
    store = SourceStore(database)
    await store.add(SOURCE)
    meanwhile = msgspec.structs.replace(SOURCE, **changed)
    assert await store.update(SOURCE, meanwhile)
    late = msgspec.structs.replace(SOURCE, hint="…late")
    assert not await store.update(SOURCE, late)
    assert await store.all() == [meanwhile]
    assert await store.update(meanwhile, late)


async def test_counts_add_up_by_day(database: Database) -> None:
    store = SourceStore(database)
    await store.add_counts({("src_1", 5, "accepted"): 2, ("src_1", 4, "rejected"): 1, ("src_2", 5, "accepted"): 9})
    await store.add_counts({("src_1", 5, "accepted"): 3})
    assert await store.counts(["src_1"], since=0) == [
        DayCount("src_1", 4, "rejected", 1),
        DayCount("src_1", 5, "accepted", 5),
    ]
    assert await store.counts(["src_1", "src_2"], since=5) == [
        DayCount("src_1", 5, "accepted", 5),
        DayCount("src_2", 5, "accepted", 9),
    ]


async def test_webhooks_are_known_by_source_until_they_are_pruned(database: Database) -> None:
    store = SourceStore(database)
    await store.note_webhook("src_1", "w", 10.0)
    await store.note_webhook("src_1", "w", 99.0)
    assert await store.came("src_1", "w")
    assert not await store.came("src_2", "w")
    await store.add_counts({("src_1", 4, "rejected"): 1, ("src_1", 5, "accepted"): 2})
    await store.prune(webhooks_before=11.0, days_before=5)
    assert not await store.came("src_1", "w")
    assert await store.counts(["src_1"], since=0) == [DayCount("src_1", 5, "accepted", 2)]
