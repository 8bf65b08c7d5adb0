from __future__ import annotations

import asyncio

import pytest

from tests.flow.plans import NOW, destination, work
from tests.virtual_time import VirtualClock, in_virtual_time
from tracklayer.catalog import Destination
from tracklayer.errors import Unavailable
from tracklayer.flow.lane import HIGH_WATER, LOW_WATER, OVERDUE, Lane, MakePace
from tracklayer.flow.pace import OwnPace
from tracklayer.model.delivery import Verdict
from tracklayer.model.destination import DestinationStatus, RateLimit

LEASE = 60.0


def to(rate: float | None = None, status: DestinationStatus = DestinationStatus.ACTIVE) -> Destination:
    limit = None if rate is None else RateLimit(events_per_second=rate, burst=1)
    return destination(status=status, rate_limit=limit)


def lane(rate: float | None = None, *, cap: int = 64, tokens: float | None = None) -> Lane:
    return Lane(to(rate), cap=cap, lease=LEASE, now=NOW, make_pace=own_pace(tokens))


def own_pace(tokens: float | None = None) -> MakePace:
    """The rate limit of a process that delivers alone; it begins with `tokens`, or with its burst."""
    return lambda _, limit, now: OwnPace(limit, now, tokens)


def fill(filled: Lane, count: int) -> None:
    for number in range(count):
        assert filled.add(work(number))


def test_a_delivery_that_is_here_is_not_taken_twice() -> None:
    full = lane()
    fill(full, 1)
    assert not full.add(work(0))
    full.queue.popleft()  # on its way, and still held
    assert not full.add(work(0))


@pytest.mark.parametrize(
    "rate, room", [(None, HIGH_WATER), (2, 60), (1000, HIGH_WATER), (0.001, 1)], ids=["none", "2/s", "1000/s", "rare"]
)
def test_a_lane_holds_what_can_be_sent_within_half_a_lease(rate: float | None, room: int) -> None:
    assert lane(rate).room == room


def test_what_is_queued_or_being_stored_takes_room() -> None:
    filled = lane(2)
    fill(filled, 20)
    filled.reserved = 10
    assert filled.room == 30
    filled.reserved = 40
    assert filled.room == 0
    assert not filled.may_skip_the_store(NOW)


def test_new_deliveries_do_not_overtake_what_waits_in_the_store_for_long() -> None:
    waiting = lane()
    assert waiting.may_skip_the_store(NOW)
    waiting.notice(NOW)
    assert waiting.may_skip_the_store(NOW + OVERDUE / 2)
    assert not waiting.may_skip_the_store(NOW + OVERDUE)


@pytest.mark.parametrize("rate, low", [(None, LOW_WATER), (2, 30), (0.001, 1)], ids=["none", "2/s", "rare"])
def test_the_store_is_asked_when_the_queue_is_low_and_something_is_due(rate: float | None, low: int) -> None:
    asking = lane(rate)
    assert not asking.should_claim(NOW)  # nothing is known to be there
    asking.notice(NOW + 5)
    assert not asking.should_claim(NOW + 4)
    assert asking.should_claim(NOW + 5)
    fill(asking, low - 1)
    assert asking.should_claim(NOW + 5)
    asking.add(work(low))
    assert not asking.should_claim(NOW + 5)


def test_the_earliest_notice_counts() -> None:
    noticed = lane()
    noticed.notice(NOW + 5)
    noticed.notice(NOW + 9)
    assert noticed.more_at == NOW + 5
    noticed.notice(NOW + 1)
    assert noticed.more_at == NOW + 1


def test_an_empty_lane_waits_for_what_is_to_come() -> None:
    empty = lane()
    before = empty.is_idle, empty.wait(NOW)
    empty.notice(NOW + 7)
    after = empty.is_idle, empty.wait(NOW)
    assert (before, after) == ((True, None), (False, 7))


def test_a_lane_with_something_in_flight_is_not_idle() -> None:
    busy = lane()
    fill(busy, 1)
    busy.queue.popleft()
    assert not busy.is_idle


def test_the_next_goes_at_once_where_nothing_holds_it() -> None:
    free = lane()
    fill(free, 1)
    assert free.wait(NOW) == 0


def test_the_next_waits_until_an_attempt_ends_where_the_window_is_full() -> None:
    full = lane(cap=2)
    fill(full, 3)
    full.in_flight.update(("dlv_a", "dlv_b"))
    assert full.wait(NOW) is None
    full.in_flight.remove("dlv_a")
    assert full.wait(NOW) == 0


