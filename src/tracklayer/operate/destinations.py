"""Saving destinations: every save makes a version; pausing, rotating, suppressing and deleting do not."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from tracklayer.catalog import Catalog, Destination, Plan, signing_purpose
from tracklayer.delivery.sign import check_secret, generate_secret, hint
from tracklayer.errors import Conflict, Invalid, NotFound, PreconditionFailed, at
from tracklayer.flow.engine import Engine
from tracklayer.identity import IdFactory
from tracklayer.model.destination import DestinationConfig, DestinationStatus
from tracklayer.model.event import Json
from tracklayer.model.moment import rfc3339
from tracklayer.model.records import DestinationRecord, Suppression, VersionRecord
from tracklayer.operate.agreeing import until_it_holds
from tracklayer.operate.audit import Audit
from tracklayer.operate.draft import (
    Change,
    DestinationDraft,
    SigningDraft,
    config_json,
    draft_config,
    merge_draft,
)
from tracklayer.operate.drafting import Drafting
from tracklayer.operate.plan_cache import PlanCache
from tracklayer.operate.reasons import checked_reason
from tracklayer.pipeline.filter import compile_filter
from tracklayer.ports import Clock
from tracklayer.store import Configuration, Queue
from tracklayer.vault import Vault

UNSAVED_ID = "dst_unsaved"
"""Stands for the id of a destination that is not saved yet."""


_TURNS = {
    DestinationStatus.ACTIVE: "resumed",
    DestinationStatus.PAUSED: "paused",
    DestinationStatus.DRAFT: "made_a_draft",
}


class _Change(NamedTuple):
    """What becomes of a destination, and how the audit trail tells it."""

    record: DestinationRecord
    verb: str | None  # None: who makes it tells it
    detail: dict[str, Json]
    note: str | None = None  # on the new version


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """A rotation: the destination as it is now, and the new secret where it was made here (shown this once)."""

    destination: Destination
    generated: str | None


class Destinations:
    """The configured receivers of a workspace. Every verb answers what stands after it."""

    def __init__(
        self,
        catalog: Catalog,
        configuration: Configuration,
        queue: Queue,
        engine: Engine,
        vault: Vault,
        audit: Audit,
        clock: Clock,
        ids: IdFactory,
        *,
        most: int,
    ) -> None:
        """`most` bounds the destinations of one workspace."""
        self._catalog = catalog
        self._configuration = configuration
        self._queue = queue
        self._engine = engine
        self._vault = vault
        self._audit = audit
        self._clock = clock
        self._ids = ids
        self._most = most
        self._plans = PlanCache(catalog.limits)
        self._drafting = Drafting(self._plans, vault, clock)

    def all(self, workspace_id: str) -> list[Destination]:
        """Every destination of a workspace, oldest first."""
        return list(self._catalog.tenant(workspace_id).destinations.values())

    def get(self, workspace_id: str, destination_id: str) -> Destination:
        """One destination. Raises `NotFound`."""
        return self._catalog.destination(workspace_id, destination_id)

    async def create(self, workspace_id: str, draft: DestinationDraft, *, author: str) -> Destination:
        """Save a new destination; it is `active` unless the draft says otherwise."""
        if len(self.all(workspace_id)) >= self._most:
            raise Conflict(f"this workspace has {self._most} destinations, which is the limit", code="limit_reached")
        record = self._drafting.new_record(workspace_id, self._ids.new("dst"), draft)
        await self._configuration.add_destination(record, _version(record, author, draft.note))
        made = await self._taken_over(record)
        await self._record(record, author, "created", {"name": record.config.name, "status": record.status.value})
        return made

    async def replace(
        self, workspace_id: str, destination_id: str, draft: DestinationDraft, *, author: str, seen: int | None
    ) -> Destination:
        """Save a new version. `seen` is the version that the caller started from, None where it does not say."""
        return await self._save(workspace_id, destination_id, lambda _: draft, author=author, seen=seen)

    async def patch(
        self, workspace_id: str, destination_id: str, patch: dict[str, Json], *, author: str, seen: int | None
    ) -> Destination:
        """Save a new version with what a JSON Merge Patch says; the rest stays as it is by then."""
        return await self._save(
            workspace_id, destination_id, lambda current: _merged(current, patch), author=author, seen=seen
        )

    def merged(self, workspace_id: str, destination_id: str, patch: dict[str, Json]) -> DestinationDraft:
        """The draft that a JSON Merge Patch (RFC 7396) makes of a destination. A removed `signing` stays removed."""
        return _merged(self.get(workspace_id, destination_id), patch)

    async def proposed(
        self, workspace_id: str, destination_id: str, patch: dict[str, Json], version: int | None
    ) -> Destination:
        """A destination as a save of `patch` would make it, or as it was in `version`; compiled, and not saved."""
        current = self.get(workspace_id, destination_id)
        if version is not None and patch:
            raise Invalid("give a version or fields to replace, not both", code="ambiguous", pointer="/version")
        if version is not None:
            config = await self._old_config(current, version)
            record = msgspec.structs.replace(current.record, version=version, config=config)
            return msgspec.structs.replace(current, record=record, plan=self._plans.plan(config), unusable=None)
        if not patch:
            return current
        return self.drafted(workspace_id, self.merged(workspace_id, destination_id, patch), standing_id=current.id)

    def drafted(self, workspace_id: str, draft: DestinationDraft, *, standing_id: str | None) -> Destination:
        """A destination as a save of `draft` would make it: a new one, or of the standing one; compiled, not saved."""
        if standing_id is None:
            record = self._drafting.new_record(workspace_id, UNSAVED_ID, draft)
            known = Destination(
                record=record, plan=self._plans.plan(record.config), signing_secret=None, previous_secret=None
            )
        else:
            known = self.get(workspace_id, standing_id)
            record = self._drafting.next_record(known, draft)
        sealed, plan = record.signing_sealed, self._plans.plan(record.config)
        secret = None if sealed is None else self._vault.open(sealed, purpose=signing_purpose(record.id))
        return msgspec.structs.replace(known, record=record, plan=plan, signing_secret=secret, unusable=None)

    def planned(
        self, workspace_id: str, destination_id: str, draft: DestinationDraft, *, seen: int | None = None
    ) -> list[Change]:
        """What `replace` would change; secrets are compared, and shown as changed only."""
        current = self.get(workspace_id, destination_id)
        _expect(current, seen)
        return self._drafting.changes(current, self._drafting.next_record(current, draft), draft)

    def checked(self, draft: DestinationDraft) -> Plan:
        """Compile a draft without saving it. Raises what `create` would."""
        signed = isinstance(draft.signing, SigningDraft) and draft.signing.enabled
        return self._plans.plan(draft_config(draft, signed=signed))

    async def versions(self, workspace_id: str, destination_id: str) -> list[VersionRecord]:
        """Every version, newest first."""
        return await self._configuration.versions(self.get(workspace_id, destination_id).id)

    async def restore(
        self, workspace_id: str, destination_id: str, number: int, *, author: str, seen: int | None
    ) -> Destination:
        """Save an old version's configuration as the newest one. The signing secret stays the one of today."""

        async def make(current: Destination) -> _Change:
            plan = self._plans.plan(await self._old_config(current, number))
            version = current.record.version + 1
            record = msgspec.structs.replace(current.record, version=version, config=plan.config)
            return _Change(record, "restored", {"version": version, "restored": number}, f"restored version {number}")

        _, restored = await self._change(workspace_id, destination_id, make, author=author, seen=seen)
        return restored

    async def set_status(
        self, workspace_id: str, destination_id: str, status: DestinationStatus, *, author: str
    ) -> Destination:
        """Pause or resume; what waits goes on waiting, or flows again, also where the receiver asked to wait for it."""

        async def make(current: Destination) -> _Change:
            before = current.record.status
            goes_live = before is DestinationStatus.DRAFT and status is DestinationStatus.ACTIVE
            record = msgspec.structs.replace(current.record, status=status)
            return _Change(record, "went_live" if goes_live else _TURNS[status], {"before": before.value})

        _, changed = await self._change(workspace_id, destination_id, make, author=author)
        return changed

    async def rotate_secret(
        self,
        workspace_id: str,
        destination_id: str,
        *,
        secret: str | None,
        overlap: float,
        author: str,
        seen: str | None = None,
    ) -> Rotated:
        """Sign with a new secret from now on, and with the old one beside it for `overlap` seconds.

        `seen` is the hint of the secret that the caller means to replace. Raises `Conflict` where another one is in
        force by now: a second rotation would take away the one that the receiver knows.
        """
        generated: str | None = None

        async def make(current: Destination) -> _Change:
            nonlocal generated
            signing = current.plan.config.signing
            if signing is None:
                raise Conflict("this destination does not sign: set signing.secret first", code="not_signed")
            if seen is not None and seen != hint(current.signing_secret or ""):
                raise Conflict("the secret was changed meanwhile, and so was not rotated again", code="secret_changed")
            fresh = secret if secret is not None else generate_secret(signing.scheme, os.urandom(32))
            generated = fresh if secret is None else None
            with at("secret"):
                check_secret(signing.scheme, fresh)
            record = msgspec.structs.replace(
                current.record,
                signing_sealed=self._vault.seal(fresh, purpose=signing_purpose(destination_id)),
                previous_sealed=current.record.signing_sealed if overlap > 0 else None,
                previous_until=self._clock.now() + overlap if overlap > 0 else None,
            )
            return _Change(record, "secret_rotated", {"overlap_seconds": overlap, "generated": secret is None})

        _, destination = await self._change(workspace_id, destination_id, make, author=author)
        return Rotated(destination=destination, generated=generated)

    async def delete(
        self, workspace_id: str, destination_id: str, *, discard: bool, seen: int | None, author: str
    ) -> int:
        """Delete. Refused while deliveries wait, unless `discard` lets them go; answers how many went."""

        async def make(current: Destination) -> _Change:
            if not discard:
                await self._refuse_while_any_wait(destination_id)
            return _Change(msgspec.structs.replace(current.record, deleted_at=self._clock.now()), None, {})

        idle = not discard  # also of what comes meanwhile
        gone, _ = await self._change(workspace_id, destination_id, make, author=author, seen=seen, idle=idle)
        discarded = await self._queue.discard_pending(destination_id, now=self._clock.now())
        detail: dict[str, Json] = {"name": gone.record.config.name, "discarded": discarded}
        await self._record(gone.record, author, "deleted", detail)
        return discarded

    async def _refuse_while_any_wait(self, destination_id: str) -> None:
        waiting = next((each.depth for each in await self._queue.backlog() if each.destination_id == destination_id), 0)
        if waiting:
            waits = "1 delivery waits" if waiting == 1 else f"{waiting} deliveries wait"
            raise Conflict(
                f"{waits} for this destination: deliver first, or delete with ?deliveries=discard",
                code="deliveries_waiting",
            )

    async def suppress(
        self,
        workspace_id: str,
        destination_id: str,
        *,
        event_filter: dict[str, Json],
        reason: str,
        until: float | None,
        author: str,
        suppression_id: str | None = None,
    ) -> Suppression:
        """Keep events from a destination until `until` (unix seconds), or until the suppression is lifted.

        Raises `Invalid` for one that is over already: it would keep back nothing, and look as if it did. A form brings
        the `suppression_id` that its page has drawn. Raises `Conflict` where it was sent already.
        """
        destination = self.get(workspace_id, destination_id)
        reason = checked_reason(reason, "a suppression needs a reason")
        with at("filter"):
            compile_filter(event_filter, max_depth=self._catalog.limits.filter_depth)
        now = self._clock.now()
        if until is not None and until <= now:
            raise Invalid(
                f"until is {rfc3339(until)}, which is over: expected a time after {rfc3339(now)}",
                code="invalid_time",
                pointer="/until",
            )
        suppression = Suppression(
            id=suppression_id or self._ids.new("sup"),
            workspace_id=workspace_id,
            destination_id=destination.id,
            filter=event_filter,
            reason=reason,
            author=author,
            created_at=now,
            until=until,
        )
        is_new = await self._configuration.add_suppression(suppression)
        await self._reload(workspace_id)
        if not is_new:
            said = "this form was sent already, and made its suppression: no other one was made"
            raise Conflict(said, code="made_already")
        detail: dict[str, Json] = {"suppression_id": suppression.id, "reason": reason, "filter": event_filter}
        await self._record(destination.record, author, "suppressed", {**detail, "until": until})
        return suppression

    def suppressions(self, workspace_id: str, destination_id: str) -> list[Suppression]:
        """The suppressions of a destination, oldest first."""
        return [each.record for each in self.get(workspace_id, destination_id).suppressions]

    async def lift(self, workspace_id: str, destination_id: str, suppression_id: str, *, author: str) -> None:
        """End a suppression. What it suppressed stays suppressed."""
        destination = self.get(workspace_id, destination_id)
        known = {each.record.id: each.record for each in destination.suppressions}
        if suppression_id not in known:
            raise NotFound(f"destination {destination_id} has no suppression {suppression_id!r}")
        await self._configuration.remove_suppression(suppression_id)
        await self._reload(workspace_id)
        detail: dict[str, Json] = {"suppression_id": suppression_id, "reason": known[suppression_id].reason}
        await self._record(destination.record, author, "suppression_lifted", detail)

    async def _save(
        self,
        workspace_id: str,
        destination_id: str,
        draft_of: Callable[[Destination], DestinationDraft],
        *,
        author: str,
        seen: int | None,
    ) -> Destination:
        async def make(current: Destination) -> _Change:
            draft = draft_of(current)
            version = current.record.version + 1
            record = msgspec.structs.replace(self._drafting.next_record(current, draft), version=version)
            changed: list[Json] = [each.path for each in self._drafting.changes(current, record, draft)]
            return _Change(record, "saved", {"version": version, "changed": changed}, draft.note)

        _, saved = await self._change(workspace_id, destination_id, make, author=author, seen=seen)
        return saved

    async def _change(
        self,
        workspace_id: str,
        destination_id: str,
        make: Callable[[Destination], Awaitable[_Change]],
        *,
        author: str,
        seen: int | None = None,
        idle: bool = False,
    ) -> tuple[Destination, Destination]:
        """Write what `make` makes of a destination, and answer what it was and what it is; `idle`: only while nothing
        waits for it.

        Where somebody else changes it meanwhile, it is made anew of what that one has made: neither change is lost.
        What a resume ends, it ends first: where that fails, the destination is still paused, and can be resumed again.
        """

        async def tried() -> tuple[Destination, Destination] | None:
            before = self.get(workspace_id, destination_id)
            _expect(before, seen)
            change = await make(before)
            record = msgspec.structs.replace(change.record, updated_at=self._clock.now())
            if before.record.status is DestinationStatus.PAUSED and record.status is DestinationStatus.ACTIVE:
                await self._engine.end_hold(destination_id)
            version = None
            if record.version != before.record.version:
                version = _version(record, author, change.note)
            if not await self._configuration.update_destination(before.record, record, version, idle=idle):
                await self._reload(workspace_id)
                return None
            after = await self._taken_over(record)
            if change.verb is not None:
                await self._record(record, author, change.verb, change.detail)
            return before, after

        return await until_it_holds(tried, f"destination {destination_id}")

    async def _old_config(self, current: Destination, number: int) -> DestinationConfig:
        """The configuration of a version; its signing secret is the one of today, which must do for it."""
        known = 0 < number <= current.record.version  # a larger one may not even fit its column
        found = await self._configuration.version(current.id, number) if known else None
        if found is None:
            raise NotFound(f"destination {current.id} has no version {number}")
        signing = found.config.signing
        if signing is not None and current.signing_secret is None:
            raise Conflict(
                f"version {number} signs and the secret is gone: set signing.secret first", code="no_signing_secret"
            )
        if signing is not None and current.signing_secret is not None:
            check_secret(signing.scheme, current.signing_secret)
        return found.config

    async def _taken_over(self, record: DestinationRecord) -> Destination:
        await self._reload(record.workspace_id)
        found = self._catalog.tenant(record.workspace_id).destinations.get(record.id)
        return found or Destination(
            record=record,
            plan=self._plans.plan(record.config),
            signing_secret=None,
            previous_secret=None,
        )

    async def _record(self, record: DestinationRecord, author: str, verb: str, detail: dict[str, Json]) -> None:
        await self._audit.record(
            record.workspace_id, actor=author, action=f"destination.{verb}", target=record.id, detail=detail
        )

    async def _reload(self, workspace_id: str) -> None:
        await self._catalog.reload(workspace_id)
        self._engine.refresh()


def _expect(current: Destination, seen: int | None) -> None:
    if seen is not None and seen != current.record.version:
        raise PreconditionFailed(
            f"destination {current.id} is at version {current.record.version}, If-Match says {seen}"
        )


def _merged(current: Destination, patch: dict[str, Json]) -> DestinationDraft:
    standing = config_json(current.plan.config)
    if standing["signing"] is not None:
        standing["signing"] = {**standing["signing"], "enabled": True}
    if "signing" in patch and patch["signing"] is None:
        patch = {**patch, "signing": {"enabled": False}}
    return merge_draft(standing, patch)


def _version(record: DestinationRecord, author: str, note: str | None) -> VersionRecord:
    return VersionRecord(
        destination_id=record.id,
        version=record.version,
        config=record.config,
        author=author,
        note=note,
        created_at=record.updated_at,
    )
