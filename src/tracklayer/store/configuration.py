"""Workspaces, API keys, secrets, destinations with their versions, suppressions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, delete, exists, insert, select

from tracklayer.errors import Conflict
from tracklayer.model.destination import DestinationConfig, DestinationStatus
from tracklayer.model.event import decode_json, encode_json
from tracklayer.model.records import ApiKey, DestinationRecord, SealedSecret, Suppression, VersionRecord, Workspace
from tracklayer.store.database import Database
from tracklayer.store.newer import read_known
from tracklayer.store.tables import (
    PENDING,
    api_keys,
    deliveries,
    destination_versions,
    destinations,
    key_checks,
    secrets,
    suppressions,
    workspaces,
)
from tracklayer.store.unchanged import update_unchanged

_CONFIG = msgspec.json.Decoder(DestinationConfig, float_hook=Decimal)

_CURRENT = select(destinations, destination_versions.c.config).join(
    destination_versions,
    (destination_versions.c.destination_id == destinations.c.id)
    & (destination_versions.c.version == destinations.c.version),
)


class Configuration:
    """Everything that people configure. Rarely written, read whole at the start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def workspaces(self) -> list[Workspace]:
        """Every workspace, oldest first."""
        return [Workspace(**row) for row in await self._rows(select(workspaces).order_by(workspaces.c.created_at))]

    async def add_workspace(self, workspace: Workspace) -> None:
        """Store a new workspace."""
        await self._write(insert(workspaces).values(msgspec.structs.asdict(workspace)))

    async def api_keys(self) -> list[ApiKey]:
        """Every key of every workspace, oldest first."""
        rows = await self._rows(select(api_keys).order_by(api_keys.c.id))
        return [ApiKey(**{**row, "scopes": frozenset(row["scopes"].split())}) for row in rows]

    async def add_api_key(self, key: ApiKey, *, once: str | None = None) -> bool:
        """Store a new key; False where one with its id is there already, or one was made for the purpose `once`."""
        values = {**msgspec.structs.asdict(key), "scopes": " ".join(sorted(key.scopes))}
        adding = self._database.insert(api_keys).values(values).on_conflict_do_nothing(index_elements=["id"])
        marking = (
            self._database.insert(key_checks).values(purpose=once, sealed=key.id.encode()).on_conflict_do_nothing()
        )

        def work(connection: Connection) -> bool:
            is_first = once is None or connection.execute(marking).rowcount == 1
            return is_first and connection.execute(adding).rowcount == 1

        return await self._database.write(work)

    async def remove_api_key(self, key_id: str) -> bool:
        """Forget a key; False where it stays, for it is the last one of its workspace with the scope `admin`."""
        of_workspace = select(api_keys.c.workspace_id).where(api_keys.c.id == key_id).scalar_subquery()
        theirs = select(api_keys).where(api_keys.c.workspace_id == of_workspace).order_by(api_keys.c.id)

        def work(connection: Connection) -> bool:
            # Locked, or of two that go at once each would take the other one for the last.
            rows = connection.execute(theirs.with_for_update()).mappings()
            if [row["id"] for row in rows if "admin" in row["scopes"].split()] == [key_id]:
                return False
            connection.execute(delete(api_keys).where(api_keys.c.id == key_id))
            return True

        return await self._database.write(work)

    async def secrets(self) -> list[SealedSecret]:
        """Every secret of every workspace, by name."""
        return [SealedSecret(**row) for row in await self._rows(select(secrets).order_by(secrets.c.name))]

    async def put_secret(self, secret: SealedSecret) -> None:
        """Store or replace a secret; a replaced one keeps its `created_at`."""
        statement = self._database.insert(secrets).values(msgspec.structs.asdict(secret))
        changed = {name: statement.excluded[name] for name in ("sealed", "hint", "updated_at")}
        await self._write(statement.on_conflict_do_update(index_elements=["workspace_id", "name"], set_=changed))

    async def remove_secret(self, workspace_id: str, name: str) -> None:
        """Forget a secret."""
        await self._write(delete(secrets).where(secrets.c.workspace_id == workspace_id, secrets.c.name == name))

    async def destinations(self) -> list[DestinationRecord]:
        """Every destination that is not deleted, oldest first, at its current version.

        Raises `Conflict` where a newer release has saved what this code cannot read.
        """
        rows = await self._rows(_CURRENT.where(destinations.c.deleted_at.is_(None)).order_by(destinations.c.id))
        return [_destination(row) for row in rows]

    async def destination(self, destination_id: str) -> DestinationRecord | None:
        """One destination, deleted or not."""
        rows = await self._rows(_CURRENT.where(destinations.c.id == destination_id))
        return _destination(rows[0]) if rows else None

    async def add_destination(self, record: DestinationRecord, version: VersionRecord) -> None:
        """Store a new destination and its first version."""

        def work(connection: Connection) -> None:
            connection.execute(insert(destinations).values(_destination_row(record)))
            connection.execute(insert(destination_versions).values(_version_row(version)))

        await self._database.write(work)

    async def update_destination(
        self,
        before: DestinationRecord,
        after: DestinationRecord,
        version: VersionRecord | None = None,
        *,
        idle: bool = False,
    ) -> bool:
        """Write what becomes of `before`, with a new version where the configuration changed.

        False where it is not as `before` says any more, or where it should be `idle` and something waits for it: then
        nothing is written. Raises `Conflict` where a newer release has saved more than this code knows: that would be
        lost.
        """
        if before.too_new is not None:
            raise Conflict(
                f"destination {before.id} was saved by a newer version of TrackLayer ({before.too_new}), and can be "
                "changed there only",
                code="saved_by_newer_version",
            )
        statement = update_unchanged(destinations, _destination_row(before), _destination_row(after))
        if idle:
            statement = statement.where(~exists().where(deliveries.c.destination_id == before.id, PENDING))

        def work(connection: Connection) -> bool:
            if connection.execute(statement).rowcount != 1:
                return False
            if version is not None:
                connection.execute(insert(destination_versions).values(_version_row(version)))
            return True

        return await self._database.write(work)

    async def versions(self, destination_id: str) -> list[VersionRecord]:
        """Every version of a destination, newest first, as far as this code knows what it says."""
        statement = select(destination_versions).where(destination_versions.c.destination_id == destination_id)
        rows = await self._rows(statement.order_by(destination_versions.c.version.desc()))
        return [version for row in rows if (version := _readable_version(row)) is not None]

    async def version(self, destination_id: str, number: int) -> VersionRecord | None:
        """One version of a destination. Raises `Conflict` for one that only a newer release knows."""
        statement = select(destination_versions).where(
            destination_versions.c.destination_id == destination_id, destination_versions.c.version == number
        )
        rows = await self._rows(statement)
        return _version(rows[0]) if rows else None

    async def suppressions(self) -> list[Suppression]:
        """Every suppression, oldest first."""
        rows = await self._rows(select(suppressions).order_by(suppressions.c.id))
        return [Suppression(**{**row, "filter": decode_json(row["filter"])}) for row in rows]

    async def add_suppression(self, suppression: Suppression) -> bool:
        """Store a new suppression; False where one with its id is there already."""
        values = {**msgspec.structs.asdict(suppression), "filter": encode_json(suppression.filter)}
        adding = self._database.insert(suppressions).values(values).on_conflict_do_nothing(index_elements=["id"])
        return await self._database.write(lambda connection: connection.execute(adding).rowcount == 1)

    async def remove_suppression(self, suppression_id: str) -> None:
        """Forget a suppression."""
        await self._write(delete(suppressions).where(suppressions.c.id == suppression_id))

    async def _rows(self, statement: Any) -> list[RowMapping]:
        return await self._database.read(lambda connection: list(connection.execute(statement).mappings()))

    async def _write(self, statement: Any) -> None:
        await self._database.write(lambda connection: connection.execute(statement))


