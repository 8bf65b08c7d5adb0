"""The catalog: everything that is configured, compiled; read again after a change, and then only what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.store.samples import (
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    destination,
    destination_config,
    event,
    version_of,
)
from tracklayer.catalog import Catalog, Plan, PlanLimits, compile_plan, secret_purpose, signing_purpose
from tracklayer.errors import Conflict, Invalid, NotFound
from tracklayer.model.destination import DestinationConfig, DestinationStatus, Signing
from tracklayer.model.event import event_fields
from tracklayer.model.records import ApiKey, DestinationRecord, SealedSecret, Suppression, Workspace
from tracklayer.store import AudienceStore, Configuration, Database, RulesStore, open_database
from tracklayer.vault import Vault, VaultError

VAULT = Vault(bytes(32))
MAIN = Workspace(id=WORKSPACE, name="main", created_at=NOW)
OTHER = Workspace(id=OTHER_WORKSPACE, name="other", created_at=NOW + 1)
SIGNED = msgspec.structs.replace(destination_config(), signing=Signing())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    database = open_database(f"sqlite:///{tmp_path}/tracklayer.db")
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
async def configuration(database: Database) -> Configuration:
    """A store with two workspaces and nothing else."""
    configuration = Configuration(database)
    for workspace in (MAIN, OTHER):
        await configuration.add_workspace(workspace)
    return configuration


@pytest.fixture
def catalog(database: Database, configuration: Configuration) -> Catalog:
    """A catalog that has read nothing yet."""
    return Catalog(configuration, RulesStore(database), AudienceStore(database), VAULT, PlanLimits())


async def add(configuration: Configuration, record: DestinationRecord) -> DestinationRecord:
    await configuration.add_destination(record, version_of(record))
    return record


async def put_secret(configuration: Configuration, workspace: str, name: str, value: str) -> None:
    sealed = VAULT.seal(value, purpose=secret_purpose(workspace, name))
    await configuration.put_secret(
        SealedSecret(workspace_id=workspace, name=name, sealed=sealed, hint="", created_at=NOW, updated_at=NOW)
    )


def suppression(destination_id: str = "dst_1", *, number: int = 1, **changes: Any) -> Suppression:
    made = Suppression(
        id=f"sup_{number}",
        workspace_id=WORKSPACE,
        destination_id=destination_id,
        filter={},
        reason="incident",
        author="key_1",
        created_at=NOW,
    )
    return msgspec.structs.replace(made, **changes)


def plan_of(catalog: Catalog, destination_id: str = "dst_1") -> Plan:
    return catalog.destination(WORKSPACE, destination_id).plan


async def test_every_workspace_has_its_own_destinations_secrets_and_keys(
    configuration: Configuration, catalog: Catalog
) -> None:
    await add(configuration, destination("dst_1"))
    await add(configuration, destination("dst_2", workspace=OTHER_WORKSPACE))
    await put_secret(configuration, WORKSPACE, "token", "mine")
    await put_secret(configuration, OTHER_WORKSPACE, "token", "theirs")
    key = ApiKey(
        id="key_1", workspace_id=WORKSPACE, name="ci", hash="h", hint="…", scopes=frozenset({"admin"}), created_at=NOW
    )
    await configuration.add_api_key(key)

    await catalog.load()

    assert catalog.destination(WORKSPACE, "dst_1").record == destination("dst_1")
    with pytest.raises(NotFound, match="dst_2"):
        catalog.destination(WORKSPACE, "dst_2")
    assert [each.id for each in catalog.destinations()] == ["dst_1", "dst_2"]
    assert catalog.tenant(WORKSPACE).secrets == {"token": "mine"}
    assert catalog.tenant(OTHER_WORKSPACE).secrets == {"token": "theirs"}
    assert catalog.key("h") == key
    assert catalog.key("another") is None
    assert catalog.keys(WORKSPACE) == [key]
    assert catalog.keys(OTHER_WORKSPACE) == []


async def test_a_key_that_is_removed_opens_nothing_once_the_keys_are_read_again(
    configuration: Configuration, catalog: Catalog
) -> None:
    await configuration.add_api_key(
        ApiKey(id="key_1", workspace_id=WORKSPACE, name="", hash="h", hint="", scopes=frozenset(), created_at=NOW)
    )
    await catalog.load()
    await configuration.remove_api_key("key_1")
    await catalog.load_keys()
    assert catalog.key("h") is None


async def test_a_key_of_a_workspace_that_another_process_has_made_brings_the_workspace(
    configuration: Configuration, catalog: Catalog
) -> None:
    await catalog.load()
    await configuration.add_workspace(Workspace(id="ws_new", name="new", created_at=NOW))
    await configuration.add_api_key(
        ApiKey(id="key_1", workspace_id="ws_new", name="", hash="h", hint="", scopes=frozenset(), created_at=NOW)
    )
    await catalog.load_keys()
    key = catalog.key("h")
    assert key is not None
    assert catalog.tenant(key.workspace_id).workspace.name == "new"


async def test_drafts_are_known_but_get_no_live_traffic_and_paused_ones_do(
    configuration: Configuration, catalog: Catalog
) -> None:
    for number, status in enumerate(DestinationStatus):
        await add(configuration, destination(f"dst_{number}", status=status))
    await catalog.load()

    routed = catalog.tenant(WORKSPACE).routes.route(event_fields(event()))

    assert {each.record.status for each in routed} == {DestinationStatus.ACTIVE, DestinationStatus.PAUSED}
    assert len(catalog.tenant(WORKSPACE).destinations) == 3


async def test_a_reload_compiles_what_changed_and_keeps_the_rest(
    configuration: Configuration, catalog: Catalog
) -> None:
    stays, changes, goes = [await add(configuration, destination(f"dst_{number}")) for number in (1, 2, 3)]
    await catalog.load()
    plans = [plan_of(catalog, each.id) for each in (stays, changes, goes)]
    new = msgspec.structs.replace(changes, version=2, config=destination_config("renamed"))
    assert await configuration.update_destination(changes, new, version_of(new))
    assert await configuration.update_destination(goes, msgspec.structs.replace(goes, deleted_at=NOW))
    paused = msgspec.structs.replace(stays, status=DestinationStatus.PAUSED)
    assert await configuration.update_destination(stays, paused)

    tenant = await catalog.reload(WORKSPACE)

    assert catalog.tenant(WORKSPACE) is tenant
    assert sorted(tenant.destinations) == ["dst_1", "dst_2"]
    assert plan_of(catalog, "dst_1") is plans[0]
    assert catalog.destination(WORKSPACE, "dst_1").record.status is DestinationStatus.PAUSED
    assert plan_of(catalog, "dst_2").config.name == "renamed"


async def test_a_reader_keeps_the_whole_view_that_it_took(configuration: Configuration, catalog: Catalog) -> None:
    await add(configuration, destination("dst_1"))
    await catalog.load()
    before = catalog.tenant(WORKSPACE)
    await add(configuration, destination("dst_2"))
    await put_secret(configuration, WORKSPACE, "token", "new")

    await catalog.reload(WORKSPACE)

    assert (sorted(before.destinations), before.secrets) == (["dst_1"], {})
    assert len(before.routes.route(event_fields(event()))) == 1


@pytest.mark.parametrize(
    "now, previous", [(NOW, "old secret"), (NOW + 59.9, "old secret"), (NOW + 60, None), (NOW + 61, None)]
)
async def test_the_old_signing_secret_is_in_force_until_the_overlap_ends(
    configuration: Configuration, catalog: Catalog, now: float, previous: str | None
) -> None:
    purpose = signing_purpose("dst_1")
    await add(
        configuration,
        msgspec.structs.replace(
            destination(config=SIGNED),
            signing_sealed=VAULT.seal("new secret", purpose=purpose),
            previous_sealed=VAULT.seal("old secret", purpose=purpose),
            previous_until=NOW + 60,
        ),
    )
    await catalog.load()

    keys = catalog.destination(WORKSPACE, "dst_1").keys(now)

    assert keys is not None
    assert (keys.current, keys.previous) == ("new secret", previous)


@pytest.mark.parametrize("signing, sealed", [(None, True), (Signing(), False)])
async def test_without_a_secret_or_with_signing_off_nothing_is_signed(
    configuration: Configuration, catalog: Catalog, signing: Signing | None, sealed: bool
) -> None:
    record = destination(config=msgspec.structs.replace(destination_config(), signing=signing))
    secret = VAULT.seal("s", purpose=signing_purpose("dst_1")) if sealed else None
    await add(configuration, msgspec.structs.replace(record, signing_sealed=secret))
    await catalog.load()
    assert catalog.destination(WORKSPACE, "dst_1").keys(NOW) is None


async def test_a_secret_that_was_moved_to_another_name_is_refused(
    configuration: Configuration, catalog: Catalog
) -> None:
    sealed = VAULT.seal("value", purpose=secret_purpose(WORKSPACE, "token"))
    await configuration.put_secret(
        SealedSecret(workspace_id=WORKSPACE, name="other", sealed=sealed, hint="", created_at=NOW, updated_at=NOW)
    )
    with pytest.raises(VaultError, match="secret other of ws_1 cannot be decrypted"):
        await catalog.load()


async def test_a_suppression_stops_what_it_names_until_it_ends(configuration: Configuration, catalog: Catalog) -> None:
    for number in (1, 2):
        await add(configuration, destination(f"dst_{number}"))
    await configuration.add_suppression(suppression(filter={"event_name": ["refund"]}, until=NOW + 60))
    await catalog.load()
    stopped, free = (catalog.destination(WORKSPACE, f"dst_{number}") for number in (1, 2))
    refund, purchase = (event_fields(event(name=name)) for name in ("refund", "purchase"))

    found = stopped.suppression(refund, NOW + 59.9)

    assert found is not None
    assert found.id == "sup_1"
    assert stopped.suppression(refund, NOW + 60) is None
    assert stopped.suppression(purchase, NOW) is None
    assert free.suppression(refund, NOW) is None


async def test_a_suppression_without_an_end_holds_until_it_is_removed(
    configuration: Configuration, catalog: Catalog
) -> None:
    await add(configuration, destination())
    await configuration.add_suppression(suppression())
    await catalog.load()
    fields = event_fields(event())
    assert catalog.destination(WORKSPACE, "dst_1").suppression(fields, NOW * 2) is not None

    await configuration.remove_suppression("sup_1")
    await catalog.reload(WORKSPACE)
    assert catalog.destination(WORKSPACE, "dst_1").suppression(fields, NOW) is None


def config(**changes: Any) -> DestinationConfig:
    raw = {"name": "collector", "transport": {"url": "https://receiver.example.com/hook"}}
    return msgspec.convert({**raw, **changes}, DestinationConfig)


@pytest.mark.parametrize(
    "changes, pointer",
    [
        ({"filter": {"properties.value": {"$gtee": 1}}}, "/filter/properties.value/$gtee"),
        ({"template": "{{#if}"}, "/template"),
        ({"transport": {"url": "ftp://receiver.example.com"}}, "/transport/url"),
        ({"transport": {"url": "https://a.example.com", "timeout": "soon"}}, "/transport/timeout"),
        ({"transport": {"url": "https://a.example.com", "headers": {"Host": "b"}}}, "/transport/headers/Host"),
        ({"retry": {"backoff": "2s, later"}}, "/retry/backoff"),
        ({"retry": {"statuses": {"abc": "retry"}}}, "/retry/statuses/abc"),
        ({"rate_limit": {"events_per_second": 0}}, "/rate_limit/events_per_second"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_with_the_place(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_plan(config(**changes), PlanLimits())
    assert (caught.value.pointer or "").startswith(pointer)


async def test_what_an_older_release_has_saved_goes_on_working_as_it_did(
    configuration: Configuration, catalog: Catalog
) -> None:
    old = config(
        transport={"url": "https://receiver.example.com/hook", "timeout": "2s 10s", "read_timeout": "1s1s"},
        retry={"attempts": 2, "backoff": "2s, 30s 1m"},
        consent={"requires": ["", "x" * 101, "ad_storage"]},
    )
    await add(configuration, msgspec.structs.replace(destination("dst_1"), config=old))
    await catalog.load()
    plan = plan_of(catalog)
    assert (plan.renderer.timeout, plan.renderer.read_timeout, plan.retry.delays) == (12.0, 2.0, (2.0, 90.0))
    assert plan.config == old


async def put_unusable(configuration: Configuration, **changes: Any) -> None:
    """One destination that cannot be compiled, and one that can."""
    changed = config(filter={"platform": "web"}, **changes)
    await add(configuration, msgspec.structs.replace(destination("dst_1"), config=changed))
    await add(configuration, destination("dst_2"))


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"template": "{{#if}"}, "/template"),
        ({"retry": {"backoff": "soon"}}, "/retry/backoff"),
        ({"consent": {"redact": ["event_id"]}}, "/consent/redact/0"),
    ],
)
async def test_a_destination_that_cannot_be_compiled_stops_no_other_and_its_deliveries_wait(
    configuration: Configuration, catalog: Catalog, changes: dict[str, Any], place: str
) -> None:
    await put_unusable(configuration, **changes)
    with capture_logs() as logs:
        await catalog.load()
        await catalog.reload(WORKSPACE)
    broken = catalog.destination(WORKSPACE, "dst_1")
    assert broken.unusable is not None
    assert broken.unusable.startswith(f"{place}: ")
    assert (broken.is_live, broken.record.status) == (False, DestinationStatus.ACTIVE)
    assert catalog.destination(WORKSPACE, "dst_2").is_live
    assert [(each["event"], each["destination_id"]) for each in logs] == [("destination_unusable", "dst_1")]
    routes = catalog.tenant(WORKSPACE).routes
    assert [each.id for each in routes.route(event_fields(event()) | {"platform": "web"})] == ["dst_1", "dst_2"]
    assert [each.id for each in routes.route(event_fields(event()) | {"platform": "app"})] == ["dst_2"]


async def test_where_events_go_is_not_guessed(configuration: Configuration, catalog: Catalog) -> None:
    await add(configuration, msgspec.structs.replace(destination("dst_1"), config=config(filter={"platfrom": "web"})))
    with pytest.raises(Conflict, match=r"destination dst_1 cannot be used .* /filter/platfrom: "):
        await catalog.load()


async def test_a_suppression_that_cannot_be_compiled_lets_nothing_through(
    configuration: Configuration, catalog: Catalog
) -> None:
    await add(configuration, destination("dst_1"))
    await configuration.add_suppression(suppression(filter={"platfrom": "web"}))
    await catalog.load()
    assert not catalog.destination(WORKSPACE, "dst_1").is_live


async def test_a_suppression_may_be_as_deep_as_the_setting_says(
    database: Database, configuration: Configuration
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(11):
        deep = {"$not": deep}
    await add(configuration, destination("dst_1"))
    await configuration.add_suppression(suppression(filter=deep))
    limits = PlanLimits(filter_depth=12)
    catalog = Catalog(configuration, RulesStore(database), AudienceStore(database), VAULT, limits)
    await catalog.load()
    assert catalog.destination(WORKSPACE, "dst_1").is_live


def test_a_name_may_be_as_long_as_the_limit() -> None:
    assert compile_plan(config(name="x" * 200), PlanLimits()).config.name == "x" * 200
