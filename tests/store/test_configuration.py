"""Everything that people configure is read back as it was saved; saves never overwrite each other unseen."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE, destination, destination_config, version_of
from tracklayer.model.destination import (
    Consent,
    DestinationConfig,
    DestinationStatus,
    RateLimit,
    Retry,
    Signing,
    Success,
    Transport,
)
from tracklayer.model.records import ApiKey, DestinationRecord, SealedSecret, Suppression, VersionRecord, Workspace
from tracklayer.store import Configuration

FULL = DestinationConfig(
    name="internal-collector — ünïcode",
    transport=Transport(
        url="https://hooks.internal.example.com/events/{{event_name}}",
        method="PUT",
        headers={"Authorization": "Bearer {{secrets.webhook_token}}", "X-Environment": "production"},
        timeout="10s",
        connect_timeout=2.5,
        read_timeout=3,
    ),
    signing=Signing(scheme="standard-webhooks"),
    filter={"event_name": ["purchase"], "properties.value": {"$gte": Decimal("100.10"), "$lt": 10**20}},
    template='{ "type": "{{event_name}}" }',
    retry=Retry(attempts=2, backoff=["2s", 10, 0.5], jitter=0, statuses={"409": "retry", "5xx": "dead"}),
    success=Success(json={"code": 0, "amount": Decimal("1.50")}, otherwise="retry"),
    rate_limit=RateLimit(events_per_second=0.5, burst=3),
    consent=Consent(requires=["ad_storage"], when_unknown="allow"),
)


def secret(
    name: str = "token", *, workspace: str = WORKSPACE, sealed: bytes = b"\x00sealed", at: float = NOW
) -> SealedSecret:
    return SealedSecret(workspace_id=workspace, name=name, sealed=sealed, hint="…3b27", created_at=at, updated_at=at)


def api_key(key_id: str = "key_1", *, workspace: str = WORKSPACE, scopes: frozenset[str] = frozenset()) -> ApiKey:
    return ApiKey(
        id=key_id,
        workspace_id=workspace,
        name="ci",
        hash=f"hash of {key_id}",
        hint="…abcd",
        scopes=scopes,
        created_at=NOW,
    )


def newer(
    record: DestinationRecord, config: DestinationConfig | None = None, *, at: float = NOW + 1
) -> tuple[DestinationRecord, VersionRecord]:
    changed = msgspec.structs.replace(record, version=record.version + 1, config=config or record.config, updated_at=at)
    return changed, version_of(changed)


async def test_workspaces_come_back_oldest_first(configuration: Configuration) -> None:
    new, old = Workspace(id="ws_1", name="new", created_at=NOW), Workspace(id="ws_2", name="old", created_at=NOW - 1)
    await configuration.add_workspace(new)
    await configuration.add_workspace(old)
    assert await configuration.workspaces() == [old, new]


async def test_an_api_key_comes_back_with_its_scopes_until_it_is_removed(configuration: Configuration) -> None:
    keys = [
        api_key("key_1", scopes=frozenset({"events:write", "events:read"})),
        api_key("key_2", workspace=OTHER_WORKSPACE),
    ]
    for key in keys:
        await configuration.add_api_key(key)
    assert await configuration.api_keys() == keys

    assert await configuration.remove_api_key("key_1")
    assert await configuration.api_keys() == keys[1:]


async def test_of_admin_keys_that_go_at_once_one_stays_in_each_workspace(configuration: Configuration) -> None:
    admin = frozenset({"admin", "events:write"})
    for number in range(4):
        await configuration.add_api_key(api_key(f"key_{number}", scopes=admin))
    await configuration.add_api_key(api_key("key_other", workspace=OTHER_WORKSPACE, scopes=admin))
    await configuration.add_api_key(api_key("key_reader", scopes=frozenset({"events:read"})))

    removed = await asyncio.gather(*(configuration.remove_api_key(f"key_{number}") for number in range(4)))

    assert sorted(removed) == [False, True, True, True]
    left = {key.id for key in await configuration.api_keys()}
    assert left == {f"key_{removed.index(False)}", "key_other", "key_reader"}
    assert not await configuration.remove_api_key("key_other")
    assert await configuration.remove_api_key("key_reader")


async def test_a_secret_is_replaced_and_keeps_its_birthday(configuration: Configuration) -> None:
    await configuration.put_secret(secret(sealed=b"old"))
    await configuration.put_secret(secret(sealed=b"new", at=NOW + 5))

    (found,) = await configuration.secrets()

    assert (found.sealed, found.created_at, found.updated_at) == (b"new", NOW, NOW + 5)


async def test_the_same_name_in_two_workspaces_is_two_secrets(configuration: Configuration) -> None:
    mine, theirs, other = secret(), secret(workspace=OTHER_WORKSPACE), secret("another")
    for each in (mine, theirs, other):
        await configuration.put_secret(each)

    await configuration.remove_secret(WORKSPACE, "token")

    assert await configuration.secrets() == [other, theirs]  # by name


@pytest.mark.parametrize("config", [FULL, destination_config()], ids=["full", "least"])
async def test_a_destination_is_read_back_as_it_was_saved(
    configuration: Configuration, config: DestinationConfig
) -> None:
    record = msgspec.structs.replace(
        destination(config=config, status=DestinationStatus.DRAFT),
        signing_sealed=b"\x01",
        previous_sealed=b"\x02",
        previous_until=NOW + 60,
    )
    await configuration.add_destination(record, version_of(record, note="the first"))

    assert await configuration.destinations() == [record]
    assert await configuration.destination(record.id) == record
    assert await configuration.versions(record.id) == [version_of(record, note="the first")]


async def test_decimals_of_a_filter_keep_every_digit(configuration: Configuration) -> None:
    record = destination(config=FULL)
    await configuration.add_destination(record, version_of(record))

    found = await configuration.destination(record.id)

    assert found is not None
    threshold = found.config.filter["properties.value"]["$gte"]
    assert isinstance(threshold, Decimal)
    assert str(threshold) == "100.10"


async def test_an_unknown_destination_or_version_is_none(configuration: Configuration) -> None:
    assert await configuration.destination("dst_unknown") is None
    assert await configuration.version("dst_unknown", 1) is None
    assert await configuration.versions("dst_unknown") == []


async def test_every_save_makes_a_version_and_older_ones_stay(configuration: Configuration) -> None:
    first = destination()
    await configuration.add_destination(first, version_of(first))
    second, version = newer(first, FULL)

    assert await configuration.update_destination(first, second, version)

    assert await configuration.destination(first.id) == second
    assert [each.version for each in await configuration.versions(first.id)] == [2, 1]
    assert await configuration.version(first.id, 1) == version_of(first)
    assert await configuration.version(first.id, 2) == version


async def test_a_change_of_status_makes_no_version(configuration: Configuration) -> None:
    record = destination()
    await configuration.add_destination(record, version_of(record))
    paused = msgspec.structs.replace(record, status=DestinationStatus.PAUSED, updated_at=NOW + 1)

    assert await configuration.update_destination(record, paused)

    assert await configuration.destinations() == [paused]
    assert len(await configuration.versions(record.id)) == 1


async def test_a_save_over_a_version_that_is_gone_changes_nothing(configuration: Configuration) -> None:
    first = destination()
    await configuration.add_destination(first, version_of(first))
    second, version = newer(first)
    assert await configuration.update_destination(first, second, version)
    late, its_version = newer(first, FULL)

    assert not await configuration.update_destination(first, late, its_version)

    assert await configuration.destination(first.id) == second
    assert len(await configuration.versions(first.id)) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"status": DestinationStatus.PAUSED},
        {"signing_sealed": b"new", "previous_sealed": b"old", "previous_until": NOW + 9},
        {"deleted_at": NOW},
    ],
)
async def test_what_makes_no_version_is_not_written_over_either(
    configuration: Configuration, changed: dict[str, Any]
) -> None:
    first = destination()
    await configuration.add_destination(first, version_of(first))
    meanwhile = msgspec.structs.replace(first, **changed)
    assert await configuration.update_destination(first, meanwhile)
    late, its_version = newer(first, FULL)

    assert not await configuration.update_destination(first, late, its_version)

    assert await configuration.destination(first.id) == meanwhile
    again, version = newer(meanwhile, FULL)
    assert await configuration.update_destination(meanwhile, again, version)


async def test_of_saves_that_come_at_once_one_wins(configuration: Configuration) -> None:
    first = destination()
    await configuration.add_destination(first, version_of(first))
    saves = [newer(first, destination_config(f"name {number}")) for number in range(5)]

    results = await asyncio.gather(
        *(configuration.update_destination(first, record, version) for record, version in saves)
    )

    assert sorted(results) == [False] * 4 + [True]
    assert await configuration.destination(first.id) == saves[results.index(True)][0]


async def test_an_update_of_a_destination_that_never_was_is_none(configuration: Configuration) -> None:
    unknown = destination("dst_unknown")
    assert not await configuration.update_destination(unknown, unknown)


async def test_a_deleted_destination_is_no_longer_listed_but_still_known(configuration: Configuration) -> None:
    kept, gone = destination("dst_1"), destination("dst_2")
    for record in (gone, kept):
        await configuration.add_destination(record, version_of(record))
    deleted = msgspec.structs.replace(gone, deleted_at=NOW + 1)

    assert await configuration.update_destination(gone, deleted)

    assert await configuration.destinations() == [kept]
    assert await configuration.destination("dst_2") == deleted


async def test_suppressions_come_back_with_their_filter_until_they_are_removed(configuration: Configuration) -> None:
    everything = Suppression(
        id="sup_1",
        workspace_id=WORKSPACE,
        destination_id="dst_1",
        filter={},
        reason="incident",
        author="key_1",
        created_at=NOW,
    )
    some = msgspec.structs.replace(
        everything, id="sup_2", filter={"properties.value": {"$gt": Decimal("0.10")}}, until=NOW + 60
    )
    for each in (some, everything):
        assert await configuration.add_suppression(each)
        assert not await configuration.add_suppression(each)
    assert await configuration.suppressions() == [everything, some]

    await configuration.remove_suppression("sup_1")
    assert await configuration.suppressions() == [some]
