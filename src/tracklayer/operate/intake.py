"""From what a source sent to durable events: map → normalize → accept. What makes no event is kept as rejected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec

from tracklayer.catalog import Catalog
from tracklayer.errors import TooLarge, TrackLayerError
from tracklayer.flow.ingest import Ingest
from tracklayer.identity import IdFactory
from tracklayer.metrics import Metrics
from tracklayer.model.event import Event, Json, encode_json, event_to_json
from tracklayer.operate.source_counting import SourceCounting
from tracklayer.operate.sources import Source, SourceSettings
from tracklayer.pipeline.normalize import normalize
from tracklayer.sources import segment_webhook, shopify
from tracklayer.sources.body import Unreadable
from tracklayer.sources.native import InputLimits
from tracklayer.sources.segment import SegmentSettings, map_call
from tracklayer.sources.shopify import ShopifySettings
from tracklayer.store.rejected import RejectedRecord, RejectedStore
from tracklayer.store.sources import SourceStore, SourceType

KEPT_AT_ONCE = 16 * 1024 * 1024  # bytes of rejected payloads of one request: the context around a batch is in each call

Kind: TypeAlias = SourceType | Literal["native"]


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a mapping needs beside the payload, and what became of it; kept with a rejected one."""

    type: Kind
    topic: str | None = None  # Shopify's, as the next two
    shop: str | None = None
    triggered_at: str | None = None
    withheld: str | None = None  # why the payload is not kept whole, and so cannot be taken in again


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A payload that makes no event, and why."""

    payload: bytes
    code: str
    detail: str
    pointer: str | None  # into the payload, or into the event that it would have made


def refused(payload: bytes, error: TrackLayerError, *, below: str = "") -> Refused:
    """`payload` refused for `error`, whose pointer starts with `below`: the payload's place in what came."""
    pointer = None if error.pointer is None else error.pointer.removeprefix(below)
    return Refused(payload=payload, code=error.code, detail=error.detail, pointer=pointer)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what came together."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


NATIVE = About(type="native")


def to_fields(payload: Json, about: About, settings: SourceSettings | None) -> Json:
    """What one payload says, as fields of the native API. Raises `Invalid`, or `Malformed` for an `Unreadable`."""
    if isinstance(payload, Unreadable):
        raise payload.error
    if about.type == "shopify":
        delivery = shopify.Delivery(about.topic or "", about.shop or "", about.triggered_at)
        shop = settings if isinstance(settings, ShopifySettings) else ShopifySettings()
        return shopify.map_webhook(payload, delivery, shop)
    if about.type == "native":
        return payload
    plain = settings if isinstance(settings, SegmentSettings) else SegmentSettings()
    return (map_call if about.type == "segment" else segment_webhook.map_webhook)(payload, plain)


def encoded(payload: Json) -> bytes:
    """A payload as it is kept: compact; nothing where it is nested as deep as it could just be read."""
    if isinstance(payload, Unreadable):
        return payload.raw
    try:
        return encode_json(payload)
    except RecursionError:
        return b""


