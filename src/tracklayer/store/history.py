"""Reading back: events, deliveries, attempts, kept requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal, select

from tracklayer.identity import first_id
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import Event, decode_json, event_from_json
from tracklayer.model.work import Attempt, AttemptRecord, KeptRequest
from tracklayer.store.database import Database
from tracklayer.store.tables import DEAD, PENDING, attempts, deliveries, event_keys, events, kept_requests

UNKNOWN = "unknown"  # the cause of what failed before causes were written
FEW = 5000  # rows that are gathered by what they have in common and then sorted, where more are walked through by id
LAG = 60.0  # seconds between the making of an id and the time in its row, at the most and either way

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
    """Which deliveries; None is any. `since` and `until` bound the time of acceptance, `until` not included.

    `as_of` leaves out what has changed since that moment, such as what died later.
    `event_id` is the newest event of that id; where `state` is dead, every event that has come under it.
    """

    destination_id: str | None = None
    event_id: str | None = None
    event_name: str | None = None
    state: DeliveryState | None = None
    retrying: bool | None = None  # pending ones only: those that an attempt was made for, or those yet without any
    cause: str | None = None  # as in `Attempt.cause`, or UNKNOWN
    code: int | None = None
    since: float | None = None
    until: float | None = None
    as_of: float | None = None
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
        return await self._database.read(lambda connection: [read_event(row) for row in connection.execute(page)])

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
        statement = select(*_DELIVERY)
        few = _few(workspace_id, wanted)
        if few is not None and await self._count(few.limit(FEW + 1)) <= FEW:
            statement = statement.where(deliveries.c.id.in_(few))
            wanted = msgspec.structs.replace(wanted, destination_id=None)  # said, and no way to be tempted by
        statement = statement.where(*delivery_conditions(workspace_id, wanted))
        if before is not None:
            statement = statement.where(deliveries.c.id < before)
        return await self._deliveries(statement.order_by(deliveries.c.id.desc()).limit(limit))

    async def oldest(
        self, workspace_id: str, wanted: DeliveryFilter, *, limit: int, after: str = ""
    ) -> list[StoredDelivery]:
        """A page of deliveries, oldest first; `after` is the id of the last one of the page before."""
        statement = select(*_DELIVERY).where(*delivery_conditions(workspace_id, wanted), deliveries.c.id > after)
        return await self._deliveries(statement.order_by(deliveries.c.id).limit(limit))

    async def count(self, workspace_id: str, wanted: DeliveryFilter) -> int:
        """How many deliveries `wanted` selects; looks at each of them."""
        return await self._count(select(deliveries.c.id).where(*delivery_conditions(workspace_id, wanted)))

    async def delivery(self, workspace_id: str, delivery_id: str) -> StoredDelivery | None:
        """One delivery."""
        found = await self._deliveries(
            select(*_DELIVERY).where(deliveries.c.id == delivery_id, deliveries.c.workspace_id == workspace_id)
        )
        return found[0] if found else None

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        """Every attempt of one delivery, in order."""
        statement = select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)
        return await self._database.read(lambda connection: [_attempt(row) for row in connection.execute(statement)])

    async def last_attempts(self, delivery_ids: Sequence[str]) -> dict[str, Attempt]:
        """The last attempt of each of these deliveries; none where nothing was tried."""
        statement = select(attempts).where(attempts.c.delivery_id.in_(delivery_ids)).order_by(attempts.c.number)
        return await self._database.read(
            lambda connection: {row.delivery_id: _attempt(row) for row in connection.execute(statement)}
        )

    async def kept_request(self, delivery_id: str) -> KeptRequest | None:
        """The request of the last failed attempt, as it was sent."""
        return (await self.kept_requests([delivery_id])).get(delivery_id)

    async def kept_requests(self, delivery_ids: Sequence[str]) -> dict[str, KeptRequest]:
        """The same of each of these deliveries."""
        return await self._database.read(lambda connection: read_kept_requests(connection, delivery_ids))

    async def with_request(self, delivery_ids: Sequence[str]) -> set[str]:
        """Those of these deliveries whose last request is kept."""
        statement = select(kept_requests.c.delivery_id).where(kept_requests.c.delivery_id.in_(delivery_ids))
        return set(await self._database.read(lambda connection: connection.execute(statement).scalars().all()))

    async def _count(self, rows: Select[Any]) -> int:
        statement = select(func.count()).select_from(rows.subquery())
        return await self._database.read(lambda connection: connection.execute(statement).scalar_one())

    async def _deliveries(self, statement: Select[Any]) -> list[StoredDelivery]:
        rows = await self._database.read(lambda connection: list(connection.execute(statement).mappings()))
        return [StoredDelivery(**{**row, "state": DeliveryState(row["state"])}) for row in rows]

    async def _one_event(self, statement: Select[Any]) -> StoredEvent | None:
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        return None if row is None else read_event(row)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
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


_DELIVERY = tuple(deliveries.c[name] for name in StoredDelivery.__struct_fields__)


def read_event(row: Row[Any]) -> StoredEvent:
    """A row of `events`."""
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


def delivery_conditions(workspace_id: str, wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    """What a row of `deliveries` must meet."""
    column = deliveries.c
    conditions: list[ColumnElement[bool]] = [column.workspace_id == workspace_id]
    if wanted.event_id is not None:
        conditions.append(column.event_id == wanted.event_id)
        if wanted.state is not DeliveryState.DEAD:
            conditions.append(column.id.in_(_of_event(workspace_id, wanted.event_id)))
    if wanted.state is not None:
        conditions.append(_is(wanted.state))
    if wanted.retrying is not None:
        conditions += [_is(DeliveryState.PENDING), column.attempts > 0 if wanted.retrying else column.attempts == 0]
    if wanted.cause is not None:
        conditions.append(column.cause.is_(None) if wanted.cause == UNKNOWN else column.cause == wanted.cause)
    if wanted.since is not None:  # the id, too, so that a walk in its order ends there
        conditions += [column.created_at >= wanted.since, column.id >= first_id("dlv", wanted.since - LAG)]
    if wanted.until is not None:
        conditions += [column.created_at < wanted.until, column.id < first_id("dlv", wanted.until + LAG)]
    if wanted.as_of is not None:
        conditions.append(column.updated_at <= wanted.as_of)
    if wanted.test is not None:
        conditions.append(column.test.is_(wanted.test))
    if wanted.ids is not None:
        conditions.append(column.id.in_(wanted.ids))
    equal = {column.destination_id: wanted.destination_id, column.event_name: wanted.event_name}
    conditions += [of == value for of, value in equal.items() if value is not None]
    if wanted.code is not None:
        conditions.append(column.status_code == wanted.code)
    return conditions


def _is(state: DeliveryState) -> ColumnElement[bool]:
    """Spelled out in the statement, so that a planner sees that a partial index serves it."""
    return deliveries.c.state == literal(state.value, literal_execute=True)


def _of_event(workspace_id: str, event_id: str) -> Select[Any]:
    """The ids of the deliveries of the newest event of that id."""
    newest = select(event_keys.c.event_pk).where(
        event_keys.c.workspace_id == workspace_id, event_keys.c.event_id == event_id
    )
    return select(deliveries.c.id).where(deliveries.c.event_pk == newest.scalar_subquery())


def _few(workspace_id: str, wanted: DeliveryFilter) -> Select[Any] | None:
    """The ids of what may be few rows spread over a long log: what waits, and the dead letters of one destination."""
    column = deliveries.c
    of_destination = [] if wanted.destination_id is None else [column.destination_id == wanted.destination_id]
    if wanted.state is DeliveryState.PENDING or wanted.retrying is not None:
        return select(column.id).where(PENDING, *of_destination)
    if wanted.state is DeliveryState.DEAD and of_destination and wanted.test is not None and wanted.cause is None:
        tested = column.test.is_(wanted.test)
        return select(column.id).where(DEAD, column.workspace_id == workspace_id, tested, *of_destination)
    return None
