"""Finding events by what people know of them: an id, a user, a name, or a text that may be any of these."""

from __future__ import annotations

from typing import Literal

import msgspec

from tracklayer.store.history import StoredEvent
from tracklayer.store.search import EventFilter, EventSearch

Match = Literal["id", "user", "name"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events, newest first; it may be short or empty while others follow."""

    events: list[StoredEvent]
    next: str | None  # what the next page takes as `before`; None: there is none
    matched: Match | None  # what the text was taken for; None: there was no text


class Search:
    """Events by id, user, name and time."""

    def __init__(self, events: EventSearch) -> None:
        self._events = events

    async def events(
        self,
        workspace_id: str,
        *,
        text: str | None = None,
        event_name: str | None = None,
        user: str | None = None,
        since: float | None = None,
        until: float | None = None,
        test: bool | None = None,
        limit: int,
        before: str | None = None,
    ) -> Found:
        """A page of events that meet all that is given.

        `text` is an event's id where one has it, else a user (external_id, anonymous_id, e-mail, phone) where an event
        is of one, else a name; whole and exact in each case, but for the case of an e-mail address. As a user or a name
        it stands in the place of `user` or `event_name`.
        """
        text = (text or "").strip()
        matched = await self._match(workspace_id, text) if text else None
        wanted = EventFilter(
            event_id=text if matched == "id" else None,
            event_name=text if matched == "name" else event_name,
            user=text if matched == "user" else user,
            since=since,
            until=until,
            test=test,
        )
        page = await self._events.page(workspace_id, wanted, limit=limit, before=before)
        return Found(events=page.events, next=page.next, matched=matched)

    async def _match(self, workspace_id: str, text: str) -> Match:
        if await self._events.knows_id(workspace_id, text):
            return "id"
        return "user" if await self._events.knows_user(workspace_id, text) else "name"
