"""Reading back: events, deliveries, attempts, kept requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, literal, select

from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import Event, decode_json, event_from_json
from tracklayer.model.work import Attempt, AttemptRecord, KeptRequest
from tracklayer.store.database import Database
from tracklayer.store.tables import attempts, deliveries, event_keys, events, kept_requests

_decode_record = msgspec.json.Decoder(AttemptRecord).decode


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored."""

    pk: str
    event: Event
    received_at: float
    test: bool


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it is stored."""

    id: str
    workspace_id: str
    destination_id: str
    event_pk: str
    event_id: str
    event_name: str
    state: DeliveryState
    reason: str | None
    test: bool
    as_sent: bool
    version: int
    attempts: int
    retries: int
    status_code: int | None
    cause: str | None  # of the last attempt's failure, see `Attempt.cause`
    created_at: float
    updated_at: float
    due_at: float


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries; None is any. `since` and `until` bound the time of acceptance, `until` not included."""

    destination_id: str | None = None
    event_id: str | None = None
    event_name: str | None = None
    state: DeliveryState | None = None
    code: int | None = None
    since: float | None = None
    until: float | None = None
    test: bool | None = None
    ids: tuple[str, ...] | None = None


class History:
    """What happened, newest first. Pages are bounded; `before` is the last row's key of the page before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self, workspace_id: str, *, limit: int, before: str | None = None) -> list[StoredEvent]:
        """A page of events."""
        statement = select(events).where(events.c.workspace_id == workspace_id)
        if before is not None:
            statement = statement.where(events.c.pk < before)
        page = statement.order_by(events.c.pk.desc()).limit(limit)
        return await self._database.read(lambda connection: [_event(row) for row in connection.execute(page)])

    async def event(self, workspace_id: str, event_id: str) -> StoredEvent | None:
        """The newest event of that id."""
        statement = (
            select(events)
            .join(
                event_keys,
                (event_keys.c.workspace_id == events.c.workspace_id) & (event_keys.c.event_pk == events.c.pk),
            )
            .where(event_keys.c.workspace_id == workspace_id, event_keys.c.event_id == event_id)
        )
        return await self._one_event(statement)

    async def event_of(self, delivery: StoredDelivery) -> StoredEvent | None:
        """The event of a delivery."""
        return await self._one_event(
            select(events).where(events.c.workspace_id == delivery.workspace_id, events.c.pk == delivery.event_pk)
        )

    async def deliveries_of(self, event_pk: str) -> list[StoredDelivery]:
        """Every delivery of one event, oldest first."""
        statement = select(*_DELIVERY).where(deliveries.c.event_pk == event_pk).order_by(deliveries.c.id)
        return await self._deliveries(statement)

    async def deliveries(
        self, workspace_id: str, wanted: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> list[StoredDelivery]:
        """A page of deliveries."""
        statement = select(*_DELIVERY).where(*_conditions(workspace_id, wanted))
        if before is not None:
            statement = statement.where(deliveries.c.id < before)
        return await self._deliveries(statement.order_by(deliveries.c.id.desc()).limit(limit))

    async def delivery(self, workspace_id: str, delivery_id: str) -> StoredDelivery | None:
        """One delivery."""
        found = await self._deliveries(
            select(*_DELIVERY).where(deliveries.c.id == delivery_id, deliveries.c.workspace_id == workspace_id)
        )
        return found[0] if found else None

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        """Every attempt of one delivery, in order."""
        statement = select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)
        return await self._database.read(
            lambda connection: [
                Attempt(
                    number=row.number,
                    version=row.version,
                    started_at=row.started_at,
                    action=row.action,
                    rule=row.rule,
                    status_code=row.status_code,
                    error_kind=row.error_kind,
                    error=row.error,
                    record=_decode_record(row.record),
                )
                for row in connection.execute(statement)
            ]
        )

    async def kept_request(self, delivery_id: str) -> KeptRequest | None:
        """The request of the last failed attempt, as it was sent."""
        kept = await self._database.read(lambda connection: read_kept_requests(connection, [delivery_id]))
        return kept.get(delivery_id)

    async def _deliveries(self, statement: Select[Any]) -> list[StoredDelivery]:
        rows = await self._database.read(lambda connection: list(connection.execute(statement).mappings()))
        return [StoredDelivery(**{**row, "state": DeliveryState(row["state"])}) for row in rows]

    async def _one_event(self, statement: Select[Any]) -> StoredEvent | None:
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else _event(row)


_DELIVERY = tuple(deliveries.c[name] for name in StoredDelivery.__struct_fields__)


def _event(row: Row[Any]) -> StoredEvent:
    return StoredEvent(pk=row.pk, event=event_from_json(row.body), received_at=row.received_at, test=row.test)


def read_kept_requests(connection: Connection, delivery_ids: Sequence[str]) -> dict[str, KeptRequest]:
    """The kept requests of some deliveries, by delivery id."""
    statement = select(kept_requests).where(kept_requests.c.delivery_id.in_(delivery_ids))
    return {
        row.delivery_id: KeptRequest(
            version=row.version,
            method=row.method,
            url=row.url,
            headers=tuple((name, value) for name, value in decode_json(row.headers)),
            body=row.body,
            sealed=row.sealed,
        )
        for row in connection.execute(statement)
    }


def _conditions(workspace_id: str, wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    column = deliveries.c
    conditions: list[ColumnElement[bool]] = [column.workspace_id == workspace_id]
    if wanted.destination_id is not None:
        conditions.append(column.destination_id == wanted.destination_id)
    if wanted.event_id is not None:
        conditions.append(column.event_id == wanted.event_id)
    if wanted.event_name is not None:
        conditions.append(column.event_name == wanted.event_name)
    if wanted.state is not None:
        # Spelled out in the statement, so that a planner sees that a partial index serves it.
        conditions.append(column.state == literal(wanted.state.value, literal_execute=True))
    if wanted.code is not None:
        conditions.append(column.status_code == wanted.code)
    if wanted.since is not None:
        conditions.append(column.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(column.created_at < wanted.until)
    if wanted.test is not None:
        conditions.append(column.test.is_(wanted.test))
    if wanted.ids is not None:
        conditions.append(column.id.in_(wanted.ids))
    return conditions
