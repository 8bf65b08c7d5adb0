"""Settle ends a lease with the new state, the attempt and the kept request; release gives the lease back unspent."""

from __future__ import annotations

import msgspec
import pytest

from tests.store.samples import (
    LEASE,
    NOW,
    WORKSPACE,
    acceptance,
    attempt,
    ended,
    kept_request,
    only_delivery,
    refused_by_the_schema,
    settlement,
)
from tracklayer.model.delivery import DeliveryState, Timings
from tracklayer.model.work import Attempt, AttemptRecord
from tracklayer.store import History, Queue
from tracklayer.store.history import StoredDelivery

FAR = NOW + 1_000_000


@pytest.fixture
async def leased(queue: Queue) -> str:
    """The id of a delivery that this process has a lease of."""
    item = acceptance(lease_until=NOW + LEASE)
    await queue.accept([item])
    return only_delivery(item)


async def read(history: History, delivery_id: str) -> StoredDelivery:
    found = await history.delivery(WORKSPACE, delivery_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "state", [DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.SUPPRESSED, DeliveryState.DISCARDED]
)
async def test_a_final_state_is_written_with_its_reason_and_nothing_waits_any_more(
    queue: Queue, history: History, leased: str, state: DeliveryState
) -> None:
    await ended(queue, [settlement(leased, state, number=2, retries=1, now=NOW + 4, reason="why", status_code=503)])

    found = await read(history, leased)

    assert (found.state, found.reason, found.status_code) == (state, "why", 503)
    assert (found.attempts, found.retries, found.created_at, found.updated_at) == (2, 1, NOW, NOW + 4)
    assert await queue.next_at("dst_1") is None
    assert await queue.claim("dst_1", 1, now=FAR, lease_until=FAR) == []


@pytest.mark.parametrize(
    "status_code, error_kind, action, cause",
    [
        (200, None, "delivered", None),
        (401, None, "dead", "401"),
        (503, None, "retry", "503"),
        (200, None, "dead", "success_rule"),
        (None, "timeout", "retry", "timeout"),
        (None, "render", "dead", "render"),
    ],
)
async def test_the_cause_of_the_last_failure_is_written(
    queue: Queue,
    history: History,
    leased: str,
    status_code: int | None,
    error_kind: str | None,
    action: str,
    cause: str | None,
) -> None:
    made = msgspec.structs.replace(attempt(action=action, status_code=status_code), error_kind=error_kind)
    state = {"delivered": DeliveryState.DELIVERED, "dead": DeliveryState.DEAD}.get(action, DeliveryState.PENDING)

    await ended(queue, [msgspec.structs.replace(settlement(leased, state), attempt=made)])

    assert (await read(history, leased)).cause == cause


async def test_what_a_rule_stopped_has_no_cause(queue: Queue, history: History, leased: str) -> None:
    await ended(queue, [settlement(leased, DeliveryState.PENDING, status_code=503)])
    await ended(queue, [msgspec.structs.replace(settlement(leased, DeliveryState.SUPPRESSED), attempt=None)])

    assert (await read(history, leased)).cause is None


async def test_a_retry_waits_until_it_is_due_whatever_its_lease_was(
    queue: Queue, history: History, leased: str
) -> None:
    await ended(queue, [settlement(leased, DeliveryState.PENDING, retries=1, due_at=NOW + 2, status_code=503)])

    found = await read(history, leased)

    assert (found.state, found.due_at, found.retries) == (DeliveryState.PENDING, NOW + 2, 1)
    assert await queue.next_at("dst_1") == NOW + 2
    assert await queue.release_all(now=NOW) == 0  # the lease is gone


async def test_the_attempts_of_a_delivery_are_kept_in_order(queue: Queue, history: History, leased: str) -> None:
    first = Attempt(
        number=1,
        version=3,
        started_at=NOW,
        action="retry",
        rule="a reset is retried (default rule)",
        error_kind="reset",
        error="the receiver closed the connection",
        record=AttemptRecord(timings=Timings(resolve_ms=0.1, total_ms=2.5)),
    )
    second = Attempt(
        number=2,
        version=4,
        started_at=NOW + 2,
        action="delivered",
        rule="200",
        status_code=200,
        record=AttemptRecord(headers=(("x-a", "1"), ("x-a", "2")), body="ok — ✓", truncated=True, waited=1.5),
    )
    for number, each in enumerate((first, second), start=1):
        row = settlement(leased, DeliveryState.PENDING, number=number)
        await ended(queue, [msgspec.structs.replace(row, attempt=each)])

    assert await history.attempts(leased) == [first, second]


async def test_a_settlement_without_an_attempt_adds_none(queue: Queue, history: History, leased: str) -> None:
    row = settlement(leased, DeliveryState.SUPPRESSED, reason="consent: ad_storage is denied")
    await ended(queue, [msgspec.structs.replace(row, attempt=None)])

    assert await history.attempts(leased) == []
    found = await read(history, leased)
    assert (found.state, found.status_code) == (DeliveryState.SUPPRESSED, None)


