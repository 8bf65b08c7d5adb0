"""Dead letters by cause: how many of which destination, since when."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from sqlalchemy import bindparam, func, select

from tracklayer.identity import first_id
from tracklayer.model.delivery import DeliveryState
from tracklayer.store.database import Database
from tracklayer.store.history import UNKNOWN, DeliveryFilter, delivery_conditions
from tracklayer.store.tables import deliveries

GROUPS = 200
HOUR = 3600.0


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The dead letters of one destination that failed in the same way."""

    destination_id: str
    cause: str  # as in `Attempt.cause`, or UNKNOWN
    count: int
    first_at: float  # unix seconds; when the oldest of them was accepted
    last_at: float  # … and when the newest of them died
    first_version: int  # of the destination, when the oldest of them was last tried
    last_version: int  # … and the newest
    example: str  # the id of the newest


class Causes:
    """Counts what stands in the dead-letter queue; `test` of a filter says whether tests do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, workspace_id: str, wanted: DeliveryFilter) -> list[Cause]:
        """The 200 largest groups of the dead letters that `wanted` selects, the most first."""
        column = deliveries.c
        dead = msgspec.structs.replace(wanted, state=DeliveryState.DEAD)
        groups = (
            select(
                column.destination_id,
                column.cause,
                func.count().label("count"),
                func.min(column.id).label("first"),  # ids are ordered by time
                func.max(column.id).label("last"),
            )
            .where(*delivery_conditions(workspace_id, dead))
            .group_by(column.destination_id, column.cause)
            .order_by(func.count().desc())
            .limit(GROUPS)
            .subquery()
        )
        first, last = deliveries.alias("oldest"), deliveries.alias("newest")
        statement = (
            select(
                groups.c.destination_id,
                func.coalesce(groups.c.cause, UNKNOWN).label("cause"),
                groups.c["count"],
                first.c.created_at.label("first_at"),
                last.c.updated_at.label("last_at"),
                first.c.version.label("first_version"),
                last.c.version.label("last_version"),
                groups.c.last.label("example"),
            )
            .join_from(groups, first, first.c.id == groups.c.first)
            .join(last, last.c.id == groups.c.last)
            .order_by(groups.c["count"].desc(), groups.c.last.desc())
        )
        return await self._database.read(
            lambda connection: [Cause(**row) for row in connection.execute(statement).mappings()]
        )

    async def by_hour(self, workspace_id: str, wanted: DeliveryFilter, *, hours: int, now: float) -> list[int]:
        """How many of the dead letters that `wanted` selects were accepted in each of the last hours, oldest first."""
        dead = msgspec.structs.replace(wanted, state=DeliveryState.DEAD)
        statement = select(func.count()).where(
            *delivery_conditions(workspace_id, dead),
            deliveries.c.id >= bindparam("begin"),
            deliveries.c.id < bindparam("end"),
        )
        edges = [first_id("dlv", now - HOUR * ago) for ago in range(hours, -1, -1)]
        edges[-1] = first_id("dlv", now + HOUR)  # what is accepted while we count belongs to the last
        return await self._database.read(
            lambda connection: [
                connection.execute(statement, {"begin": begin, "end": end}).scalar_one()
                for begin, end in pairwise(edges)
            ]
        )