def test_a_full_window_spends_no_token() -> None:
    full = lane(1, cap=1)
    fill(full, 1)
    full.in_flight.add("dlv_a")
    assert full.wait(NOW) is None
    full.in_flight.clear()
    assert full.wait(NOW) == 0


def test_the_next_waits_for_its_token() -> None:
    limited = lane(10)
    fill(limited, 2)
    assert limited.wait(NOW) == 0
    assert limited.wait(NOW) == pytest.approx(0.1 / 0.98)


def test_a_lane_may_begin_without_tokens() -> None:
    assert lane(10).take_token(NOW) == 0
    assert lane(10, tokens=0.0).take_token(NOW) == pytest.approx(0.1 / 0.98)


def test_a_throttle_holds_the_lane_and_spends_no_token() -> None:
    held = lane(1)
    fill(held, 1)
    held.learn(Verdict(action="retry", rule="", retry_after=30, throttles=True), NOW)
    assert held.wait(NOW + 10) == 20
    assert held.wait(NOW + 30) == 0


def test_a_later_throttle_never_shortens_the_first() -> None:
    held = lane()
    fill(held, 1)
    held.learn(Verdict(action="retry", rule="", retry_after=30, throttles=True), NOW)
    held.learn(Verdict(action="dead", rule="", retry_after=1, throttles=True), NOW)
    assert held.wait(NOW) == 30


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(action="retry", rule="", retry_after=30, throttles=False),
        Verdict(action="retry", rule="", retry_after=None, throttles=True),
    ],
)
def test_only_a_throttle_that_says_how_long_holds_the_lane(verdict: Verdict) -> None:
    free = lane()
    fill(free, 1)
    free.learn(verdict, NOW)
    assert free.wait(NOW) == 0


def test_two_failures_halve_the_window_and_an_answer_widens_it() -> None:
    learning = lane()
    retry, dead = Verdict(action="retry", rule=""), Verdict(action="dead", rule="")
    learning.learn(retry, NOW)
    assert learning.window.size == 8
    learning.learn(retry, NOW)
    assert learning.window.size == 4
    learning.learn(dead, NOW)  # the receiver answers: a 404 speaks of the event and not of its health
    assert learning.window.size == 5


def test_a_changed_limit_keeps_what_was_spent() -> None:
    changed = lane(10)
    assert changed.take_token(NOW) == 0
    changed.update(to(100), NOW)
    assert (changed.take_token(NOW) or 0) > 0
    changed.update(to(None), NOW)
    assert changed.take_token(NOW) == 0
    changed.update(to(10), NOW)
    assert changed.take_token(NOW) == 0


def test_a_paused_or_deleted_lane_is_closed() -> None:
    closing = lane()
    seen = [closing.is_open]
    closing.update(to(status=DestinationStatus.PAUSED), NOW)
    seen += [closing.is_open, closing.may_skip_the_store(NOW)]
    closing.update(to(), NOW)
    seen.append(closing.is_open)
    closing.retire()
    seen.append(closing.is_open)
    assert seen == [True, False, False, True, False]


def test_emptying_keeps_hold_of_what_is_in_flight() -> None:
    emptied = lane()
    fill(emptied, 3)
    sent = emptied.queue.popleft()
    assert [each.delivery_id for each in emptied.empty()] == ["dlv_1", "dlv_2"]
    assert emptied.held == {sent.delivery_id}
    assert emptied.add(work(1))


@in_virtual_time
async def test_sleeping_ends_in_time_or_when_woken() -> None:
    loop = asyncio.get_running_loop()
    sleeping = lane()
    await sleeping.sleep(5)
    assert loop.time() == 5
    loop.call_later(2, sleeping.wake)
    await sleeping.sleep(None)
    assert loop.time() == 7
    loop.call_later(1, sleeping.notice, 0.0)
    await sleeping.sleep(100)
    assert loop.time() == 8


@in_virtual_time
async def test_what_happened_before_the_sleep_ends_it_at_once() -> None:
    sleeping = lane()
    sleeping.wake()
    await sleeping.sleep(100)
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_a_token_is_waited_for_unless_it_is_far_away() -> None:
    clock = VirtualClock()
    limited = Lane(to(0.1), cap=1, lease=LEASE, now=clock.now(), make_pace=own_pace())
    began = clock.now()
    await limited.wait_for_token(clock)
    assert clock.now() == began
    await limited.wait_for_token(clock)
    assert clock.now() == pytest.approx(began + 10 / 0.98)
    rare = Lane(to(0.001), cap=1, lease=LEASE, now=clock.now(), make_pace=own_pace(0.0))
    with pytest.raises(Unavailable, match="the rate limit leaves no room for 1020 s"):
        await rare.wait_for_token(clock)
