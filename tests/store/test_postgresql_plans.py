"""What accepts and delivers looks up rows by their keys on PostgreSQL, also in tables that were never counted.

The planner knows nothing of a table that grew since it was last counted, and a plan that was made while it was empty
stays: so plans are made here on empty tables, before those are filled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from itertools import count

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from tests.store.samples import LEASE, NOW, WINDOW, WORKER, WORKSPACE, acceptance, only_delivery, remembered, settlement
from tracklayer.model.facts import FactKeys
from tracklayer.model.profile import ProfileUpdate
from tracklayer.model.work import Acceptance, NewDelivery
from tracklayer.store import Database, Queue, open_database
from tracklayer.store.facts import FactsReader

MANY = 2_000  # rows that nobody asks for
FEW = 5  # that somebody does
BESIDE = 40  # rows that may be read beside them: of small tables, and what an index holds until it is vacuumed


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """An empty database."""
    database = open_database(postgres_url)
    yield database
    await database.close()


class Verbs:
    """Every hot verb, for a few rows that it has not been given before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = Queue(database, worker=WORKER, dedup_window=WINDOW)
        self._reader = FactsReader(database)
        self._numbers = count()

    async def run(self) -> None:
        names = [f"few_{next(self._numbers)}" for _ in range(FEW)]
        said = [ProfileUpdate(user_key=name, consent={"ad_storage": "denied"}, at=NOW) for name in names]
        for _ in range(2):  # of nobody, then of somebody
            await remembered(self._database, {WORKSPACE: said})
        keys = [FactKeys((name,), None, (f"id:{name}",)) for name in names]
        await self._database.write(lambda connection: self._reader.read(connection, WORKSPACE, keys))
        items = [acceptance(name) for name in names]
        await self._queue.accept(items)
        assert all(answer.duplicate for answer in await self._queue.accept(items))
        claimed = await self._queue.claim("dst_1", FEW, now=NOW + 1, lease_until=NOW + LEASE)
        assert len(claimed) == FEW
        assert await self._queue.settle([settlement(each.delivery_id) for each in claimed]) == []

    async def fill(self) -> None:
        """Others, of whom nothing waits."""
        await self._database.write(
            lambda connection: connection.execute(
                text(
                    "INSERT INTO profiles (workspace_id, user_key, updated_at)"
                    f" SELECT '{WORKSPACE}', 'many_' || number, 0 FROM generate_series(1, {MANY}) number"
                )
            )
        )
        items = [acceptance(f"many_{number}", lease_until=NOW + LEASE) for number in range(MANY)]
        await self._queue.accept(items)
        assert await self._queue.settle([settlement(only_delivery(item)) for item in items]) == []


async def rows_read(database: Database) -> Mapping[str, int]:
    """Table → how many rows were read of it so far, by the one connection that has written."""
    await database.write(lambda connection: connection.execute(text("SELECT pg_stat_force_next_flush()")))
    asked = text("SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables")
    return await database.read(lambda connection: {row[0]: row[1] for row in connection.execute(asked)})


async def test_no_verb_reads_more_rows_than_it_is_about_however_many_there_are(database: Database) -> None:
    verbs = Verbs(database)
    await verbs.run()
    await verbs.fill()
    before = await rows_read(database)
    await verbs.run()
    after = await rows_read(database)
    read = {table: rows - before[table] for table, rows in after.items() if rows > before[table]}
    assert sum(read.values()) >= 3 * FEW, read
    assert max(read.values()) <= 10 * FEW + BESIDE, read


async def test_a_claim_of_users_in_order_reads_no_more_however_many_wait(database: Database) -> None:
    queue = Queue(database, worker=WORKER, dedup_window=WINDOW)

    async def wait(*names: str) -> None:
        items = [acceptance(name) for name in names]
        await queue.accept([replace(each, deliveries=tuple(_ordered(each))) for each in items])

    async def claim() -> None:
        claimed = await queue.claim("dst_1", FEW, now=NOW + 1, lease_until=NOW + LEASE)
        assert len(claimed) == FEW
        assert await queue.next_at("dst_1") is not None
        assert await queue.settle([settlement(each.delivery_id) for each in claimed]) == []

    await wait(*(f"few_{number}" for number in range(FEW + 1)))
    await claim()
    await wait(*(f"many_{number}" for number in range(MANY)))
    before = await rows_read(database)
    await claim()
    after = await rows_read(database)
    read = {table: rows - before[table] for table, rows in after.items() if rows > before[table]}
    assert sum(read.values()) >= 3 * FEW, read
    assert max(read.values()) <= 10 * FEW + BESIDE, read


def _ordered(item: Acceptance) -> list[NewDelivery]:
    return [replace(each, order_key=item.event.event_id) for each in item.deliveries]
