"""Where a destination keeps the order of a user's events: who is claimable, and who waits for an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tests.store.samples import LEASE, NOW, WORKSPACE, acceptance, ended, only_delivery, settlement
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Acceptance
from tracklayer.store import Queue


def ordered(event_id: str, user: str | None, *, at: float = NOW) -> Acceptance:
    """An event for a destination that keeps the order of this user's; of nobody, it waits for nobody."""
    item = acceptance(event_id, at=at)
    return replace(item, deliveries=tuple(replace(each, order_key=user) for each in item.deliveries))


async def claimed(queue: Queue, *, now: float = NOW) -> list[str]:
    found = await queue.claim("dst_1", 100, now=now, lease_until=now + LEASE)
    return [work.event.event_id for work in found]


async def accepted(queue: Queue, *items: Acceptance) -> Sequence[str]:
    await queue.accept(items)
    return [only_delivery(item) for item in items]


async def test_of_each_user_the_first_is_claimed_and_the_next_one_when_it_has_arrived(queue: Queue) -> None:
    first, second, other, _ = await accepted(
        queue, ordered("e_1", "u_1"), ordered("e_2", "u_1"), ordered("e_3", "u_2"), ordered("e_4", None)
    )
    assert set(await claimed(queue)) == {"e_1", "e_3", "e_4"}
    assert await claimed(queue) == []
    await queue.settle([settlement(other)])
    assert await claimed(queue) == []  # nobody else's end is what u_1 waits for
    await queue.settle([settlement(first)])
    assert await claimed(queue) == ["e_2"]
    await queue.settle([settlement(second)])
    assert await claimed(queue) == []


async def test_the_order_is_that_of_accepting_over_many_requests_and_whatever_the_clock_says(queue: Queue) -> None:
    deliveries: list[str] = []
    for number, at in enumerate((NOW, NOW - 5, NOW, NOW - 9)):
        deliveries += await accepted(queue, ordered(f"e_{number}", "u_1", at=at))
    for number, delivery_id in enumerate(deliveries):
        assert await claimed(queue) == [f"e_{number}"]
        await queue.settle([settlement(delivery_id)])


async def test_one_that_is_to_be_retried_holds_its_own_user_and_a_dead_letter_lets_go(queue: Queue) -> None:
    first, _ = await accepted(queue, ordered("e_1", "u_1"), ordered("e_2", "u_1"))
    await ended(queue, [settlement(first, DeliveryState.PENDING, status_code=503, due_at=NOW + 30)])
    await accepted(queue, ordered("e_3", "u_2"))
    assert await claimed(queue, now=NOW + 1) == ["e_3"]
    assert await claimed(queue, now=NOW + 30) == ["e_1"]
    await queue.settle([settlement(first, DeliveryState.DEAD, number=2, status_code=410, reason="410")])
    assert await claimed(queue, now=NOW + 31) == ["e_2"]


async def test_a_dead_letter_that_is_replayed_goes_before_what_came_later_and_nothing_goes_beside_it(
    queue: Queue,
) -> None:
    first, second, third = await accepted(queue, *(ordered(f"e_{number}", "u_1") for number in range(3)))
    for delivery_id in (first, second):
        await claimed(queue)
        await queue.settle([settlement(delivery_id, DeliveryState.DEAD, status_code=410, reason="410")])
    await claimed(queue)
    await queue.settle([settlement(third)])  # and nothing waits any more
    later = await accepted(queue, *(ordered(f"e_{number}", "u_1") for number in range(3, 6)))
    await queue.revive(WORKSPACE, [second], as_sent=False, now=NOW)
    for event_id, delivery_id in zip(("e_1", "e_3", "e_4", "e_5"), (second, *later), strict=True):
        assert await claimed(queue) == [event_id]
        await queue.settle([settlement(delivery_id)])
