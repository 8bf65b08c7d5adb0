"""Claim: due deliveries only, the longest due first, each leased to one worker until the lease ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.store.samples import LEASE, NOW, acceptance, ended, event, kept_request, only_delivery, settlement
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import event_to_json
from tracklayer.model.work import Work
from tracklayer.store import Queue
from tracklayer.store.queue import Backlog


async def claim(queue: Queue, destination_id: str = "dst_1", *, limit: int = 100, now: float = NOW) -> list[Work]:
    return await queue.claim(destination_id, limit, now=now, lease_until=now + LEASE)


def ids(found: Iterable[Work]) -> list[str]:
    return [work.delivery_id for work in found]


async def test_a_claim_brings_all_that_an_attempt_needs(queue: Queue) -> None:
    item = acceptance(test=True)
    await queue.accept([item])

    assert await claim(queue) == [
        Work(
            delivery_id=only_delivery(item),
            destination_id="dst_1",
            event=event(),
            size=len(event_to_json(event())),
            attempts=0,
            retries=0,
            created_at=NOW,
            kept=None,
            test=True,
            lease_until=NOW + LEASE,
        )
    ]


async def test_a_claim_brings_what_was_spent_before(queue: Queue) -> None:
    item = acceptance()
    await queue.accept([item])
    kept = kept_request()
    await ended(
        queue, [settlement(only_delivery(item), DeliveryState.PENDING, number=3, retries=2, due_at=NOW + 5, kept=kept)]
    )

    (work,) = await claim(queue, now=NOW + 5)

    assert (work.attempts, work.retries) == (3, 2)
    assert work.kept is None  # a retry renders anew


async def test_a_delivery_is_claimable_from_its_due_time_on(queue: Queue) -> None:
    item = acceptance()
    await queue.accept([item])
    await ended(queue, [settlement(only_delivery(item), DeliveryState.PENDING, due_at=NOW + 10)])

    assert await claim(queue, now=NOW + 9.999) == []
    assert ids(await claim(queue, now=NOW + 10)) == [only_delivery(item)]


async def test_the_longest_due_comes_first_and_equals_in_the_order_of_their_ids(queue: Queue) -> None:
    late, early = acceptance("late", at=NOW + 2), acceptance("early", at=NOW)
    twins = [acceptance("twin_b", at=NOW + 1), acceptance("twin_a", at=NOW + 1)]
    await queue.accept([late, *twins, early])

    found = ids(await claim(queue, now=NOW + 10))

    assert found == [only_delivery(each) for each in (early, twins[1], twins[0], late)]


async def test_a_claim_takes_no_more_than_its_limit_and_the_next_takes_the_rest(queue: Queue) -> None:
    items = [acceptance(f"ord_{number}") for number in range(5)]
    await queue.accept(items)

    assert [len(await claim(queue, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_claim_is_for_one_destination(queue: Queue) -> None:
    item = acceptance(to=("dst_1", "dst_2"))
    await queue.accept([item])

    assert [work.destination_id for work in await claim(queue, "dst_2")] == ["dst_2"]
    assert [work.destination_id for work in await claim(queue, "dst_1")] == ["dst_1"]
    assert await claim(queue, "dst_3") == []


async def test_a_lease_that_ran_out_is_claimable_again(queue: Queue, other_queue: Queue) -> None:
    item = acceptance()
    await queue.accept([item])
    await claim(queue)

    assert await claim(other_queue, now=NOW + LEASE - 0.001) == []
    assert ids(await claim(other_queue, now=NOW + LEASE)) == [only_delivery(item)]


async def test_what_is_not_pending_is_never_claimed(queue: Queue) -> None:
    ends = [state for state in DeliveryState if state not in (DeliveryState.PENDING, DeliveryState.SENDING)]
    items = [acceptance(state.value) for state in ends]
    await queue.accept(items)
    await ended(
        queue,
        [settlement(only_delivery(item), state) for item, state in zip(items, ends, strict=True)],
    )

    assert await claim(queue, now=NOW + 10 * LEASE) == []


async def test_claimers_that_come_at_once_never_get_the_same_delivery(queue: Queue, other_queue: Queue) -> None:
    items = [acceptance(f"ord_{number:03}") for number in range(60)]
    await queue.accept(items)

    lots = await asyncio.gather(*(claim(one, limit=7) for _ in range(6) for one in (queue, other_queue)))

    found = [delivery_id for lot in lots for delivery_id in ids(lot)]
    assert len(found) == 60
    assert sorted(found) == sorted(only_delivery(item) for item in items)


async def test_next_at_is_when_the_next_may_be_claimed(queue: Queue) -> None:
    assert await queue.next_at("dst_1") is None
    await queue.accept([acceptance("a", at=NOW + 3), acceptance("b", at=NOW + 7), acceptance("c", to=("dst_2",))])
    assert await queue.next_at("dst_1") == NOW + 3

    await claim(queue, limit=1, now=NOW + 3)
    assert await queue.next_at("dst_1") == NOW + 7
    await claim(queue, limit=1, now=NOW + 7)
    assert await queue.next_at("dst_1") == NOW + 3 + LEASE  # when the first lease ends


async def test_the_backlog_tells_of_every_destination_that_has_anything_waiting(queue: Queue) -> None:
    delivered = acceptance("done", to=("dst_3",))
    await queue.accept(
        [acceptance("a", at=NOW + 3), acceptance("b", at=NOW), acceptance("c", to=("dst_2",)), delivered]
    )
    await ended(queue, [settlement(only_delivery(delivered))])
    await claim(queue, limit=1)  # leases b, the older one

    assert sorted(await queue.backlog(), key=lambda each: each.destination_id) == [
        Backlog(destination_id="dst_1", depth=2, oldest_at=NOW, next_at=NOW + 3),
        Backlog(destination_id="dst_2", depth=1, oldest_at=NOW, next_at=NOW),
    ]
