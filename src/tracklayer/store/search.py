"""Finding events: by id, by user, by name; newest first, and each page a bounded piece of work."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select

from tracklayer.identity import first_id
from tracklayer.model.event import Event
from tracklayer.store.database import Database
from tracklayer.store.history import LAG, StoredEvent, read_event
from tracklayer.store.tables import event_keys, event_users, events

# What an event is found by: of each pair of fields of user_data the first that it has. Every key more costs an accept
# as much again as the event itself, for it dirties a page of its own.
USER_FIELDS = (("external_id", "anonymous_id"), ("email", "phone"))
LONGEST_USER = 320  # characters, as many as an e-mail address has (RFC 3696, erratum 1690)
LOOKED_AT = 2000  # events that one page looks at, at the most


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; None is any. `since` and `until` bound `received_at`, `until` not included."""

    event_id: str | None = None  # the newest of that id
    event_name: str | None = None
    user: str | None = None  # one of `USER_FIELDS`
    since: float | None = None
    until: float | None = None
    test: bool | None = None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, newest first. A page may have fewer than its limit, or none, and others after it all the same."""

    events: list[StoredEvent]
    next: str | None  # the key that the next page comes before; None: there is none


class EventSearch:
    """Looks events up in the indexes that accept writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace_id: str, wanted: EventFilter, *, limit: int, before: str | None = None) -> EventPage:
        """A page of the events that `wanted` selects, at most `limit` of them."""
        rest = _rest(wanted)
        looked_at = LOOKED_AT if rest else limit + 1
        keys = _keys(workspace_id, wanted, before)
        statement = (
            select(events)
            .where(events.c.workspace_id == workspace_id, events.c.pk.in_(keys.limit(looked_at)), *rest)
            .order_by(events.c.pk.desc())
            .limit(limit + 1)
        )

        def work(connection: Connection) -> EventPage:
            found = [read_event(row) for row in connection.execute(statement)]
            if len(found) > limit:
                return EventPage(events=found[:limit], next=found[limit - 1].pk)
            return EventPage(events=found, next=connection.execute(keys.offset(looked_at - 1).limit(1)).scalar())

        return await self._database.read(work)

    async def knows_id(self, workspace_id: str, event_id: str) -> bool:
        """Whether an event of that id was ever accepted."""
        return await self._has_any(_keys(workspace_id, EventFilter(event_id=event_id), None))

    async def knows_user(self, workspace_id: str, user: str) -> bool:
        """Whether any event is of that user."""
        return await self._has_any(_keys(workspace_id, EventFilter(user=user), None))

    async def _has_any(self, keys: Select[Any]) -> bool:
        return await self._database.read(lambda connection: connection.execute(keys.limit(1)).first() is not None)


def user_key(text: str) -> str:
    """What the index holds for one of `USER_FIELDS`: an e-mail address in lower case, anything else as it is."""
    text = text.strip()
    return text.lower() if "@" in text else text


def user_keys(event: Event) -> set[str]:
    """The texts by which the user of an event is found: at most two."""
    found = set()
    for fields in USER_FIELDS:
        for field in fields:
            value = event.user_data.get(field)
            if type(value) is str and 0 < len(key := user_key(value)) <= LONGEST_USER:
                found.add(key)
                break
    return found


def _keys(workspace_id: str, wanted: EventFilter, before: str | None) -> Select[Any]:
    """The keys of events, newest first, out of the index that narrows most."""
    if wanted.event_id is not None:
        table, pk = event_keys, event_keys.c.event_pk
        conditions = [event_keys.c.event_id == wanted.event_id]
    elif wanted.user is not None:
        table, pk = event_users, event_users.c.event_pk
        conditions = [event_users.c.user_key == user_key(wanted.user)]
    else:
        table, pk = events, events.c.pk
        conditions = [] if wanted.event_name is None else [events.c.event_name == wanted.event_name]
    if before is not None:
        conditions.append(pk < before)
    if wanted.since is not None:
        conditions.append(pk >= first_id("evt", wanted.since - LAG))
    if wanted.until is not None:
        conditions.append(pk < first_id("evt", wanted.until + LAG))
    return select(pk).where(table.c.workspace_id == workspace_id, *conditions).order_by(pk.desc())


def _rest(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What `_keys` leaves to be looked at in the events themselves."""
    conditions: list[ColumnElement[bool]] = []
    by_name = wanted.event_id is None and wanted.user is None
    if wanted.event_name is not None and not by_name:
        conditions.append(events.c.event_name == wanted.event_name)
    if wanted.user is not None and wanted.event_id is not None:
        of_user = select(event_users.c.event_pk).where(
            event_users.c.workspace_id == events.c.workspace_id, event_users.c.user_key == user_key(wanted.user)
        )
        conditions.append(of_user.where(event_users.c.event_pk == events.c.pk).exists())
    if wanted.since is not None:
        conditions.append(events.c.received_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(events.c.received_at < wanted.until)
    if wanted.test is not None:
        conditions.append(events.c.test.is_(wanted.test))
    return conditions
