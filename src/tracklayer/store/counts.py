"""Attempts counted by the minute and by the hour, so that a page never counts rows of the log.

How long an attempt took is kept as a bucket: 0 is up to `LATENCY_BOUNDS[0]` seconds, `i` up to `LATENCY_BOUNDS[i]`, and
the last is more than any bound. Each bound is 1.43 times the one before, so the geometric middle of a bucket is at most
20 % away from whatever fell into it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

import msgspec
from sqlalchemy import delete, func, literal_column, select
from sqlalchemy.sql import ColumnElement

from tracklayer.store.database import Database
from tracklayer.store.tables import DEAD, attempt_counts, deliveries, destinations

Step: TypeAlias = Literal[60, 3600]
MINUTE: Step = 60
HOUR: Step = 3600

LATENCY_BOUNDS = tuple(round(0.001 * 60_000 ** (number / 31), 6) for number in range(32))  # 1 ms to 60 s
SUPPRESSED = "suppressed"  # the action of a delivery that a rule kept from being sent; no attempt was made
UNSENT = ("render", "validate")  # outcomes of attempts that made no request: their time says nothing of a receiver

CountKey: TypeAlias = tuple[str, int, str, str, int]
"""destination id, minute (unix seconds of its beginning), action, outcome, bucket.

The action is what came of the delivery (`delivered`, `retry`, `dead`) or `suppressed`; the outcome is `2xx` … `5xx`,
`429`, or `Failure.kind`.
"""


def bucket_of(seconds: float) -> int:
    """The bucket that a duration falls into."""
    return bisect_left(LATENCY_BOUNDS, seconds)


class HourCount(msgspec.Struct, frozen=True):
    """One hour of one destination."""

    destination_id: str
    slot: int  # unix seconds of its beginning
    delivered: int
    retried: int
    dead: int


class SlotCount(msgspec.Struct, frozen=True):
    """How often one thing happened in one slot of a destination's time."""

    slot: int  # unix seconds of its beginning
    action: str
    outcome: str
    bucket: int
    count: int


_OF = attempt_counts.c


class Counts:
    """The counts of every destination."""

    def __init__(self, database: Database) -> None:
        self._database = database
        adding = database.insert(attempt_counts)
        self._add = database.statement(
            adding.on_conflict_do_update(
                index_elements=[column.name for column in attempt_counts.primary_key],
                set_={"count": _OF.count + adding.excluded.count},
            )
        )

    async def add(self, counts: Mapping[CountKey, int]) -> None:
        """Add to what is there, to each minute and to its hour."""
        rows: dict[tuple[Step, CountKey], int] = {}
        for (destination_id, minute, action, outcome, bucket), count in counts.items():
            for step in (MINUTE, HOUR):
                key = (step, (destination_id, minute - minute % step, action, outcome, bucket))
                rows[key] = rows.get(key, 0) + count
        await self._database.write(lambda connection: self._add.run(connection, map(_row, rows.items())), long=True)

    async def by_hour(self, destination_ids: Collection[str], *, since: int) -> list[HourCount]:
        """The hours that begin at `since` or later and in which an attempt was made, in order."""
        statement = (
            select(_OF.destination_id, _OF.slot, _sum_of("delivered"), _sum_of("retry"), _sum_of("dead"))
            .where(*_attempts(destination_ids, since))
            .group_by(_OF.destination_id, _OF.slot)
            .order_by(_OF.destination_id, _OF.slot)
        )
        return await self._database.read(lambda connection: [HourCount(*row) for row in connection.execute(statement)])

    async def latencies(self, destination_ids: Collection[str], *, since: int) -> dict[str, dict[int, int]]:
        """For every destination, how many requests of the hours from `since` on fell into which bucket."""
        statement = (
            select(_OF.destination_id, _OF.bucket, func.sum(_OF.count))
            .where(*_attempts(destination_ids, since), _OF.outcome.not_in(UNSENT))
            .group_by(_OF.destination_id, _OF.bucket)
        )
        found: dict[str, dict[int, int]] = {}
        for destination_id, bucket, count in await self._database.read(
            lambda connection: connection.execute(statement).all()
        ):
            found.setdefault(destination_id, {})[bucket] = count
        return found

    async def slots(self, destination_id: str, step: Step, *, since: int, width: int) -> list[SlotCount]:
        """What was counted from `since` on by `step`, in slots of `width` seconds (a multiple of `step`)."""
        slot = (_OF.slot - _OF.slot % literal_column(str(width))).label("wide")
        statement = (
            select(slot, _OF.action, _OF.outcome, _OF.bucket, func.sum(_OF.count))
            .where(_OF.destination_id == destination_id, _OF.step == step, _OF.slot >= since)
            .group_by(slot, _OF.action, _OF.outcome, _OF.bucket)
        )
        return await self._database.read(lambda connection: [SlotCount(*row) for row in connection.execute(statement)])

    async def oldest(self, step: Step, *, before: int) -> dict[str, int]:
        """The first slot of every destination, deleted ones too, that has one before `before`."""
        first = (
            select(func.min(_OF.slot))
            .where(_OF.destination_id == destinations.c.id, _OF.step == step)
            .correlate(destinations)
            .scalar_subquery()
        )
        statement = select(destinations.c.id, first).where(first < before)
        return await self._database.read(lambda connection: {row[0]: row[1] for row in connection.execute(statement)})

    async def forget(self, destination_id: str, step: Step, *, before: int) -> None:
        """Delete the slots of one destination that begin before `before`."""
        statement = delete(attempt_counts).where(
            _OF.destination_id == destination_id, _OF.step == step, _OF.slot < before
        )
        await self._database.write(lambda connection: connection.execute(statement), long=True)

    async def dead(self, workspace_id: str) -> dict[str, int]:
        """How many dead letters every destination has; tests are none."""
        statement = (
            select(deliveries.c.destination_id, func.count())
            .where(deliveries.c.workspace_id == workspace_id, DEAD, deliveries.c.test.is_(False))
            .group_by(deliveries.c.destination_id)
        )
        return await self._database.read(lambda connection: {row[0]: row[1] for row in connection.execute(statement)})

    async def all_dead(self, workspace_id: str, *, most: int) -> int:
        """How many dead letters a workspace has, counted up to `most`."""
        some = (
            select(deliveries.c.id)
            .where(deliveries.c.workspace_id == workspace_id, DEAD, deliveries.c.test.is_(False))
            .limit(most)
            .subquery()
        )
        return await self._database.read(
            lambda connection: connection.execute(select(func.count()).select_from(some)).scalar_one()
        )


def _sum_of(action: str) -> ColumnElement[int]:
    return func.coalesce(func.sum(_OF.count).filter(_OF.action == action), 0)


def _attempts(destination_ids: Collection[str], since: int) -> list[ColumnElement[bool]]:
    return [
        _OF.destination_id.in_(destination_ids),
        _OF.step == HOUR,
        _OF.slot >= since,
        _OF.action != SUPPRESSED,
    ]


def _row(item: tuple[tuple[Step, CountKey], int]) -> dict[str, object]:
    (step, (destination_id, slot, action, outcome, bucket)), count = item
    return {
        "destination_id": destination_id,
        "step": step,
        "slot": slot,
        "action": action,
        "outcome": outcome,
        "bucket": bucket,
        "count": count,
    }
