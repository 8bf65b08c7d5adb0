"""What is remembered of one user at a time, for those who ask outside of the transaction that accepts events."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select

from tracklayer.model.event import Event
from tracklayer.model.profile import joined_consent, profile_keys
from tracklayer.store.database import Database
from tracklayer.store.group_commit import GroupCommit
from tracklayer.store.tables import profiles

LARGEST = 200  # users in one read

Remembered = dict[str, tuple[str, float]]
"""Category → "granted" or "denied", and when the user said so (unix seconds)."""

_decode = msgspec.json.Decoder(Remembered).decode
_Asked = tuple[str, tuple[str, ...]]  # workspace, keys


class Profiles:
    """Users' consent. Those who ask at the same time share a read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._select = database.statement(
            database.look_up(
                select(profiles.c.user_key, profiles.c.consent).where(
                    profiles.c.workspace_id == bindparam("in_workspace"), profiles.c.consent.is_not(None)
                ),
                profiles.c.user_key,
                "keys",
            )
        )
        self._reads: GroupCommit[_Asked, Remembered] = GroupCommit(self._read, largest=LARGEST)

    async def consent_now(self, workspace_id: str, event: Event) -> Remembered:
        """What is remembered by now of an event's user. Raises `Unavailable`."""
        return await self.consent_of(workspace_id, profile_keys(event.user_data))

    async def consent_of(self, workspace_id: str, profile_keys: Sequence[str]) -> Remembered:
        """What is remembered under the keys of one user, the surest first (`joined_consent`). Raises `Unavailable`."""
        return await self._reads.submit((workspace_id, tuple(profile_keys))) if profile_keys else {}

    async def _read(self, asked: list[_Asked]) -> list[Remembered]:
        wanted: dict[str, set[str]] = {}
        for workspace_id, keys in asked:
            wanted.setdefault(workspace_id, set()).update(keys)

        def work(connection: Connection) -> dict[tuple[str, str], Remembered]:
            return {
                (workspace_id, key): _decode(consent)
                for workspace_id, keys in wanted.items()
                for key, consent in self._select.all(
                    connection, {"in_workspace": workspace_id, "keys": self._database.many(keys)}
                )
            }

        known = await self._database.read(work)
        return [joined_consent([known.get((workspace_id, key), {}) for key in keys]) for workspace_id, keys in asked]
