"""Which event ids a workspace has accepted: the dedup window, exact however many processes accept at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection, Double, bindparam, select

from tracklayer.model.work import Acceptance, Candidate
from tracklayer.store.database import Database
from tracklayer.store.tables import event_keys

Incoming = TypeVar("Incoming", Candidate, Acceptance)
Key: TypeAlias = tuple[str, str]
"""workspace id, event_id"""


class EventKeys:
    """The newest event of every id.

    Where this process alone writes, ids are looked up first and written with their events. Where others write too, a
    look says nothing of what they are about to commit, so ids are taken by writing them: who comes second waits for
    the first one's commit, in the index, and finds the id taken.
    """

    def __init__(self, database: Database, *, window: float) -> None:
        """`window` is how long an id counts as the same event, in seconds."""
        self._database = database
        self._window = window
        row = database.insert(event_keys)
        self._upsert = database.statement(
            row.on_conflict_do_update(
                index_elements=["workspace_id", "event_id"],
                set_={"event_pk": row.excluded.event_pk, "accepted_at": row.excluded.accepted_at},
                where=row.excluded.accepted_at >= event_keys.c.accepted_at,  # a test never hides a live event
            )
        )
        self._select = database.statement(
            database.look_up(
                select(event_keys.c.event_id, event_keys.c.accepted_at).where(
                    event_keys.c.workspace_id == bindparam("in_workspace"),
                    event_keys.c.accepted_at > bindparam("since"),
                ),
                event_keys.c.event_id,
                "ids",
            )
        )
        if database.shared:
            of = database.row_of(**{column.name: column.type for column in event_keys.c})
            # In order, or two would wait for each other.
            ordered = select(*of.values()).order_by(of["workspace_id"], of["event_id"])
            taking = database.insert(event_keys).from_select(list(of), ordered)
            self._take = database.statement(
                taking.on_conflict_do_update(
                    index_elements=["workspace_id", "event_id"],
                    set_={"event_pk": taking.excluded.event_pk, "accepted_at": taking.excluded.accepted_at},
                    where=event_keys.c.accepted_at <= taking.excluded.accepted_at - bindparam("window", type_=Double),
                ).returning(event_keys.c.event_pk)
            )

    def look(self, connection: Connection, items: Sequence[Incoming]) -> tuple[dict[Key, float], set[str]]:
        """(workspace, event_id) → accepted_at, of those of `items` that came within the dedup window before; and the
        keys of the events whose ids are taken by this already, which is done where the database is shared.
        """
        wanted = {(item.workspace_id, item.event.event_id): item for item in reversed(items) if not item.test}
        taken = self._taken(connection, wanted) if self._database.shared and wanted else set()
        return self._found(connection, items, [key for key, item in wanted.items() if item.pk not in taken]), taken

    def write(self, connection: Connection, items: Iterable[Acceptance]) -> None:
        """Write the ids of new events."""
        self._upsert.run(connection, map(_row, items))

    def _taken(self, connection: Connection, wanted: dict[Key, Incoming]) -> set[str]:
        parameters = {
            "workspace_id": [workspace_id for workspace_id, _ in wanted],
            "event_id": [event_id for _, event_id in wanted],
            "event_pk": [item.pk for item in wanted.values()],
            "accepted_at": [item.received_at for item in wanted.values()],
            "window": self._window,
        }
        return {pk for (pk,) in self._take.all(connection, parameters)}

    def _found(self, connection: Connection, items: Sequence[Incoming], wanted: Iterable[Key]) -> dict[Key, float]:
        ids: dict[str, list[str]] = {}
        for workspace_id, event_id in wanted:
            ids.setdefault(workspace_id, []).append(event_id)
        since = min(item.received_at for item in items) - self._window
        found: dict[Key, float] = {}
        for workspace_id, event_ids in ids.items():
            parameters = {"in_workspace": workspace_id, "ids": self._database.many(event_ids), "since": since}
            for event_id, accepted_at in self._select.all(connection, parameters):
                found[workspace_id, event_id] = accepted_at
        return found


def _row(item: Acceptance) -> dict[str, object]:
    return {
        "workspace_id": item.workspace_id,
        "event_id": item.event.event_id,
        "event_pk": item.pk,
        "accepted_at": 0.0 if item.test else item.received_at,  # older than any window: no live event is its duplicate
    }
