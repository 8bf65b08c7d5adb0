"""Finding events: each index alone, all conditions together, page by page, and never across workspaces."""

from __future__ import annotations

import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WINDOW, WORKSPACE, acceptance
from tracklayer.store import Database, Queue
from tracklayer.store.search import EventFilter, EventSearch


@pytest.fixture
def search(database: Database) -> EventSearch:
    return EventSearch(database)


@pytest.fixture
async def log(queue: Queue) -> None:
    """Four events that differ in everything that a filter can tell apart, and one of another workspace."""
    ann = {"external_id": "u_ann", "email": "Ann@shop.example"}
    await queue.accept(
        [
            acceptance("a", at=NOW, user=ann),
            acceptance("b", at=NOW + 100, name="refund_requested", user=ann),
            acceptance("c", at=NOW + 200, test=True, user={"anonymous_id": "anon"}),
            acceptance("d", at=NOW + 300),
            acceptance("a", at=NOW + 400, workspace=OTHER_WORKSPACE, user=ann),
        ]
    )


async def ids(search: EventSearch, wanted: EventFilter, workspace: str = WORKSPACE) -> str:
    page = await search.page(workspace, wanted, limit=10)
    assert page.next is None
    return "".join(each.event.event_id for each in page.events)


@pytest.mark.parametrize(
    "wanted, expected",
    [
        (EventFilter(), "dcba"),
        (EventFilter(event_id="b"), "b"),
        (EventFilter(event_id="x"), ""),
        (EventFilter(event_name="purchase"), "dca"),
        (EventFilter(event_name="purch"), ""),
        (EventFilter(user="u_ann"), "ba"),
        (EventFilter(user=" ANN@shop.example"), "ba"),
        (EventFilter(user="U_ANN"), ""),
        (EventFilter(user="anon"), "c"),
        (EventFilter(user=""), ""),
        (EventFilter(since=NOW + 100), "dcb"),
        (EventFilter(until=NOW + 100), "a"),
        (EventFilter(since=NOW + 100, until=NOW + 300), "cb"),
        (EventFilter(test=True), "c"),
        (EventFilter(test=False), "dba"),
        (EventFilter(user="u_ann", event_name="purchase"), "a"),
        (EventFilter(user="u_ann", event_id="b"), "b"),
        (EventFilter(user="anon", event_id="b"), ""),
        (EventFilter(event_id="b", event_name="purchase"), ""),
        (EventFilter(event_name="purchase", since=NOW + 1, test=False), "d"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("log")
async def test_a_filter_finds_what_it_names_and_nothing_else(
    search: EventSearch, wanted: EventFilter, expected: str
) -> None:
    assert await ids(search, wanted) == expected


@pytest.mark.usefixtures("log")
async def test_ids_and_users_are_known_in_their_own_workspace(search: EventSearch) -> None:
    assert await search.knows_id(WORKSPACE, "b")
    assert not await search.knows_id(OTHER_WORKSPACE, "b")
    assert await search.knows_user(OTHER_WORKSPACE, "ann@shop.example")
    assert not await search.knows_user(OTHER_WORKSPACE, "anon")
    assert await ids(search, EventFilter(user="u_ann"), OTHER_WORKSPACE) == "a"


async def test_an_id_that_came_again_finds_the_newest(queue: Queue, search: EventSearch) -> None:
    await queue.accept([acceptance()])
    await queue.accept([acceptance(at=NOW + WINDOW)])
    (found,) = (await search.page(WORKSPACE, EventFilter(event_id="ord_1"), limit=10)).events
    assert found.received_at == NOW + WINDOW


@pytest.mark.parametrize("looked_at", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "wanted, expected",
    [
        (EventFilter(), "987654321"),
        (EventFilter(user="u_even", test=False), "84"),
        (EventFilter(event_name="odd", since=NOW + 3), "9753"),
        (EventFilter(test=True), "62"),
        (EventFilter(test=True, until=NOW + 2), ""),
    ],
    ids=str,
)
async def test_pages_end_early_but_miss_nothing(
    queue: Queue,
    search: EventSearch,
    monkeypatch: pytest.MonkeyPatch,
    looked_at: int,
    wanted: EventFilter,
    expected: str,
) -> None:
    monkeypatch.setattr("tracklayer.store.search.LOOKED_AT", looked_at)
    for number in range(1, 10):
        even = number % 2 == 0
        item = acceptance(
            str(number),
            at=NOW + number,
            name="even" if even else "odd",
            user={"external_id": "u_even"} if even else None,
            test=number in (2, 6),
        )
        await queue.accept([item])

    seen, before, pages = "", None, 0
    while pages == 0 or before is not None:
        page = await search.page(WORKSPACE, wanted, limit=2, before=before)
        assert len(page.events) <= 2
        seen += "".join(each.event.event_id for each in page.events)
        before, pages = page.next, pages + 1
        assert pages < 20
    assert seen == expected
