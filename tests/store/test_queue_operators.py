"""What operators do to deliveries: replay or discard dead letters, empty a deleted destination's queue."""

from __future__ import annotations

import pytest

from tests.store.samples import (
    LEASE,
    NOW,
    OTHER_WORKSPACE,
    WORKSPACE,
    acceptance,
    ended,
    kept_request,
    only_delivery,
    settlement,
)
from tracklayer.model.delivery import DeliveryState
from tracklayer.store import History, Queue
from tracklayer.store.history import StoredDelivery

LATER = NOW + 100


@pytest.fixture
async def dead(queue: Queue) -> str:
    """The id of a dead letter with two attempts and a kept request."""
    item = acceptance()
    await queue.accept([item])
    await ended(
        queue,
        [
            settlement(
                only_delivery(item),
                DeliveryState.DEAD,
                number=2,
                retries=1,
                reason="gave up",
                status_code=503,
                kept=kept_request(b"as sent"),
            )
        ],
    )
    return only_delivery(item)


async def read(history: History, delivery_id: str, workspace: str = WORKSPACE) -> StoredDelivery:
    found = await history.delivery(workspace, delivery_id)
    assert found is not None
    return found


async def test_a_revived_dead_letter_is_due_now_with_its_retries_given_back_and_its_attempts_counted_on(
    queue: Queue, history: History, dead: str
) -> None:
    assert await queue.revive(WORKSPACE, [dead], as_sent=False, now=LATER) == [dead]

    found = await read(history, dead)

    assert (found.state, found.reason, found.due_at, found.updated_at) == (DeliveryState.PENDING, None, LATER, LATER)
    assert (found.attempts, found.retries) == (2, 0)
    assert (found.status_code, found.cause) == (503, "503")  # why it failed last, until the next attempt ends
    assert await queue.claim("dst_1", 1, now=LATER - 1, lease_until=LATER) == []


@pytest.mark.parametrize("as_sent", [True, False])
async def test_a_replay_brings_the_kept_request_only_where_it_is_sent_as_it_was(
    queue: Queue, dead: str, as_sent: bool
) -> None:
    await queue.revive(WORKSPACE, [dead], as_sent=as_sent, now=LATER)
    (work,) = await queue.claim("dst_1", 1, now=LATER, lease_until=LATER + LEASE)
    assert work.kept == (kept_request(b"as sent") if as_sent else None)


async def test_the_last_choice_of_how_to_replay_holds(queue: Queue, dead: str) -> None:
    await queue.revive(WORKSPACE, [dead], as_sent=True, now=LATER)
    await ended(queue, [settlement(dead, DeliveryState.DEAD, number=3, kept=kept_request(b"as sent"))])
    await queue.revive(WORKSPACE, [dead], as_sent=False, now=LATER)
    (work,) = await queue.claim("dst_1", 1, now=LATER, lease_until=LATER + LEASE)
    assert work.kept is None


async def test_a_discarded_dead_letter_stays_in_the_log_and_can_no_longer_be_revived(
    queue: Queue, history: History, dead: str
) -> None:
    assert await queue.discard(WORKSPACE, [dead], reason="not needed", now=LATER) == [dead]

    found = await read(history, dead)

    assert (found.state, found.reason, found.updated_at) == (DeliveryState.DISCARDED, "not needed", LATER)
    assert await queue.revive(WORKSPACE, [dead], as_sent=False, now=LATER) == []
    assert await queue.discard(WORKSPACE, [dead], reason="again", now=LATER) == []


@pytest.mark.parametrize("verb", ["revive", "discard"])
async def test_only_dead_letters_of_the_own_workspace_change(
    queue: Queue, history: History, dead: str, verb: str
) -> None:
    others = {
        state: acceptance(state.value, to=("dst_2",))
        for state in (DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.SUPPRESSED, DeliveryState.DISCARDED)
    }
    foreign = acceptance(workspace=OTHER_WORKSPACE)
    await queue.accept([*others.values(), foreign])
    await ended(queue, [settlement(only_delivery(item), state, due_at=LATER) for state, item in others.items()])
    await ended(queue, [settlement(only_delivery(foreign), DeliveryState.DEAD, reason="404")])
    everything = [dead, only_delivery(foreign), "dlv_unknown", *map(only_delivery, others.values())]

    async def change(workspace: str) -> list[str]:
        if verb == "revive":
            return await queue.revive(workspace, everything, as_sent=False, now=LATER)
        return await queue.discard(workspace, everything, reason="gone", now=LATER)

    before = [await read(history, only_delivery(item)) for item in others.values()]
    assert await change(WORKSPACE) == [dead]
    assert (await read(history, only_delivery(foreign), OTHER_WORKSPACE)).state is DeliveryState.DEAD
    assert await change(OTHER_WORKSPACE) == [only_delivery(foreign)]
    assert [await read(history, only_delivery(item)) for item in others.values()] == before


async def test_no_ids_change_nothing(queue: Queue, dead: str) -> None:
    assert await queue.revive(WORKSPACE, [], as_sent=False, now=LATER) == []
    assert await queue.discard(WORKSPACE, [], reason="none", now=LATER) == []


async def test_a_deleted_destination_lets_everything_go_that_waits_for_it(queue: Queue, history: History) -> None:
    waiting, leased = acceptance("waiting"), acceptance("leased", lease_until=NOW + LEASE)
    delivered, neighbour = acceptance("delivered"), acceptance("neighbour", to=("dst_2",))
    items = [waiting, leased, delivered, neighbour]
    await queue.accept(items)
    await ended(queue, [settlement(only_delivery(delivered))])

    assert await queue.discard_pending("dst_1", now=LATER) == 2

    states = [(await read(history, only_delivery(item))).state.value for item in items]
    assert states == ["discarded", "discarded", "delivered", "pending"]
    assert (await read(history, only_delivery(waiting))).reason == "the destination was deleted"
    assert await queue.next_at("dst_1") is None
    assert await queue.discard_pending("dst_1", now=LATER) == 0
