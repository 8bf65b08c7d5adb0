"""Sources: who may send what, each with its own key, which is shown once.

Of a write key only the SHA-256 is kept; a shared secret, with which the sender signs, is sealed by the vault.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_args

import msgspec

from tracklayer.decoding import decode_as
from tracklayer.delivery.sign import hint
from tracklayer.errors import Conflict, Invalid, NotFound, at
from tracklayer.identity import IdFactory
from tracklayer.model.event import Json, encode_json
from tracklayer.operate.agreeing import until_it_holds
from tracklayer.operate.audit import Audit
from tracklayer.operate.names import checked_name
from tracklayer.operate.source_counting import DAY, SourceCounting
from tracklayer.ports import Clock
from tracklayer.sources.segment import SegmentSettings
from tracklayer.sources.shopify import ShopifySettings
from tracklayer.store.sources import DayCount, SourceRecord, SourceStore, SourceType, Status
from tracklayer.vault import Vault

MOST = 200  # sources of a workspace
SECRET_LIMIT = 500  # characters
DAYS = 30  # of counts that are shown
WRITE_KEY, SHARED_SECRET = "tl_write_", "tl_secret_"  # how those begin that are made here

SourceSettings: TypeAlias = SegmentSettings | ShopifySettings

SETTINGS: Mapping[SourceType, type[SourceSettings]] = {
    "segment": SegmentSettings,
    "segment_webhook": SegmentSettings,
    "shopify": ShopifySettings,
}
STATUSES: tuple[Status, ...] = get_args(Status)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A source, ready to take in what it sends."""

    record: SourceRecord
    settings: SourceSettings
    secret: str | None  # with which its sender signs; None: it has a write key

    @property
    def id(self) -> str:
        """Its id, `src_…`."""
        return self.record.id


