"""Reading back: pages newest first without gaps or repeats, every filter, and never across workspaces."""

from __future__ import annotations

import pytest

from tests.store.samples import (
    NOW,
    OTHER_WORKSPACE,
    WINDOW,
    WORKSPACE,
    acceptance,
    ended,
    only_delivery,
    settlement,
)
from tracklayer.model.delivery import DeliveryState
from tracklayer.store import History, Queue
from tracklayer.store.history import UNKNOWN, DeliveryFilter


async def test_pages_of_events_are_newest_first_and_miss_nothing(queue: Queue, history: History) -> None:
    items = [acceptance(f"ord_{number}", at=NOW + number) for number in range(7)]
    await queue.accept([*items, acceptance("foreign", at=NOW + 3, workspace=OTHER_WORKSPACE)])

    seen: list[str] = []
    before = None
    while page := await history.events(WORKSPACE, limit=3, before=before):
        assert len(page) <= 3
        seen += [stored.event.event_id for stored in page]
        before = page[-1].pk

    assert seen == [f"ord_{number}" for number in reversed(range(7))]


async def test_an_event_is_found_by_its_id_in_its_own_workspace_only(queue: Queue, history: History) -> None:
    await queue.accept([acceptance()])

    assert await history.event(WORKSPACE, "ord_1") is not None
    assert await history.event(OTHER_WORKSPACE, "ord_1") is None
    assert await history.event(WORKSPACE, "ord_2") is None


async def test_a_delivery_leads_to_its_own_event_when_the_id_came_again(queue: Queue, history: History) -> None:
    old, new = acceptance(), acceptance(at=NOW + WINDOW)
    await queue.accept([old])
    await queue.accept([new])

    for item in (old, new):
        delivery = await history.delivery(WORKSPACE, only_delivery(item))
        assert delivery is not None
        stored = await history.event_of(delivery)
        assert stored is not None
        assert (stored.pk, stored.event) == (item.pk, item.event)


async def test_an_event_leads_to_all_of_its_deliveries_oldest_first(queue: Queue, history: History) -> None:
    item = acceptance(to=("dst_b", "dst_a"))
    await queue.accept([item, acceptance("ord_2")])

    found = await history.deliveries_of(item.pk)

    assert [each.destination_id for each in found] == ["dst_a", "dst_b"]
    assert {each.event_pk for each in found} == {item.pk}
    assert await history.deliveries_of("evt_unknown") == []


async def test_a_delivery_is_found_in_its_own_workspace_only(queue: Queue, history: History) -> None:
    item = acceptance()
    await queue.accept([item])

    assert await history.delivery(WORKSPACE, only_delivery(item)) is not None
    assert await history.delivery(OTHER_WORKSPACE, only_delivery(item)) is None
    assert await history.delivery(WORKSPACE, "dlv_unknown") is None


async def test_pages_of_deliveries_are_newest_first_and_miss_nothing(queue: Queue, history: History) -> None:
    items = [acceptance(f"ord_{number}", at=NOW + number, to=("dst_1", "dst_2")) for number in range(4)]
    await queue.accept([*items, acceptance("foreign", workspace=OTHER_WORKSPACE)])

    seen: list[str] = []
    before = None
    while page := await history.deliveries(WORKSPACE, DeliveryFilter(), limit=3, before=before):
        seen += [each.id for each in page]
        before = page[-1].id

    assert seen == sorted((each.id for item in items for each in item.deliveries), reverse=True)


async def test_a_page_of_a_filter_goes_on_where_the_one_before_ended(queue: Queue, history: History) -> None:
    items = [acceptance(f"ord_{number}", at=NOW + number, to=("dst_1", "dst_2")) for number in range(5)]
    await queue.accept(items)
    wanted = DeliveryFilter(destination_id="dst_2", since=NOW + 1)

    first = await history.deliveries(WORKSPACE, wanted, limit=3)
    rest = await history.deliveries(WORKSPACE, wanted, limit=3, before=first[-1].id)

    assert [each.event_id for each in first + rest] == ["ord_4", "ord_3", "ord_2", "ord_1"]


@pytest.fixture
async def log(queue: Queue) -> None:
    """Four deliveries that differ in everything that a filter can tell apart."""
    a = acceptance("a", at=NOW, to=("dst_1",))
    b = acceptance("b", at=NOW + 1, to=("dst_1",), name="refund_requested")
    c = acceptance("c", at=NOW + 2, to=("dst_2",), test=True)
    d = acceptance("d", at=NOW + 3, to=("dst_2",), state=DeliveryState.SUPPRESSED, reason="consent")
    foreign = acceptance("a", at=NOW, to=("dst_1",), workspace=OTHER_WORKSPACE)
    await queue.accept([a, b, c, d, foreign])
    await ended(
        queue,
        [
            settlement(only_delivery(a), DeliveryState.DELIVERED, status_code=202),
            settlement(only_delivery(b), DeliveryState.DEAD, status_code=404),
            settlement(only_delivery(c), DeliveryState.DEAD, status_code=None),
        ],
    )


