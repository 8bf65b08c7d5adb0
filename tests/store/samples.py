"""What the store's tests accept and settle: ids follow from what they belong to, so that a test can name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from sqlalchemy import Connection, update

from tracklayer.errors import Unavailable
from tracklayer.identity import first_id
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationConfig, DestinationStatus, Transport
from tracklayer.model.event import Event, Json, event_to_json
from tracklayer.model.moment import rfc3339
from tracklayer.model.profile import ProfileUpdate
from tracklayer.model.records import DestinationRecord, VersionRecord
from tracklayer.model.work import Acceptance, Attempt, KeptRequest, NewDelivery, Settlement
from tracklayer.store import Database, Queue
from tracklayer.store.facts import Memories
from tracklayer.store.tables import deliveries

NOW = 1_770_000_000.0
WINDOW = 86_400.0  # the dedup window of the `queue` fixture, in seconds
LEASE = 60.0
WORKER = "wrk_1"  # whom the `queue` fixture is
WORKSPACE = "ws_1"
OTHER_WORKSPACE = "ws_2"


def event(
    event_id: str = "ord_1", *, name: str = "purchase", at: float = NOW, user: Mapping[str, Json] | None = None
) -> Event:
    """An event that was received at `at`; `user` is its `user_data`."""
    return Event(
        event_id=event_id,
        event_name=name,
        occurred_at=rfc3339(at),
        received_at=rfc3339(at),
        user_data=dict(user or {}),
    )


def acceptance(
    event_id: str = "ord_1",
    *,
    to: Sequence[str] = ("dst_1",),
    at: float = NOW,
    workspace: str = WORKSPACE,
    name: str = "purchase",
    test: bool = False,
    version: int = 1,
    state: DeliveryState = DeliveryState.PENDING,
    reason: str | None = None,
    lease_until: float | None = None,
    user: Mapping[str, Json] | None = None,
) -> Acceptance:
    """An event on its way into the store, with one delivery to each destination of `to`."""
    made = event(event_id, name=name, at=at, user=user)
    rest = f"{workspace}_{event_id}"
    pk = f"{first_id('evt', at)}_{rest}"
    deliveries = tuple(
        NewDelivery(
            id=f"{first_id('dlv', at)}_{rest}_{destination_id}",
            destination_id=destination_id,
            version=version,
            state=state,
            reason=reason,
            lease_until=lease_until,
        )
        for destination_id in to
    )
    body = event_to_json(made)
    return Acceptance(
        workspace_id=workspace, pk=pk, event=made, body=body, received_at=at, deliveries=deliveries, test=test
    )


def only_delivery(item: Acceptance) -> str:
    """The id of the one delivery of `item`."""
    (delivery,) = item.deliveries
    return delivery.id


def attempt(number: int = 1, *, action: str = "delivered", status_code: int | None = 200) -> Attempt:
    """The `number`-th attempt of a delivery."""
    return Attempt(
        number=number, version=1, started_at=NOW, action=action, rule=f"{status_code} decides", status_code=status_code
    )


def settlement(
    delivery_id: str,
    state: DeliveryState = DeliveryState.DELIVERED,
    *,
    number: int = 1,
    retries: int = 0,
    now: float = NOW,
    due_at: float = NOW,
    reason: str | None = None,
    status_code: int | None = 200,
    kept: KeptRequest | None = None,
) -> Settlement:
    """The end of a delivery's `number`-th attempt."""
    action = {DeliveryState.DELIVERED: "delivered", DeliveryState.PENDING: "retry"}.get(state, "dead")
    return Settlement(
        delivery_id=delivery_id,
        state=state,
        version=1,
        attempts=number,
        retries=retries,
        now=now,
        due_at=due_at,
        reason=reason,
        attempt=attempt(number, action=action, status_code=status_code),
        kept=kept,
    )


def kept_request(body: bytes | None = b"{}", *, sealed: bytes | None = None) -> KeptRequest:
    """A request as it was sent."""
    return KeptRequest(
        version=1,
        method="POST",
        url="https://receiver.example.com/hook",
        headers=(("content-type", "application/json"), ("x-twice", "1"), ("x-twice", "2")),
        body=body,
        sealed=sealed,
    )


def refused_by_the_schema() -> pytest.RaisesExc[Exception]:
    """What a driver raises, whichever it is, where a row breaks a constraint."""
    return pytest.RaisesExc(Exception, match="constraint", check=lambda error: not isinstance(error, Unavailable))


def destination_config(name: str = "collector") -> DestinationConfig:
    """The least that a destination needs."""
    return DestinationConfig(name=name, transport=Transport(url="https://receiver.example.com/hook"))


def destination(
    destination_id: str = "dst_1",
    *,
    version: int = 1,
    config: DestinationConfig | None = None,
    workspace: str = WORKSPACE,
    status: DestinationStatus = DestinationStatus.ACTIVE,
) -> DestinationRecord:
    """A destination as it is stored."""
    return DestinationRecord(
        id=destination_id,
        workspace_id=workspace,
        status=status,
        version=version,
        config=config or destination_config(),
        signing_sealed=None,
        previous_sealed=None,
        previous_until=None,
        created_at=NOW,
        updated_at=NOW,
    )


def version_of(record: DestinationRecord, *, note: str | None = None) -> VersionRecord:
    """The version that `record` is at."""
    return VersionRecord(
        destination_id=record.id,
        version=record.version,
        config=record.config,
        author="key_1",
        note=note,
        created_at=record.updated_at,
    )


async def ended(queue: Queue, settlements: Sequence[Settlement]) -> None:
    """Settle deliveries as the worker that holds their leases, in whatever state they are."""
    ids = [each.delivery_id for each in settlements]
    take = update(deliveries).where(deliveries.c.id.in_(ids)).values(lease_owner=WORKER)
    await queue._database.write(lambda connection: connection.execute(take))
    assert set(await queue.settle(settlements)) <= {each for each in ids if "unknown" in each}


def remember(database: Database, connection: Connection, said: Mapping[str, Sequence[ProfileUpdate]]) -> None:
    """Keep what is said of users, by workspace, within a transaction."""
    memory = Memories(database).within(connection)
    memory.remember(said)
    memory.write()


async def remembered(database: Database, said: Mapping[str, Sequence[ProfileUpdate]]) -> None:
    """The same in a transaction of its own."""
    await database.write(lambda connection: remember(database, connection, said))
