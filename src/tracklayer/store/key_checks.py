"""What stays as it was the first time: that every process on one database seals with the same master key, and which
admin keys a setting has given.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from tracklayer.store.database import Database
from tracklayer.store.tables import key_checks


class KeyChecks:
    """Keeps something for each purpose: what came first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, purpose: str, sealed: bytes) -> bytes:
        """What was kept first for `purpose`: `sealed` itself where there was nothing."""
        adding = self._database.insert(key_checks).values(purpose=purpose, sealed=sealed).on_conflict_do_nothing()
        kept = select(key_checks.c.sealed).where(key_checks.c.purpose == purpose)

        def work(connection: Connection) -> bytes:
            connection.execute(adding)
            return bytes(connection.execute(kept).scalar_one())

        return await self._database.write(work)
