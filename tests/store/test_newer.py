"""What a newer release has saved: read as far as it is known, never written over, and nothing breaks by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from tests.store.samples import NOW, WORKSPACE, destination, destination_config, event, version_of
from tracklayer.catalog import Catalog, PlanLimits
from tracklayer.errors import Conflict
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import decode_json, encode_json, event_fields
from tracklayer.model.records import DestinationRecord, Workspace
from tracklayer.model.rules import WorkspaceRules
from tracklayer.store import AudienceStore, Configuration, Database, RulesStore
from tracklayer.store.tables import destination_versions, workspace_rules
from tracklayer.vault import Vault


@pytest.fixture
async def saved(configuration: Configuration) -> DestinationRecord:
    """A destination that this release has saved."""
    record = destination()
    await configuration.add_workspace(Workspace(id=WORKSPACE, name="main", created_at=NOW))
    await configuration.add_destination(record, version_of(record))
    return record


@pytest.fixture
def catalog(database: Database, configuration: Configuration) -> Catalog:
    """A catalog that has read nothing yet."""
    return Catalog(configuration, RulesStore(database), AudienceStore(database), Vault(bytes(32)), PlanLimits())


async def save_newer(database: Database, **fields: Any) -> None:
    """Put `fields` into every stored configuration, as a release may do that knows them."""
    config = {**decode_json(encode_json(destination_config())), **fields}
    statement = update(destination_versions).values(config=encode_json(config))
    await database.write(lambda connection: connection.execute(statement))


HEDGED = {"hedging": {"after": "2s"}}
DEEPER = {"transport": {"url": "https://receiver.example.com/hook", "protocol": "h3"}}


@pytest.mark.parametrize("fields, named", [(HEDGED, "hedging"), (DEEPER, "protocol")])
async def test_fields_that_are_not_known_are_left_out_and_named(
    saved: DestinationRecord, configuration: Configuration, database: Database, fields: dict[str, Any], named: str
) -> None:
    await save_newer(database, **fields)
    (found,) = await configuration.destinations()
    assert found.config == saved.config
    assert found.too_new is not None
    assert named in found.too_new
    assert [each.config for each in await configuration.versions(saved.id)] == [saved.config]


async def test_such_a_destination_is_held_back_and_events_are_still_routed_to_it(
    saved: DestinationRecord, catalog: Catalog, database: Database
) -> None:
    await save_newer(database, **HEDGED)
    with capture_logs() as logs:
        await catalog.load()
        await catalog.reload(WORKSPACE)
    held = catalog.destination(WORKSPACE, saved.id)
    assert held.record.status is DestinationStatus.PAUSED
    assert [each.id for each in catalog.tenant(WORKSPACE).routes.route(event_fields(event()))] == [saved.id]
    assert [(each["event"], each["destination_id"]) for each in logs] == [("destination_held_back", saved.id)]
    assert "hedging" in logs[0]["unknown"]


async def test_what_is_not_known_is_never_written_over(
    saved: DestinationRecord, configuration: Configuration, database: Database
) -> None:
    await save_newer(database, **HEDGED)
    (found,) = await configuration.destinations()
    changed = msgspec.structs.replace(found, status=DestinationStatus.PAUSED)
    with pytest.raises(Conflict, match=r"saved by a newer version of TrackLayer .*hedging"):
        await configuration.update_destination(found, changed)
    with pytest.raises(Conflict, match=r"at version 1 by a newer version .*hedging"):
        await configuration.version(saved.id, 1)


@pytest.mark.parametrize("fields", [{"ordering": "per_device"}, {"filter": {"event_name": {"$like": "p%"}}}])
async def test_what_cannot_be_read_at_all_is_said_by_name_and_the_last_known_goes_on(
    saved: DestinationRecord, catalog: Catalog, configuration: Configuration, database: Database, fields: dict[str, Any]
) -> None:
    await catalog.load()
    await save_newer(database, **fields)
    next_version = msgspec.structs.replace(saved, version=2)
    assert await configuration.update_destination(saved, next_version, version_of(next_version))
    await save_newer(database, **fields)

    with pytest.raises(Conflict, match=saved.id):
        await catalog.reload(WORKSPACE)
    assert catalog.destination(WORKSPACE, saved.id).record == saved


async def test_rules_are_read_without_what_is_not_known(database: Database) -> None:
    store = RulesStore(database)
    await store.put(WORKSPACE, WorkspaceRules(), now=NOW)
    more = {**decode_json(encode_json(WorkspaceRules())), "quiet_hours": [22, 6]}
    statement = update(workspace_rules).values(rules=encode_json(more))
    await database.write(lambda connection: connection.execute(statement))
    with capture_logs() as logs:
        assert await store.of(WORKSPACE) == WorkspaceRules()
    assert [each["event"] for each in logs] == ["rules_of_a_newer_version"]
