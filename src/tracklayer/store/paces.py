"""What destinations may still be sent, kept where every process of a shared database spends from it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select, update

from tracklayer.delivery.limits import Limit, TokenBucket
from tracklayer.store.database import Database
from tracklayer.store.tables import paces

HOLD = "hold"  # the topic of announcements that a receiver asked everybody to wait
_OF = paces.c


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to send: a token for each of `times` (unix seconds, rising), or none before `again_at`."""

    times: list[float]
    again_at: float


class Paces:
    """The rate limits' state and the receivers' wishes to wait, a row for each destination."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insert(paces).on_conflict_do_nothing()

    async def grant(self, destination_id: str, limit: Limit, *, wanted: int, returned: int, now: float) -> Grant:
        """Spend up to `wanted` tokens, some of which come only within the next moments (`TokenBucket.grant`).

        `returned` tokens of an earlier grant were not used in time; they are there again. The row is locked while it
        is spent from, so what all processes together get is exact. Raises `Unavailable`.
        """
        row = select(_OF.tokens, _OF.refilled_at).where(_OF.destination_id == destination_id).with_for_update()

        def work(connection: Connection) -> Grant:
            found = connection.execute(row).first()
            if found is None:
                new = {"destination_id": destination_id, "tokens": limit.burst, "refilled_at": now, "hold_until": 0.0}
                connection.execute(self._insert.values(new))
                found = connection.execute(row).one()
            bucket = TokenBucket(limit, found.refilled_at, found.tokens)
            bucket.give_back(returned, now)
            times, again_at = bucket.grant(wanted, now)
            spent = {"tokens": bucket.tokens, "refilled_at": bucket.updated_at}
            connection.execute(update(paces).where(_OF.destination_id == destination_id).values(spent))
            return Grant(times=times, again_at=again_at)

        return await self._database.write(work)

    async def hold(self, destination_id: str, until: float, *, now: float) -> None:
        """Send nothing to a destination before `until`, in no process and not after a restart either."""
        new = {"destination_id": destination_id, "tokens": 0.0, "refilled_at": now, "hold_until": until}
        row = self._database.insert(paces).values(new)
        later = update(paces).where(_OF.destination_id == destination_id, _OF.hold_until < until)

        def work(connection: Connection) -> None:
            connection.execute(row.on_conflict_do_nothing())
            connection.execute(later.values(hold_until=until))
            self._database.announce(connection, HOLD, [f"{destination_id} {until}"])

        await self._database.write(work)

    async def end_hold(self, destination_id: str) -> None:
        """Let every process send again."""
        statement = update(paces).where(_OF.destination_id == destination_id).values(hold_until=0.0)

        def work(connection: Connection) -> None:
            connection.execute(statement)
            self._database.announce(connection, HOLD, [f"{destination_id} 0"])

        await self._database.write(work)

    async def holds(self, *, now: float) -> dict[str, float]:
        """Until when destinations are held that are held now."""
        statement = select(_OF.destination_id, _OF.hold_until).where(_OF.hold_until > now)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return {row.destination_id: row.hold_until for row in rows}
