"""Who changed what."""

from __future__ import annotations

import msgspec
from sqlalchemy import insert, select

from tracklayer.model.event import decode_json, encode_json
from tracklayer.model.records import AuditEntry
from tracklayer.store.database import Database
from tracklayer.store.tables import audit_entries


class AuditStore:
    """Entries are added and read, and never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entry: AuditEntry) -> None:
        """Store an entry."""
        statement = insert(audit_entries).values({**msgspec.structs.asdict(entry), "detail": encode_json(entry.detail)})
        await self._database.write(lambda connection: connection.execute(statement))

    async def page(
        self,
        workspace_id: str,
        *,
        limit: int,
        before: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
    ) -> list[AuditEntry]:
        """A page of entries, newest first. `action` is one ("destination.paused"), or all of a kind ("destination")."""
        column = audit_entries.c
        statement = select(audit_entries).where(column.workspace_id == workspace_id)
        if before is not None:
            statement = statement.where(column.id < before)
        if actor is not None:
            statement = statement.where(column.actor == actor)
        if action is not None:
            of_kind = column.action.startswith(f"{action}.", autoescape=True)
            statement = statement.where((column.action == action) | of_kind)
        if target is not None:
            statement = statement.where(column.target == target)
        rows = await self._database.read(
            lambda connection: list(connection.execute(statement.order_by(column.id.desc()).limit(limit)).mappings())
        )
        return [AuditEntry(**{**row, "detail": decode_json(row["detail"])}) for row in rows]
