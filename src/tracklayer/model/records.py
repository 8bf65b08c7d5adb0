"""What the store gives back about configuration (workspaces, keys, secrets, destinations, suppressions, audiences),
people, and what was changed by whom."""

from __future__ import annotations

import msgspec

from tracklayer.model.destination import DestinationConfig, DestinationStatus
from tracklayer.model.event import Json


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant: keys, destinations, events and secrets belong to exactly one."""

    id: str
    name: str
    created_at: float


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is kept: its hash, never the key."""

    id: str
    workspace_id: str
    name: str
    hash: str
    hint: str
    scopes: frozenset[str]
    created_at: float


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is kept: encrypted."""

    workspace_id: str
    name: str
    sealed: bytes
    hint: str
    created_at: float
    updated_at: float


class DestinationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A destination with the configuration of its current version."""

    id: str
    workspace_id: str
    status: DestinationStatus
    version: int
    config: DestinationConfig
    signing_sealed: bytes | None
    previous_sealed: bytes | None
    previous_until: float | None
    created_at: float
    updated_at: float
    deleted_at: float | None = None
    too_new: str | None = None  # what of `config` a newer release has saved and this one does not know


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable snapshot of a destination's configuration."""

    destination_id: str
    version: int
    config: DestinationConfig
    author: str
    note: str | None
    created_at: float


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's rule that keeps events from one destination."""

    id: str
    workspace_id: str
    destination_id: str
    filter: dict[str, Json]
    reason: str
    author: str
    created_at: float
    until: float | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signs in to the console. The e-mail, in lower case, belongs to one person over all workspaces."""

    id: str
    workspace_id: str
    email: str
    password_hash: str
    created_at: float


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser in which somebody is signed in, as it is kept: the hash of its cookie's token."""

    hash: str
    person_id: str
    created_at: float
    seen_at: float
    expires_at: float
    address: str
    user_agent: str


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link, as it is kept: the hash of its token. Without an e-mail, whoever has the link says it."""

    hash: str
    workspace_id: str
    email: str | None
    author: str
    created_at: float
    expires_at: float


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who (a person's e-mail or an API key's name), what ("destination.paused"), and to what."""

    id: str
    workspace_id: str
    at: float
    actor: str
    action: str
    target: str
    detail: dict[str, Json]


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """A set of users: those whose events match the rule, or, without a rule, those on its list."""

    workspace_id: str
    name: str
    rule: dict[str, Json] | None
    created_at: float
    updated_at: float


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on an audience's list."""

    key: str  # as in `model.facts`
    added_at: float
