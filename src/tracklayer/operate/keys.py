"""API keys and workspaces. A key is shown once, when it is made; only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

import structlog

from tracklayer.catalog import Catalog
from tracklayer.delivery.sign import hint
from tracklayer.errors import Conflict, Invalid, NotFound
from tracklayer.identity import IdFactory
from tracklayer.model.event import Json
from tracklayer.model.records import ApiKey, Workspace
from tracklayer.operate.audit import Audit
from tracklayer.ports import Clock
from tracklayer.store import Configuration
from tracklayer.store.key_checks import KeyChecks

SCOPES = ("events:write", "events:read", "destinations:read", "destinations:write", "admin")
PREFIX = "tl_live_"
DEFAULT_WORKSPACE = "default"

log = structlog.get_logger("tracklayer")


class Keys:
    """Who may call the API, and what each may do."""

    def __init__(
        self,
        catalog: Catalog,
        configuration: Configuration,
        checks: KeyChecks,
        audit: Audit,
        clock: Clock,
        ids: IdFactory,
    ) -> None:
        self._catalog = catalog
        self._configuration = configuration
        self._checks = checks
        self._audit = audit
        self._clock = clock
        self._ids = ids

    def find(self, key: str) -> ApiKey | None:
        """The record of a key that a caller presents.

        Looked up by hash, so that how long it takes says nothing about the keys that exist.
        """
        digest = _digest(key)
        found = self._catalog.key(digest)
        return found if found is not None and hmac.compare_digest(found.hash, digest) else None

    def all(self, workspace_id: str) -> list[ApiKey]:
        """A workspace's keys, oldest first."""
        return self._catalog.keys(workspace_id)

    async def create(
        self,
        workspace_id: str,
        *,
        name: str,
        scopes: Sequence[str],
        author: str,
        key: str | None = None,
        key_id: str | None = None,
        once: str | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key (or take the given one in); answers its record and the key itself, this once.

        A form brings the `key_id` that its page has drawn, a setting the purpose for which a key is made only `once`.
        Raises `Conflict` where that was done already.
        """
        wanted = frozenset(scopes)
        for place, scope in enumerate(scopes):
            if scope not in SCOPES:
                raise Invalid(
                    f"{scope!r} is not a scope: expected some of {', '.join(SCOPES)}",
                    code="invalid_scope",
                    pointer=f"/scopes/{place}",
                )
        if not wanted:
            raise Invalid("a key needs at least one scope", code="invalid_scope", pointer="/scopes")
        if not name.strip() or len(name) > 200:
            raise Invalid("the name must have 1 to 200 characters", code="invalid_name", pointer="/name")
        text = key if key is not None else PREFIX + os.urandom(20).hex()
        record = ApiKey(
            id=key_id or self._ids.new("key"),
            workspace_id=workspace_id,
            name=name,
            hash=_digest(text),
            hint=hint(text),
            scopes=wanted,
            created_at=self._clock.now(),
        )
        if not await self._configuration.add_api_key(record, once=once):
            raise Conflict("this form was sent already, and made its key: no other one was made", code="made_already")
        await self._catalog.load_keys()
        detail: dict[str, Json] = {"name": name, "scopes": sorted(wanted)}
        await self._audit.record(workspace_id, actor=author, action="key.created", target=record.id, detail=detail)
        return record, text

    async def take_over(self, workspace_id: str, key: str, *, name: str, author: str) -> None:
        """Make the admin key that a setting gives, once: one that was revoked since stays so, wherever the setting
        still stands.
        """
        purpose = f"{name} {_digest(key)}"
        if (found := self.find(key)) is not None:
            await self._checks.first(purpose, found.id.encode())
            return
        try:
            await self.create(workspace_id, name=name, scopes=("admin",), author=author, key=key, once=purpose)
        except Conflict:
            log.warning("admin_key_was_revoked", setting=name, hint=hint(key))

    async def remove(self, workspace_id: str, key_id: str, *, author: str) -> None:
        """Revoke a key at once. The last admin key stays."""
        doomed = next((key for key in self.all(workspace_id) if key.id == key_id), None)
        if doomed is None:
            raise NotFound(f"there is no API key {key_id!r} in this workspace")
        if not await self._configuration.remove_api_key(key_id):
            raise Conflict("this is the last admin key: make another one first", code="last_admin_key")
        await self._catalog.load_keys()
        detail: dict[str, Json] = {"name": doomed.name}
        await self._audit.record(workspace_id, actor=author, action="key.revoked", target=key_id, detail=detail)

    def workspace_of(self, workspace_id: str) -> Workspace:
        """The workspace that somebody belongs to."""
        return self._catalog.tenant(workspace_id).workspace

    async def workspace(self, name: str) -> Workspace:
        """The workspace of that name, made where there is none."""
        for workspace in await self._configuration.workspaces():
            if workspace.name == name:
                return workspace
        workspace = Workspace(id=self._ids.new("ws"), name=name, created_at=self._clock.now())
        await self._configuration.add_workspace(workspace)
        await self._catalog.load_workspace(workspace)
        return workspace


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