@pytest.mark.parametrize(
    "wanted, expected",
    [
        (DeliveryFilter(), "dcba"),
        (DeliveryFilter(destination_id="dst_1"), "ba"),
        (DeliveryFilter(destination_id="dst_3"), ""),
        (DeliveryFilter(event_id="b"), "b"),
        (DeliveryFilter(event_name="purchase"), "dca"),
        (DeliveryFilter(state=DeliveryState.PENDING), ""),
        (DeliveryFilter(state=DeliveryState.DELIVERED), "a"),
        (DeliveryFilter(state=DeliveryState.DEAD), "cb"),
        (DeliveryFilter(state=DeliveryState.SUPPRESSED), "d"),
        (DeliveryFilter(state=DeliveryState.DEAD, event_id="c"), "c"),
        (DeliveryFilter(cause="404"), "b"),
        (DeliveryFilter(state=DeliveryState.DEAD, test=False, destination_id="dst_1", cause="404"), "b"),
        (DeliveryFilter(state=DeliveryState.DEAD, cause="401"), ""),
        (DeliveryFilter(state=DeliveryState.DEAD, cause=UNKNOWN), "c"),
        (DeliveryFilter(code=404), "b"),
        (DeliveryFilter(since=NOW + 2), "dc"),
        (DeliveryFilter(until=NOW + 2), "ba"),
        (DeliveryFilter(since=NOW + 1, until=NOW + 3), "cb"),
        (DeliveryFilter(test=True), "c"),
        (DeliveryFilter(test=False), "dba"),
        (DeliveryFilter(state=DeliveryState.DEAD, test=False), "b"),
        (DeliveryFilter(destination_id="dst_2", state=DeliveryState.DEAD, event_name="purchase"), "c"),
        (DeliveryFilter(destination_id="dst_1", event_id="c"), ""),
        (DeliveryFilter(ids=()), ""),
    ],
    ids=str,
)
@pytest.mark.usefixtures("log")
async def test_a_filter_finds_what_it_names_and_nothing_else(
    history: History, wanted: DeliveryFilter, expected: str
) -> None:
    found = await history.deliveries(WORKSPACE, wanted, limit=10)
    assert "".join(each.event_id for each in found) == expected


@pytest.mark.usefixtures("log")
async def test_a_filter_by_ids_finds_those_of_the_workspace(history: History) -> None:
    everything = await history.deliveries(WORKSPACE, DeliveryFilter(), limit=10)
    foreign = await history.deliveries(OTHER_WORKSPACE, DeliveryFilter(), limit=10)
    wanted = DeliveryFilter(ids=(everything[0].id, everything[2].id, foreign[0].id))

    assert await history.deliveries(WORKSPACE, wanted, limit=10) == [everything[0], everything[2]]


@pytest.mark.usefixtures("log")
async def test_pages_from_the_oldest_on_miss_nothing(history: History) -> None:
    seen: list[str] = []
    after = ""
    while page := await history.oldest(WORKSPACE, DeliveryFilter(), limit=3, after=after):
        seen += [each.event_id for each in page]
        after = page[-1].id
    assert seen == ["a", "b", "c", "d"]


@pytest.mark.usefixtures("log")
async def test_a_count_is_of_what_the_filter_selects(history: History) -> None:
    assert await history.count(WORKSPACE, DeliveryFilter()) == 4
    assert await history.count(WORKSPACE, DeliveryFilter(state=DeliveryState.DEAD, test=False)) == 1
    assert await history.count(OTHER_WORKSPACE, DeliveryFilter(event_name="none")) == 0


async def test_what_is_retried_is_told_from_what_was_never_tried(queue: Queue, history: History) -> None:
    tried, fresh, done = (acceptance(event_id) for event_id in ("tried", "fresh", "done"))
    await queue.accept([tried, fresh, done])
    await ended(
        queue,
        [settlement(only_delivery(tried), DeliveryState.PENDING, status_code=503), settlement(only_delivery(done))],
    )

    for retrying, expected in ((True, ["tried"]), (False, ["fresh"])):
        wanted = DeliveryFilter(retrying=retrying)
        assert [each.event_id for each in await history.deliveries(WORKSPACE, wanted, limit=10)] == expected
    nothing = DeliveryFilter(retrying=True, state=DeliveryState.DEAD)
    assert await history.deliveries(WORKSPACE, nothing, limit=10) == []


async def test_few_and_many_that_wait_make_the_same_pages(
    queue: Queue, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.accept([acceptance(f"ord_{number}", at=NOW + number, to=("dst_1", "dst_2")) for number in range(5)])
    wanted = DeliveryFilter(state=DeliveryState.PENDING, destination_id="dst_1")

    async def pages() -> list[str]:
        first = await history.deliveries(WORKSPACE, wanted, limit=3)
        rest = await history.deliveries(WORKSPACE, wanted, limit=3, before=first[-1].id)
        return [each.event_id for each in first + rest]

    gathered = await pages()
    monkeypatch.setattr("tracklayer.store.history.FEW", 4)

    assert gathered == await pages() == ["ord_4", "ord_3", "ord_2", "ord_1", "ord_0"]


async def test_an_id_that_came_again_is_its_newest_event_and_among_the_dead_letters_every_one(
    queue: Queue, history: History
) -> None:
    old, new = acceptance(), acceptance(at=NOW + WINDOW)
    await queue.accept([old])
    await queue.accept([new])
    await ended(queue, [settlement(only_delivery(item), DeliveryState.DEAD) for item in (old, new)])

    async def found(wanted: DeliveryFilter) -> list[str]:
        return [each.id for each in await history.deliveries(WORKSPACE, wanted, limit=10)]

    assert await found(DeliveryFilter(event_id="ord_1")) == [only_delivery(new)]
    both = [only_delivery(new), only_delivery(old)]
    assert await found(DeliveryFilter(event_id="ord_1", state=DeliveryState.DEAD)) == both


async def test_what_never_was_has_no_attempts_and_no_request(history: History) -> None:
    assert await history.attempts("dlv_unknown") == []
    assert await history.kept_request("dlv_unknown") is None
