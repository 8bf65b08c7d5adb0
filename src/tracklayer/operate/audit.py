"""Who changed what: every verb that changes something leaves an entry here, once the change is made."""

from __future__ import annotations

from tracklayer.identity import IdFactory
from tracklayer.model.event import Json
from tracklayer.model.records import AuditEntry
from tracklayer.ports import Clock
from tracklayer.store import AuditStore

SYSTEM = "TrackLayer"  # the author of what it does of itself, such as making the first admin key
COMMAND_LINE = "command line"  # the author of what is written to the database without a server


class Audit:
    """The trail. Its details name fields, ids, counts and reasons, and never hold the value of a secret."""

    def __init__(self, store: AuditStore, clock: Clock, ids: IdFactory) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def record(
        self, workspace_id: str, *, actor: str, action: str, target: str, detail: dict[str, Json] | None = None
    ) -> None:
        """Add an entry: `actor` is a person's e-mail or an API key's name, `action` a kind and a verb, with a dot.

        It comes after the change, in a transaction of its own: where it raises `Unavailable`, the change stands.
        """
        entry = AuditEntry(
            id=self._ids.new("aud"),
            workspace_id=workspace_id,
            at=self._clock.now(),
            actor=actor,
            action=action,
            target=target,
            detail=detail or {},
        )
        await self._store.add(entry)

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
        return await self._store.page(
            workspace_id, limit=limit, before=before, actor=actor, action=action, target=target
        )
