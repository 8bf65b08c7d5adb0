"""Payloads that made no event, with the reason: the newest of every workspace. Each verb is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select

from tracklayer.model.event import Json, decode_json, encode_json
from tracklayer.store.database import Database
from tracklayer.store.tables import rejected_payloads

MOST = 10_000  # of one workspace; the oldest go
_MANY = 20  # rows whose writing is work for a thread

_OF = rejected_payloads.c


class RejectedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A payload and why it made no event."""

    id: str
    workspace_id: str
    source_id: str | None  # None: the native API
    received_at: float
    code: str
    detail: str
    pointer: str | None
    about: dict[str, Json]  # what its mapping needs beside it
    payload: bytes = b""  # empty in a list


class RejectedStore:
    """What was sent in vain."""

    def __init__(self, database: Database, *, most: int = MOST) -> None:
        self._database = database
        self._most = most

    async def add(self, workspace_id: str, records: Sequence[RejectedRecord]) -> None:
        """Store payloads of one workspace, in the order of their ids; the oldest beyond what is kept go."""
        rows = [{**msgspec.structs.asdict(each), "about": encode_json(each.about)} for each in records[-self._most :]]
        first_too_old = (
            select(_OF.id)
            .where(_OF.workspace_id == workspace_id)
            .order_by(_OF.id.desc())
            .offset(self._most)
            .limit(1)
            .scalar_subquery()
        )
        too_old = delete(rejected_payloads).where(_OF.workspace_id == workspace_id, _OF.id <= first_too_old)

        def work(connection: Connection) -> None:
            connection.execute(insert(rejected_payloads), rows)
            connection.execute(too_old)

        if rows:
            await self._database.write(work, long=len(rows) > _MANY)

    async def page(
        self, workspace_id: str, *, limit: int, before: str | None = None, source_id: str | None = None
    ) -> list[RejectedRecord]:
        """A page without the payloads, newest first; of one source only, where one is given."""
        columns = [column for column in rejected_payloads.c if column is not _OF.payload]
        statement = select(*columns).where(_OF.workspace_id == workspace_id).order_by(_OF.id.desc())
        if before is not None:
            statement = statement.where(_OF.id < before)
        if source_id is not None:
            statement = statement.where(_OF.source_id == source_id)
        rows = await self._database.read(lambda connection: connection.execute(statement.limit(limit)).mappings().all())
        return [_record(row) for row in rows]

    async def one(self, workspace_id: str, rejected_id: str) -> RejectedRecord | None:
        """One of them."""
        statement = select(rejected_payloads).where(_OF.workspace_id == workspace_id, _OF.id == rejected_id)
        row = await self._database.read(lambda connection: connection.execute(statement).mappings().first())
        return None if row is None else _record(row)

    async def explain_again(self, record: RejectedRecord) -> None:
        """Replace the reason, as it is today; does nothing where it was removed meanwhile."""
        statement = (
            rejected_payloads.update()
            .where(_OF.id == record.id)
            .values(code=record.code, detail=record.detail, pointer=record.pointer)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    async def remove(self, workspace_id: str, rejected_id: str) -> bool:
        """Forget one; answers whether it was there."""
        statement = delete(rejected_payloads).where(_OF.workspace_id == workspace_id, _OF.id == rejected_id)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount > 0)


def _record(row: RowMapping) -> RejectedRecord:
    return RejectedRecord(**{**row, "about": decode_json(row["about"])})
