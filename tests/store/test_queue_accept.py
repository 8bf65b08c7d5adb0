"""Accept: all or nothing, and one event for one id within the dedup window."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.store.samples import (
    LEASE,
    NOW,
    OTHER_WORKSPACE,
    WINDOW,
    WORKSPACE,
    acceptance,
    only_delivery,
    refused_by_the_schema,
)
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import Event, event_to_json
from tracklayer.model.work import Acceptance, Accepted
from tracklayer.store import Database, History, Queue
from tracklayer.store.history import DeliveryFilter
from tracklayer.store.search import LONGEST_USER
from tracklayer.store.tables import event_users


async def stored_ids(history: History, workspace: str = WORKSPACE) -> list[str]:
    return [stored.event.event_id for stored in await history.events(workspace, limit=100)]


async def test_an_event_is_read_back_as_it_was_accepted(queue: Queue, history: History) -> None:
    event = Event(
        event_id="ord_1",
        event_name="purchase",
        occurred_at="2026-05-05T10:30:00Z",
        received_at="2026-05-05T10:30:01Z",
        platform="shopify",
        segment=["vip_customers"],
        user_data={"email": "zoë@example.com"},
        properties={"value": Decimal("149.90"), "items": [{"id": 1}], "huge": 2**70},
        context={"extra": {"nothing": None}},
        consent={"ad_storage": "granted"},
    )
    item = Acceptance(
        workspace_id=WORKSPACE,
        pk="evt_1",
        event=event,
        body=event_to_json(event),
        received_at=NOW,
        deliveries=(),
        test=True,
    )

    assert await queue.accept([item]) == [Accepted(False, NOW)]

    stored = await history.event(WORKSPACE, "ord_1")
    assert stored is not None
    assert (stored.pk, stored.event, stored.received_at, stored.test) == ("evt_1", event, NOW, True)
    assert str(stored.event.properties["value"]) == "149.90"


async def test_a_new_delivery_waits_due_at_once_with_nothing_spent(queue: Queue, history: History) -> None:
    item = acceptance(version=7)
    await queue.accept([item])

    delivery = await history.delivery(WORKSPACE, only_delivery(item))

    assert delivery is not None
    assert msgspec.structs.asdict(delivery) == {
        "id": only_delivery(item),
        "workspace_id": WORKSPACE,
        "destination_id": "dst_1",
        "event_pk": item.pk,
        "event_id": "ord_1",
        "event_name": "purchase",
        "state": DeliveryState.PENDING,
        "reason": None,
        "test": False,
        "as_sent": False,
        "version": 7,
        "attempts": 0,
        "retries": 0,
        "status_code": None,
        "cause": None,
        "created_at": NOW,
        "updated_at": NOW,
        "due_at": NOW,
    }


async def test_a_suppressed_delivery_keeps_its_reason_and_is_never_claimed(queue: Queue, history: History) -> None:
    item = acceptance(state=DeliveryState.SUPPRESSED, reason="consent: ad_storage is denied")
    await queue.accept([item])

    delivery = await history.delivery(WORKSPACE, only_delivery(item))

    assert delivery is not None
    assert (delivery.state, delivery.reason) == (DeliveryState.SUPPRESSED, "consent: ad_storage is denied")
    assert await queue.claim("dst_1", 10, now=NOW + WINDOW, lease_until=NOW + WINDOW) == []
    assert await queue.backlog() == []


async def test_a_delivery_that_is_accepted_under_a_lease_is_claimable_when_the_lease_ends(queue: Queue) -> None:
    item = acceptance(lease_until=NOW + LEASE)
    await queue.accept([item])

    assert await queue.claim("dst_1", 10, now=NOW + LEASE - 0.001, lease_until=NOW + 2 * LEASE) == []
    (work,) = await queue.claim("dst_1", 10, now=NOW + LEASE, lease_until=NOW + 2 * LEASE)
    assert work.delivery_id == only_delivery(item)


async def test_the_same_id_again_is_a_duplicate_and_stores_nothing(queue: Queue, history: History) -> None:
    await queue.accept([acceptance()])

    answers = await queue.accept([acceptance(at=NOW + 5, to=("dst_1", "dst_2"))])

    assert answers == [Accepted(True, NOW)]
    assert await stored_ids(history) == ["ord_1"]
    assert [each.destination_id for each in await history.deliveries(WORKSPACE, DeliveryFilter(), limit=10)] == [
        "dst_1"
    ]


@pytest.mark.parametrize("age, duplicate", [(WINDOW - 0.001, True), (WINDOW, False), (WINDOW + 1, False)])
async def test_an_id_is_remembered_for_the_dedup_window(queue: Queue, age: float, duplicate: bool) -> None:
    await queue.accept([acceptance()])
    (answer,) = await queue.accept([acceptance(at=NOW + age)])
    assert answer == Accepted(duplicate, NOW if duplicate else NOW + age)


async def test_a_duplicate_does_not_make_the_window_longer(queue: Queue) -> None:
    await queue.accept([acceptance()])
    await queue.accept([acceptance(at=NOW + WINDOW / 2)])
    assert await queue.accept([acceptance(at=NOW + WINDOW)]) == [Accepted(False, NOW + WINDOW)]


async def test_after_the_window_both_events_are_kept_and_the_id_means_the_newer(queue: Queue, history: History) -> None:
    first, second = acceptance(), acceptance(at=NOW + WINDOW)
    await queue.accept([first])
    await queue.accept([second])

    assert [stored.pk for stored in await history.events(WORKSPACE, limit=10)] == [second.pk, first.pk]
    newest = await history.event(WORKSPACE, "ord_1")
    assert newest is not None
    assert newest.pk == second.pk


async def test_the_first_of_two_equal_ids_in_one_batch_wins(queue: Queue, history: History) -> None:
    batch = [acceptance("a"), acceptance("b"), acceptance("a", at=NOW + 1), acceptance("c")]

    answers = await queue.accept(batch)

    assert answers == [Accepted(False, NOW), Accepted(False, NOW), Accepted(True, NOW), Accepted(False, NOW)]
    assert sorted(await stored_ids(history)) == ["a", "b", "c"]


async def test_every_event_of_a_batch_has_its_own_window(queue: Queue) -> None:
    await queue.accept([acceptance("a"), acceptance("b")])

    answers = await queue.accept(
        [acceptance("a", at=NOW + WINDOW - 1), acceptance("b", at=NOW + WINDOW), acceptance("a", at=NOW + WINDOW)]
    )

    assert [answer.duplicate for answer in answers] == [True, False, False]


async def test_the_same_id_in_another_workspace_is_another_event(queue: Queue, history: History) -> None:
    answers = await queue.accept([acceptance(), acceptance(workspace=OTHER_WORKSPACE)])

    assert [answer.duplicate for answer in answers] == [False, False]
    assert await stored_ids(history, WORKSPACE) == await stored_ids(history, OTHER_WORKSPACE) == ["ord_1"]


async def test_of_many_that_come_at_once_with_the_same_id_one_is_accepted(
    queue: Queue, other_queue: Queue, history: History
) -> None:
    batches = [[acceptance(at=NOW + moment)] for moment in range(10)]
    answers = await asyncio.gather(*map(queue.accept, batches[:5]), *map(other_queue.accept, batches[5:]))

    assert sum(not answer.duplicate for (answer,) in answers) == 1
    assert await stored_ids(history) == ["ord_1"]
    assert len(await history.deliveries(WORKSPACE, DeliveryFilter(), limit=20)) == 1


async def test_a_batch_that_fails_leaves_nothing_and_may_be_sent_again(queue: Queue, history: History) -> None:
    taken = acceptance("taken")
    await queue.accept([taken])
    clash = msgspec.structs.replace(acceptance("second"), deliveries=taken.deliveries)

    with refused_by_the_schema():
        await queue.accept([acceptance("first"), clash])
    assert await stored_ids(history) == ["taken"]
    assert await history.event(WORKSPACE, "first") is None

    answers = await queue.accept([acceptance("first"), acceptance("second")])
    assert [answer.duplicate for answer in answers] == [False, False]


async def test_an_empty_batch_is_no_work(queue: Queue) -> None:
    assert await queue.accept([]) == []


_BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), min_size=1, max_size=4), min_size=1, max_size=5
)


@given(batches=_BATCHES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_dedup_answers_as_a_dictionary_of_accepted_ids_would(
    queue: Queue, history: History, batches: list[list[tuple[str, int]]]
) -> None:
    workspace = f"ws_{uuid.uuid4()}"  # each example has its own, so that one database serves them all
    accepted: dict[str, float] = {}
    expected: list[bool] = []
    answers: list[Accepted] = []
    count = 0
    for batch in batches:
        items = []
        for event_id, tenth_of_window in batch:
            count += 1
            at = NOW + tenth_of_window * WINDOW / 10
            known = event_id in accepted and accepted[event_id] > at - WINDOW
            if not known:
                accepted[event_id] = at
            expected.append(known)
            item = acceptance(event_id, at=at, workspace=workspace, to=())
            items.append(msgspec.structs.replace(item, pk=f"evt_{count:03}"))
        answers += await queue.accept(items)

    assert [answer.duplicate for answer in answers] == expected
    assert len(await history.events(workspace, limit=100)) == expected.count(False)


async def test_a_test_is_stored_whatever_came_before_and_makes_no_live_event_a_duplicate(
    queue: Queue, history: History
) -> None:
    for number in range(2):
        assert await queue.accept([acceptance(at=NOW + number, test=True)]) == [Accepted(False, NOW + number)]
    assert await queue.accept([acceptance(at=NOW + 2)]) == [Accepted(False, NOW + 2)]
    assert await queue.accept([acceptance(at=NOW + 3, test=True)]) == [Accepted(False, NOW + 3)]

    stored = await history.event(WORKSPACE, "ord_1")

    assert stored is not None
    assert (stored.test, stored.received_at) == (False, NOW + 2)
    assert len(await stored_ids(history)) == 4
    assert await queue.accept([acceptance(at=NOW + 4)]) == [Accepted(True, NOW + 2)]


async def users_of(database: Database, item: Acceptance) -> set[str]:
    """The texts by which the user of a stored event is found."""
    statement = select(event_users.c.user_key).where(
        event_users.c.workspace_id == item.workspace_id, event_users.c.event_pk == item.pk
    )
    return await database.read(lambda connection: set(connection.execute(statement).scalars()))


@pytest.mark.parametrize(
    "user,keys",
    [
        (
            {"external_id": " u_1 ", "anonymous_id": "A-1", "email": "Ann@Shop.example ", "phone": "+15551234567"},
            {"u_1", "ann@shop.example"},
        ),
        ({"anonymous_id": "A-1", "phone": "+15551234567", "email_hash": "ab", "name": "Ann"}, {"A-1", "+15551234567"}),
        ({"external_id": " ", "anonymous_id": "A-1"}, {"A-1"}),
        ({}, set()),
    ],
)
async def test_an_event_is_kept_under_who_its_user_is_and_where_the_user_is_reached(
    queue: Queue, database: Database, user: dict[str, object], keys: set[str]
) -> None:
    item = acceptance(user=user)
    await queue.accept([item])
    assert await users_of(database, item) == keys


async def test_two_fields_that_say_the_same_are_one_row(queue: Queue, database: Database) -> None:
    item = acceptance(user={"external_id": "Ann@shop.example", "email": "ann@shop.example"})
    await queue.accept([item])
    assert await users_of(database, item) == {"ann@shop.example"}


@pytest.mark.parametrize("value", [None, "", " ", 7, True, ["u_1"], {"id": "u_1"}, "x" * (LONGEST_USER + 1)])
async def test_what_is_no_name_of_a_user_is_kept_in_the_event_only(
    queue: Queue, database: Database, value: object
) -> None:
    item = acceptance(user={"external_id": value})
    await queue.accept([item])
    assert await users_of(database, item) == set()


async def test_a_duplicate_has_no_row_of_its_own(queue: Queue, database: Database) -> None:
    again = acceptance(user={"external_id": "u_1"}, at=NOW + 1)
    await queue.accept([acceptance()])
    await queue.accept([again])
    assert await users_of(database, again) == set()