async def test_settling_again_after_a_commit_of_unknown_outcome_changes_nothing(
    queue: Queue, history: History, leased: str
) -> None:
    once = settlement(leased, DeliveryState.DEAD, number=2, reason="404", status_code=404, kept=kept_request())

    await ended(queue, [once])
    before = (await read(history, leased), await history.attempts(leased), await history.kept_request(leased))
    await ended(queue, [once])

    after = (await read(history, leased), await history.attempts(leased), await history.kept_request(leased))
    assert after == before
    assert len(after[1]) == 1


@pytest.mark.parametrize(
    "kept", [kept_request(b'{"a": 1}'), kept_request(b"masked", sealed=b"\x00\xff"), kept_request(None)]
)
async def test_a_kept_request_is_read_back_as_it_was_sent(
    queue: Queue, history: History, leased: str, kept: object
) -> None:
    row = settlement(leased, DeliveryState.DEAD)
    await ended(queue, [msgspec.structs.replace(row, kept=kept)])
    assert await history.kept_request(leased) == kept


async def test_the_request_of_the_last_failed_attempt_replaces_the_one_before(
    queue: Queue, history: History, leased: str
) -> None:
    await ended(queue, [settlement(leased, DeliveryState.PENDING, number=1, kept=kept_request(b"one", sealed=b"s"))])
    await ended(queue, [settlement(leased, DeliveryState.DEAD, number=2, kept=kept_request(b"two"))])

    assert await history.kept_request(leased) == kept_request(b"two")


async def test_many_are_settled_in_one_transaction(queue: Queue, history: History) -> None:
    items = [acceptance(f"ord_{number}") for number in range(4)]
    await queue.accept(items)
    ids = [only_delivery(item) for item in items]

    await ended(
        queue,
        [
            settlement(ids[0]),
            settlement(ids[1], DeliveryState.DEAD, kept=kept_request(b"1")),
            settlement(ids[2], DeliveryState.DEAD, kept=kept_request(b"2")),
        ],
    )

    states = [(await read(history, delivery_id)).state.value for delivery_id in ids]
    assert states == ["delivered", "dead", "dead", "pending"]
    assert [len(await history.attempts(delivery_id)) for delivery_id in ids] == [1, 1, 1, 0]
    assert await history.kept_request(ids[2]) == kept_request(b"2")


async def test_nothing_to_settle_is_no_work(queue: Queue) -> None:
    await ended(queue, [])


async def test_a_released_delivery_is_claimable_at_once_by_anybody(
    queue: Queue, other_queue: Queue, leased: str
) -> None:
    await queue.release([leased])
    (work,) = await other_queue.claim("dst_1", 1, now=NOW, lease_until=NOW + LEASE)
    assert work.delivery_id == leased


async def test_a_released_retry_keeps_its_due_time(queue: Queue, leased: str) -> None:
    await ended(queue, [settlement(leased, DeliveryState.PENDING, due_at=NOW + 30)])
    await queue.claim("dst_1", 1, now=NOW + 40, lease_until=FAR)

    await queue.release([leased])

    assert await queue.next_at("dst_1") == NOW + 30


async def test_a_release_leaves_what_is_settled_alone(queue: Queue, history: History, leased: str) -> None:
    await ended(queue, [settlement(leased)])
    before = await read(history, leased)

    await queue.release([leased, "dlv_unknown"])

    assert await read(history, leased) == before


async def test_nothing_to_release_is_no_work(queue: Queue) -> None:
    await queue.release([])


async def test_after_a_crash_every_lease_is_given_back_and_interrupted_tests_are_let_go(
    queue: Queue, other_queue: Queue, history: History
) -> None:
    live, waiting = acceptance("live"), acceptance("waiting", to=("dst_2",))
    interrupted = acceptance("test", test=True, lease_until=FAR)
    replayed_test = acceptance("test_2", test=True, to=("dst_2",))  # a test that nobody holds
    await queue.accept([live, waiting, interrupted, replayed_test])
    await other_queue.claim("dst_1", 10, now=NOW, lease_until=FAR)

    assert await queue.release_all(now=NOW + 9) == 1

    assert await queue.next_at("dst_1") == NOW
    let_go = await read(history, only_delivery(interrupted))
    assert (let_go.state, let_go.updated_at) == (DeliveryState.DISCARDED, NOW + 9)
    assert let_go.reason == "the server stopped during the test"
    assert (await read(history, only_delivery(live))).state is DeliveryState.PENDING
    assert (await read(history, only_delivery(replayed_test))).state is DeliveryState.PENDING


async def test_a_settlement_is_all_or_nothing(queue: Queue, history: History, leased: str) -> None:
    broken = msgspec.structs.replace(attempt(), rule=None)  # the schema wants one
    rows = [settlement(leased, DeliveryState.DEAD, kept=kept_request())]
    rows.append(msgspec.structs.replace(rows[0], attempt=broken))

    with refused_by_the_schema():
        await ended(queue, rows)

    assert (await read(history, leased)).state is DeliveryState.PENDING
    assert await history.attempts(leased) == []
    assert await history.kept_request(leased) is None
