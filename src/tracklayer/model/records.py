"""What the store gives back about configuration: workspaces, keys, secrets, destinations, suppressions."""

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