class Intake:
    """Takes in what sources send."""

    def __init__(
        self,
        catalog: Catalog,
        ingest: Ingest,
        store: SourceStore,
        rejected: RejectedStore,
        counting: SourceCounting,
        metrics: Metrics,
        ids: IdFactory,
        limits: InputLimits,
    ) -> None:
        self._catalog = catalog
        self._ingest = ingest
        self._store = store
        self._rejected = rejected
        self._counting = counting
        self._metrics = metrics
        self._ids = ids
        self._limits = limits

    async def take(self, source: Source, about: About, payloads: Sequence[Json], *, now: float, size: int) -> Taken:
        """Store events of `payloads`, which came at `now` in a body of `size` bytes; a bad one spoils no good one.

        Answers once all is durable, what was rejected included. Raises `Unavailable`: then the sender may send it all
        again.
        """
        workspace_id = source.record.workspace_id
        events: list[Event] = []
        bad: list[Refused] = []
        room = KEPT_AT_ONCE
        for payload in payloads:
            try:
                fields = to_fields(payload, about, source.settings)
                events.append(self.event(workspace_id, fields, now=now, new_id=self._ids.event_uuid, size=size))
            except TrackLayerError as error:
                kept = encoded(payload) if room > 0 else b""
                room -= len(kept)
                bad.append(refused(kept, error))
        answers = await self._ingest.accept(workspace_id, events, now=now, size=size) if events else []
        await self.keep(workspace_id, source.id, about, bad, now=now)
        duplicates = sum(answer.duplicate for answer in answers)
        taken = Taken(accepted=len(answers) - duplicates, duplicates=duplicates, rejected=len(bad))
        self._counting.count(source.id, "accepted", taken.accepted, now)
        self._counting.count(source.id, "duplicate", taken.duplicates, now)
        return taken

    async def keep(
        self, workspace_id: str, source_id: str | None, about: About, bad: Sequence[Refused], *, now: float
    ) -> None:
        """Store what made no event; `source_id` None: it came by the native API. Raises `Unavailable`."""
        if not bad:
            return
        drop_pii = self._catalog.tenant(workspace_id).rules.drop_pii
        records = [self._record(workspace_id, source_id, about, each, now, drop_pii=drop_pii) for each in bad]
        await self._rejected.add(workspace_id, records)
        self._metrics.events["rejected"] += len(bad)
        if source_id is not None:
            self._counting.count(source_id, "rejected", len(bad), now)

    async def came(self, source: Source, webhook_id: str, *, now: float) -> bool:
        """Whether a webhook of that id was taken in already; then it is counted as a duplicate."""
        if not await self._store.came(source.id, webhook_id):
            return False
        self._counting.count(source.id, "duplicate", 1, now)
        return True

    async def note_webhook(self, source: Source, webhook_id: str, *, now: float) -> None:
        """Remember that a webhook was taken in: after it is durable, so that a crash in between loses nothing."""
        await self._store.note_webhook(source.id, webhook_id, now)

    def event(self, workspace_id: str, fields: Json, *, now: float, new_id: Callable[[], str], size: int) -> Event:
        """The canonical event by the workspace's rules, for `Ingest.accept`; what it is made of has at most `size`
        bytes. The limit is the event's, not that of what a source writes around it. Raises `Invalid` and `TooLarge`.
        """
        rules = self._catalog.tenant(workspace_id).rules.before_enriching
        event = normalize(fields, now=now, new_id=new_id, rules=rules)
        most = self._limits.event_bytes
        if size > most and (long := len(event_to_json(event))) > most:
            raise TooLarge(f"the event would have {long} bytes: expected at most {most}", pointer="")
        return event

    def _record(
        self, workspace_id: str, source_id: str | None, about: About, bad: Refused, now: float, *, drop_pii: bool
    ) -> RejectedRecord:
        payload, withheld = bad.payload, None
        if drop_pii:
            payload, withheld = b"", "the workspace's rule drop_pii lets nothing personal be stored"
        elif not payload:
            withheld = f"it is nested too deeply to be kept, or more than {KEPT_AT_ONCE} bytes came with it in vain"
        kept: dict[str, Json] = msgspec.to_builtins(msgspec.structs.replace(about, withheld=withheld))
        return RejectedRecord(
            id=self._ids.new("rej"),
            workspace_id=workspace_id,
            source_id=source_id,
            received_at=now,
            code=bad.code,
            detail=_valueless(bad.detail) if drop_pii else bad.detail,
            pointer=bad.pointer,
            about=kept,
            payload=payload,
        )


def _valueless(detail: str) -> str:
    """What a reason says was expected, without what was sent instead: that may be personal."""
    expected = detail.rpartition(": expected ")[2] if ": expected " in detail else ""
    return f"the value is not shown{expected and f': expected {expected}'} (drop_pii)"