def _destination(row: RowMapping) -> DestinationRecord:
    try:
        config, too_new = read_known(_CONFIG, row["config"])
    except msgspec.ValidationError as error:
        raise _saved_by_newer(f"destination {row['id']}", row, error) from error
    return DestinationRecord(
        **{**row, "status": DestinationStatus(row["status"]), "config": config, "too_new": too_new}
    )


def _destination_row(record: DestinationRecord) -> dict[str, object]:
    row = msgspec.structs.asdict(record)
    del row["config"]  # lives in the version
    del row["too_new"]
    return row


def _version(row: RowMapping) -> VersionRecord:
    try:
        return VersionRecord(**{**row, "config": _CONFIG.decode(row["config"])})
    except msgspec.ValidationError as error:
        raise _saved_by_newer(f"destination {row['destination_id']}", row, error) from error


def _readable_version(row: RowMapping) -> VersionRecord | None:
    try:
        return VersionRecord(**{**row, "config": read_known(_CONFIG, row["config"])[0]})
    except msgspec.ValidationError:
        return None


def _saved_by_newer(what: str, row: RowMapping, error: Exception) -> Conflict:
    return Conflict(
        f"{what} was saved at version {row['version']} by a newer version of TrackLayer: {error}",
        code="saved_by_newer_version",
    )


def _version_row(version: VersionRecord) -> dict[str, object]:
    return {**msgspec.structs.asdict(version), "config": encode_json(version.config)}