class Sources:
    """Every workspace's sources, at hand."""

    def __init__(
        self, store: SourceStore, counting: SourceCounting, vault: Vault, audit: Audit, clock: Clock, ids: IdFactory
    ) -> None:
        self._store = store
        self._counting = counting
        self._vault = vault
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._sources: dict[str, Source] = {}
        self._by_key: dict[str, Source] = {}
        self._loading = asyncio.Lock()  # or an older view of the store could replace a newer one

    async def load(self) -> None:
        """Read all of them."""
        async with self._loading:
            sources = [self._open(record) for record in await self._store.all()]
            self._sources = {source.id: source for source in sources}
            self._by_key = {source.record.key_hash: source for source in sources if source.record.key_hash}

    def by_key(self, key: str) -> Source | None:
        """The source of a write key: looked up by hash, so how long it takes says nothing of the keys there are."""
        return self._by_key.get(_digest(key))

    def by_id(self, source_id: str) -> Source | None:
        """A source, in whatever workspace."""
        return self._sources.get(source_id)

    def all(self, workspace_id: str) -> list[Source]:
        """A workspace's sources, oldest first."""
        return [source for source in self._sources.values() if source.record.workspace_id == workspace_id]

    def get(self, workspace_id: str, source_id: str) -> Source:
        """One source. Raises `NotFound`."""
        found = self._sources.get(source_id)
        if found is None or found.record.workspace_id != workspace_id:
            raise NotFound(f"there is no source {source_id!r} in this workspace")
        return found

    async def counts(self, sources: list[Source]) -> dict[str, dict[int, dict[Status, int]]]:
        """Source → day (since 1970, UTC) → status → how many, for the last 30 days; days without any are absent."""
        today = int(self._clock.now() // DAY)
        ids = [source.id for source in sources]
        kept = await self._store.counts(ids, since=today - DAYS + 1)
        found: dict[str, dict[int, dict[Status, int]]] = {source_id: {} for source_id in ids}
        fresh = [
            DayCount(source_id, day, status, self._counting.unwritten(source_id, day, status))
            for source_id in ids
            for day in (today - 1, today)
            for status in STATUSES
        ]
        for each in (*kept, *fresh):
            if each.count:
                of_day = found[each.source_id].setdefault(each.day, dict.fromkeys(STATUSES, 0))
                of_day[each.status] += each.count
        return found

    async def create(
        self,
        workspace_id: str,
        *,
        type: str,
        name: str,
        settings: dict[str, Json],
        author: str,
        source_id: str | None = None,
    ) -> tuple[Source, str | None]:
        """Make a source; answers it and its key or secret, this once (None where the caller brought the secret).

        A form brings the `source_id` that its page has drawn. Raises `Conflict` where it was sent already.
        """
        kind = _checked_type(type)
        if len(self.all(workspace_id)) >= MOST:
            raise Conflict(f"this workspace has {MOST} sources, which is the most", code="too_many_sources")
        given = _secret(settings) if "secret" in settings else None
        if given is not None and kind == "segment":
            raise Invalid(
                "a segment source has a write key, made here: settings.secret is for signed webhooks",
                code="unknown_field",
                pointer="/settings/secret",
            )
        source_id = source_id or self._ids.new("src")
        key = given or _new_key(kind)
        now = self._clock.now()
        record = SourceRecord(
            id=source_id,
            workspace_id=workspace_id,
            type=kind,
            name=checked_name(name),
            enabled=True,
            settings=_checked_settings(kind, settings),
            created_at=now,
            updated_at=now,
            **self._kept(kind, source_id, key),
        )
        if not await self._store.add(record):
            said = "this form was sent already, and made its source: no other one was made"
            raise Conflict(said, code="made_already")
        await self.load()
        detail: dict[str, Json] = {"name": record.name, "type": kind}
        await self._audit.record(workspace_id, actor=author, action="source.created", target=record.id, detail=detail)
        return self._open(record), None if given else key

    async def change(
        self,
        workspace_id: str,
        source_id: str,
        *,
        name: str | None = None,
        enabled: bool | None = None,
        settings: dict[str, Json] | None = None,
        author: str,
    ) -> Source:
        """Change what is given. `settings` are replaced as a whole; a secret is changed by `rotate`."""
        given: dict[str, Any] = {}
        if name is not None:
            given["name"] = checked_name(name)
        if enabled is not None:
            given["enabled"] = enabled
        if settings is not None:
            if "secret" in settings:
                raise Invalid(
                    "the secret is changed by POST …/rotate-key", code="unknown_field", pointer="/settings/secret"
                )
            given["settings"] = _checked_settings(self.get(workspace_id, source_id).record.type, settings)

        def make(record: SourceRecord) -> dict[str, Any]:
            return {field: value for field, value in given.items() if value != getattr(record, field)}

        before, after, changed = await self._change(workspace_id, source_id, make)
        if changed:
            action = "source.changed"
            if changed.keys() == {"enabled"}:
                action = "source.enabled" if enabled else "source.disabled"
            detail: dict[str, Json] = {"name": before.name, "fields": sorted(changed)}
            await self._audit.record(workspace_id, actor=author, action=action, target=source_id, detail=detail)
        return after

    async def rotate(
        self, workspace_id: str, source_id: str, *, secret: str | None = None, seen: str | None = None, author: str
    ) -> tuple[Source, str | None]:
        """Replace the key or secret at once; answers it as `create` does. `secret` is what the sender signs with.

        `seen` is the hint of the one that the caller means to replace: `Conflict` where another one holds by now.
        """
        key = ""

        def make(record: SourceRecord) -> dict[str, Any]:
            nonlocal key
            if seen is not None and seen != record.hint:
                raise Conflict("it was replaced meanwhile, and so was not replaced again", code="secret_changed")
            if secret is not None and record.type == "segment":
                raise Invalid("a segment source has a write key, made here", code="unknown_field", pointer="/secret")
            if secret is not None:
                _check_secret(secret, "/secret")
            key = secret or _new_key(record.type)
            return self._kept(record.type, source_id, key)

        before, after, _ = await self._change(workspace_id, source_id, make)
        detail: dict[str, Json] = {"name": before.name}
        await self._audit.record(
            workspace_id, actor=author, action="source.key_rotated", target=source_id, detail=detail
        )
        return after, None if secret else key

    async def remove(self, workspace_id: str, source_id: str, *, author: str) -> None:
        """Forget a source at once; the events that it sent stay, and what was rejected."""
        record = self.get(workspace_id, source_id).record
        await self._store.remove(source_id)
        await self.load()
        self._counting.forget(source_id)
        detail: dict[str, Json] = {"name": record.name, "type": record.type}
        await self._audit.record(workspace_id, actor=author, action="source.removed", target=source_id, detail=detail)

    async def _change(
        self, workspace_id: str, source_id: str, make: Callable[[SourceRecord], dict[str, Any]]
    ) -> tuple[SourceRecord, Source, dict[str, Any]]:
        """Write the fields that `make` makes of a source, if any; answers what it was, what it is, and the fields.

        Where somebody else changes it meanwhile, they are made anew of what that one has made: neither change is lost.
        """

        async def tried() -> tuple[SourceRecord, Source, dict[str, Any]] | None:
            before = self.get(workspace_id, source_id)
            fields = make(before.record)
            if not fields:
                return before.record, before, fields
            after = msgspec.structs.replace(before.record, **fields, updated_at=self._clock.now())
            holds = await self._store.update(before.record, after)
            await self.load()
            return (before.record, self._open(after), fields) if holds else None

        return await until_it_holds(tried, f"source {source_id}")

    def _open(self, record: SourceRecord) -> Source:
        sealed = record.sealed
        return Source(
            record=record,
            settings=msgspec.convert(record.settings, SETTINGS[record.type]),
            secret=None if sealed is None else self._vault.open(sealed, purpose=_purpose(record.id)),
        )

    def _kept(self, kind: SourceType, source_id: str, key: str) -> dict[str, Any]:
        """How a key is kept."""
        if kind == "segment":
            return {"key_hash": _digest(key), "sealed": None, "hint": hint(key)}
        return {"key_hash": None, "sealed": self._vault.seal(key, purpose=_purpose(source_id)), "hint": hint(key)}


def _checked_type(kind: str) -> SourceType:
    for known in SETTINGS:
        if kind == known:
            return known
    raise Invalid(
        f"{kind[:80]!r} is no type of source: expected one of {', '.join(SETTINGS)}",
        code="unknown_type",
        pointer="/type",
    )


def _checked_settings(kind: SourceType, given: dict[str, Json]) -> dict[str, Json]:
    """The settings without the secret, as far as they say anything. Raises `Invalid`."""
    plain = {name: value for name, value in given.items() if name != "secret"}
    with at("settings"):
        decode_as(encode_json(plain), SETTINGS[kind]).check()
    return {name: value for name, value in plain.items() if value is not None}


def _secret(settings: dict[str, Json]) -> str:
    secret = settings["secret"]
    if not isinstance(secret, str):
        raise Invalid("the secret is no text", code="invalid_secret", pointer="/settings/secret")
    _check_secret(secret, "/settings/secret")
    return secret


def _check_secret(secret: str, pointer: str) -> None:
    if not 8 <= len(secret) <= SECRET_LIMIT or not secret.isprintable():
        raise Invalid(f"a secret has 8 to {SECRET_LIMIT} printable characters", code="invalid_secret", pointer=pointer)


def _new_key(kind: SourceType) -> str:
    return (WRITE_KEY if kind == "segment" else SHARED_SECRET) + os.urandom(20).hex()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _purpose(source_id: str) -> str:
    return f"shared secret of {source_id}"
