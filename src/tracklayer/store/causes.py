"""Dead letters by cause: how many of which destination, since when."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from tracklayer.identity import first_id
from tracklayer.model.delivery import DeliveryState
from tracklayer.store.database import Database
from tracklayer.store.history import UNKNOWN, DeliveryFilter, delivery_conditions
from tracklayer.store.tables import deliveries

GROUPS = 200
FEW = 500  # dead letters
HOUR = 3600.0

_of = deliveries.c


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
        dead = msgspec.structs.replace(wanted, state=DeliveryState.DEAD)
        groups = (
            select(
                _of.destination_id,
                _of.cause,
                func.count().label("count"),
                func.min(_of.id).label("first"),  # ids are ordered by time
                func.max(_of.id).label("last"),
            )
            .where(*delivery_conditions(workspace_id, dead))
            .group_by(_of.destination_id, _of.cause)
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
        edges = [first_id("dlv", now - HOUR * ago) for ago in range(hours, -1, -1)]
        edges[-1] = first_id("dlv", now + HOUR)  # what is accepted while we count belongs to the last
        among = delivery_conditions(workspace_id, dead)
        few = select(_of.id).where(*among, _of.id >= edges[0], _of.id < edges[-1]).order_by(_of.id).limit(FEW + 1)

        def count(connection: Connection) -> list[int]:
            """Few are read and counted here, for one statement is cheaper than one an hour; many are counted there."""
            ids = connection.execute(few).scalars().all()
            if len(ids) <= FEW:
                return [bisect_left(ids, end) - bisect_left(ids, begin) for begin, end in pairwise(edges)]
            one = select(func.count()).where(*among, _of.id >= bindparam("begin"), _of.id < bindparam("end"))
            bounds = ({"begin": begin, "end": end} for begin, end in pairwise(edges))
            return [connection.execute(one, each).scalar_one() for each in bounds]

        return await self._database.read(count)
