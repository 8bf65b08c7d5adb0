"""The live tail: whoever watches a workspace is told when one of its deliveries changes. Nothing of it is stored."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Acceptance, NewDelivery, Settlement, Work

MOST_WATCHERS = 100
MOST_NOTES = 1_000  # that wait for one watcher


class Note(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One delivery has changed; the change is durable."""

    workspace_id: str
    delivery_id: str
    destination_id: str
    event_name: str
    event_id: str
    state: DeliveryState
    attempts: int
    code: int | None  # the answer's status
    cause: str | None  # of the last attempt's failure, see `Attempt.cause`
    test: bool
    at: float  # unix seconds


class Missed(msgspec.Struct, frozen=True, gc=False):
    """So many notes came faster than the watcher took them, and are gone."""

    count: int


class Watcher:
    """One who watches a workspace: an iterator over its notes, which ends when the tail is closed."""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
        self._notes: deque[Note] = deque()
        self._missed = 0
        self._ended = False
        self._something = asyncio.Event()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> Note | Missed:
        """The next note, in order. What was missed came after the notes that wait. Cancelling loses nothing."""
        await self._something.wait()
        if self._notes:
            found: Note | Missed = self._notes.popleft()
        elif self._missed:
            found, self._missed = Missed(self._missed), 0
        else:
            raise StopAsyncIteration
        if not (self._notes or self._missed or self._ended):
            self._something.clear()
        return found

    def tell(self, note: Note) -> None:
        """Add a note, or count it as missed: from the first one that finds no room until all that wait are taken."""
        if self._missed or len(self._notes) >= MOST_NOTES:
            self._missed += 1
        else:
            self._notes.append(note)
        self._something.set()

    def end(self) -> None:
        """No more notes: the iterator gives what waits, and ends."""
        self._ended = True
        self._something.set()


class Tail:
    """Carries notes from the flow to those who watch. Costs one look at `watched` where nobody does."""

    def __init__(self) -> None:
        self.watched = False
        self._watchers: set[Watcher] = set()
        self._elsewhere = False  # somebody watches in another process
        self._closed = False
        self.on_watch: Callable[[], None] = lambda: None  # somebody begins to watch here
        self.on_note: Callable[[Note], None] = lambda _: None  # something happened in this process

    @asynccontextmanager
    async def watch(self, workspace_id: str) -> AsyncIterator[Watcher]:
        """Watch a workspace from now on. Raises `Unavailable` where too many do, or the service stops."""
        if self._closed:
            raise Unavailable("the service stops", code="stopping")
        if len(self._watchers) >= MOST_WATCHERS:
            raise Unavailable(f"{MOST_WATCHERS} watch already, which is the limit", code="too_many_watchers")
        watcher = Watcher(workspace_id)
        self._watchers.add(watcher)
        self.watched = True
        self.on_watch()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self.watched = bool(self._watchers) or self._elsewhere

    def workspaces(self) -> set[str]:
        """Those that are watched here."""
        return {watcher.workspace_id for watcher in self._watchers}

    def wanted_elsewhere(self, workspaces: set[str]) -> None:
        """The workspaces that are watched in other processes."""
        self._elsewhere = bool(workspaces)
        self.watched = bool(self._watchers) or self._elsewhere

    def tell(self, note: Note) -> None:
        """Tell those who watch here."""
        for watcher in self._watchers:
            if watcher.workspace_id == note.workspace_id:
                watcher.tell(note)

    def settled(self, workspace_id: str, work: Work, settlement: Settlement) -> None:
        """An attempt has ended, or a rule has stopped the delivery."""
        self._publish(
            Note(
                workspace_id=workspace_id,
                delivery_id=work.delivery_id,
                destination_id=work.destination_id,
                event_name=work.event.event_name,
                event_id=work.event.event_id,
                state=settlement.state,
                attempts=settlement.attempts,
                code=settlement.attempt.status_code if settlement.attempt else None,
                cause=settlement.attempt.cause if settlement.attempt else None,
                test=work.test,
                at=settlement.now,
            )
        )

    def accepted(self, item: Acceptance, delivery: NewDelivery) -> None:
        """A delivery has been stored with its event."""
        self._publish(
            Note(
                workspace_id=item.workspace_id,
                delivery_id=delivery.id,
                destination_id=delivery.destination_id,
                event_name=item.event.event_name,
                event_id=item.event.event_id,
                state=delivery.state,
                attempts=0,
                code=None,
                cause=None,
                test=item.test,
                at=item.received_at,
            )
        )

    def close(self) -> None:
        """End every watcher, so that nobody waits for them."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    def _publish(self, note: Note) -> None:
        self.tell(note)
        self.on_note(note)
