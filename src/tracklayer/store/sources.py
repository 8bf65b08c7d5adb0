"""Sources, what they sent by the day, and the ids of webhooks that came. Each verb is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, delete, select

from tracklayer.model.event import Json, decode_json, encode_json
from tracklayer.store.database import Database
from tracklayer.store.tables import source_counts, sources, webhook_ids
from tracklayer.store.unchanged import update_unchanged

SourceType: TypeAlias = Literal["segment", "segment_webhook", "shopify"]
Status: TypeAlias = Literal["accepted", "duplicate", "rejected"]
CountKey: TypeAlias = tuple[str, int, Status]
"""source id, day (since 1970, UTC), what became of it."""


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it is kept: of a write key the hash, of a shared secret what only the vault can open."""

    id: str
    workspace_id: str
    type: SourceType
    name: str
    enabled: bool
    key_hash: str | None
    sealed: bytes | None
    hint: str
    settings: dict[str, Json]
    created_at: float
    updated_at: float


class DayCount(msgspec.Struct, frozen=True):
    """How often one thing became of what a source sent on one day."""

    source_id: str
    day: int
    status: Status
    count: int


class SourceStore:
    """Everything about sources that lasts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        adding = database.insert(source_counts)
        self._add_counts = database.statement(
            adding.on_conflict_do_update(
                index_elements=["source_id", "day", "status"],
                set_={"count": source_counts.c.count + adding.excluded.count},
            )
        )

    async def all(self) -> list[SourceRecord]:
        """The sources of every workspace, oldest first."""
        statement = select(sources).order_by(sources.c.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).mappings().all())
        return [SourceRecord(**{**row, "settings": decode_json(row["settings"])}) for row in rows]

    async def add(self, record: SourceRecord) -> bool:
        """Store a new source; False where one with its id is there already."""
        adding = self._database.insert(sources).values(_row(record)).on_conflict_do_nothing(index_elements=["id"])
        return await self._database.write(lambda connection: connection.execute(adding).rowcount == 1)

    async def update(self, before: SourceRecord, after: SourceRecord) -> bool:
        """Write what becomes of `before`; False where it is not as `before` says any more: nothing is written then."""
        statement = update_unchanged(sources, _row(before), _row(after))
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def remove(self, source_id: str) -> None:
        """Forget a source with its counts and webhook ids. What it sent in vain stays."""

        def work(connection: Connection) -> None:
            for table in (source_counts, webhook_ids):
                connection.execute(delete(table).where(table.c.source_id == source_id))
            connection.execute(delete(sources).where(sources.c.id == source_id))

        await self._database.write(work, long=True)

    async def add_counts(self, counts: Mapping[CountKey, int]) -> None:
        """Add to what is there."""
        rows = [
            {"source_id": source_id, "day": day, "status": status, "count": count}
            for (source_id, day, status), count in counts.items()
        ]
        await self._database.write(lambda connection: self._add_counts.run(connection, rows))

    async def counts(self, source_ids: Collection[str], *, since: int) -> list[DayCount]:
        """What the sources sent from the day `since` on, in order."""
        of = source_counts.c
        statement = (
            select(of.source_id, of.day, of.status, of.count)
            .where(of.source_id.in_(source_ids), of.day >= since)
            .order_by(of.source_id, of.day, of.status)
        )
        return await self._database.read(lambda connection: [DayCount(*row) for row in connection.execute(statement)])

    async def came(self, source_id: str, webhook_id: str) -> bool:
        """Whether a webhook was taken in already."""
        of = webhook_ids.c
        statement = select(of.source_id).where(of.source_id == source_id, of.webhook_id == webhook_id)
        return await self._database.read(lambda connection: connection.execute(statement).first() is not None)

    async def note_webhook(self, source_id: str, webhook_id: str, now: float) -> None:
        """Remember that a webhook was taken in."""
        row = {"source_id": source_id, "webhook_id": webhook_id, "received_at": now}
        statement = self._database.insert(webhook_ids).values(row).on_conflict_do_nothing()
        await self._database.write(lambda connection: connection.execute(statement))

    async def prune(self, *, webhooks_before: float, days_before: int) -> None:
        """Forget the ids of webhooks that came, and the days that were counted, before then."""
        old_webhooks = delete(webhook_ids).where(webhook_ids.c.received_at < webhooks_before)
        old_days = delete(source_counts).where(source_counts.c.day < days_before)

        def work(connection: Connection) -> None:
            connection.execute(old_webhooks)
            connection.execute(old_days)

        await self._database.write(work, long=True)


def _row(record: SourceRecord) -> dict[str, object]:
    return {**msgspec.structs.asdict(record), "settings": encode_json(record.settings)}
