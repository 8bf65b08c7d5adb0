"""What was sent in vain: looked at, taken in again after a fix, or let go."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import msgspec

from tracklayer.errors import Conflict, NotFound, TrackLayerError
from tracklayer.flow.ingest import Ingest
from tracklayer.model.event import Event, Json
from tracklayer.model.moment import rfc3339
from tracklayer.operate.audit import Audit
from tracklayer.operate.intake import About, Intake, to_fields
from tracklayer.operate.source_counting import SourceCounting
from tracklayer.operate.sources import Sources
from tracklayer.ports import Clock
from tracklayer.sources.body import read_json
from tracklayer.store import History
from tracklayer.store.rejected import RejectedRecord, RejectedStore


class Reingested(msgspec.Struct, frozen=True, kw_only=True):
    """What came of taking a payload in again."""

    event_id: str
    duplicate: bool  # an event of that id was there already


class RejectedPayloads:
    """The rejected payloads of every workspace."""

    def __init__(
        self,
        store: RejectedStore,
        sources: Sources,
        intake: Intake,
        ingest: Ingest,
        history: History,
        counting: SourceCounting,
        audit: Audit,
        clock: Clock,
        *,
        dedup_window: float,
    ) -> None:
        self._store = store
        self._sources = sources
        self._intake = intake
        self._ingest = ingest
        self._history = history
        self._counting = counting
        self._audit = audit
        self._clock = clock
        self._dedup_window = dedup_window
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def page(
        self, workspace_id: str, *, limit: int, before: str | None = None, source_id: str | None = None
    ) -> list[RejectedRecord]:
        """A page without the payloads, newest first."""
        return await self._store.page(workspace_id, limit=limit, before=before, source_id=source_id)

    async def get(self, workspace_id: str, rejected_id: str) -> RejectedRecord:
        """One of them. Raises `NotFound`."""
        found = await self._store.one(workspace_id, rejected_id)
        if found is None:
            raise NotFound(f"there is no rejected payload {rejected_id!r} in this workspace")
        return found

    async def reingest(self, workspace_id: str, rejected_id: str, *, author: str) -> Reingested:
        """Take a payload in by today's mapping and rules; once it is an event, it is rejected no more.

        It becomes an event once, however often this is called: a payload without an id of its own has that of its
        rejection. Raises `NotFound`, `Conflict` where it is not kept whole, and what is still wrong with it, which
        replaces the reason.
        """
        lock = self._busy.setdefault(rejected_id, asyncio.Lock())
        async with lock:
            record = await self.get(workspace_id, rejected_id)
            about = msgspec.convert(record.about, About)
            if about.withheld is not None:
                raise Conflict(f"this payload cannot be taken in again: {about.withheld}", code="not_kept_whole")
            try:
                event = self._event(record, about)
            except TrackLayerError as error:
                await self._store.explain_again(
                    msgspec.structs.replace(record, code=error.code, detail=error.detail, pointer=error.pointer)
                )
                raise
            answer = await self._take(record, event)
            await self._store.remove(workspace_id, rejected_id)
        detail: dict[str, Json] = {"event_id": answer.event_id, "duplicate": answer.duplicate}
        await self._audit.record(
            workspace_id, actor=author, action="rejected.reingested", target=rejected_id, detail=detail
        )
        return answer

    async def discard(self, workspace_id: str, rejected_id: str, *, author: str) -> None:
        """Let one go. Raises `NotFound`."""
        record = await self.get(workspace_id, rejected_id)
        await self._store.remove(workspace_id, rejected_id)
        detail: dict[str, Json] = {"code": record.code, "source_id": record.source_id}
        await self._audit.record(
            workspace_id, actor=author, action="rejected.discarded", target=rejected_id, detail=detail
        )

    def _event(self, record: RejectedRecord, about: About) -> Event:
        """The event as it would have been: by when it came, not by now, the sender's clock is put right."""
        source = self._sources.by_id(record.source_id) if record.source_id else None
        fields = to_fields(read_json(record.payload), about, source.settings if source else None)
        return self._intake.event(
            record.workspace_id,
            fields,
            now=record.received_at,
            new_id=lambda: f"rejected:{record.id}",
            size=len(record.payload),
        )

    async def _take(self, record: RejectedRecord, event: Event) -> Reingested:
        known = await self._history.event(record.workspace_id, event.event_id)
        if known is not None and not known.test and known.received_at > record.received_at - self._dedup_window:
            return Reingested(event_id=event.event_id, duplicate=True)
        now = self._clock.now()
        again = msgspec.structs.replace(event, received_at=rfc3339(now))
        (answer,) = await self._ingest.accept(record.workspace_id, [again], now=now)
        if record.source_id is not None and self._sources.by_id(record.source_id) is not None:
            self._counting.count(record.source_id, "duplicate" if answer.duplicate else "accepted", 1, now)
        return Reingested(event_id=event.event_id, duplicate=answer.duplicate)
