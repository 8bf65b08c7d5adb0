"""Dead letters by cause: each group once, the largest first, with what stands at its two ends."""

from __future__ import annotations

import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE, acceptance, ended, only_delivery, settlement
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.work import Acceptance
from tracklayer.store import Database, Queue
from tracklayer.store.causes import Cause, Causes
from tracklayer.store.history import DeliveryFilter

LIVE = DeliveryFilter(test=False)


@pytest.fixture
def causes(database: Database) -> Causes:
    return Causes(database)


async def die(queue: Queue, item: Acceptance, status_code: int, *, after: float = 5) -> str:
    """Accept an event whose one delivery dies `after` so many seconds; its id."""
    await queue.accept([item])
    now = item.received_at + after
    await ended(queue, [settlement(only_delivery(item), DeliveryState.DEAD, status_code=status_code, now=now)])
    return only_delivery(item)


async def test_each_destination_and_cause_is_one_group_and_the_largest_comes_first(
    queue: Queue, causes: Causes
) -> None:
    for number in range(3):
        example = await die(queue, acceptance(f"a{number}", at=NOW + number), 401)
    await die(queue, acceptance("b"), 503)
    await die(queue, acceptance("c", at=NOW + 9, to=("dst_2",)), 401)
    await queue.accept([acceptance("pending")])
    await die(queue, acceptance("a test", test=True), 401)
    await die(queue, acceptance("foreign", workspace=OTHER_WORKSPACE), 401)

    first, *others = await causes.all(WORKSPACE, LIVE)

    assert first == Cause(
        destination_id="dst_1",
        cause="401",
        count=3,
        first_at=NOW,
        last_at=NOW + 2 + 5,
        first_version=1,
        last_version=1,
        example=example,
    )
    assert [(each.destination_id, each.cause, each.count) for each in others] == [
        ("dst_2", "401", 1),
        ("dst_1", "503", 1),
    ]


@pytest.mark.parametrize(
    "wanted, expected",
    [
        (DeliveryFilter(test=False, cause="503"), [("dst_1", "503")]),
        (DeliveryFilter(test=False, destination_id="dst_2"), [("dst_2", "401")]),
        (DeliveryFilter(test=False, event_id="b"), [("dst_1", "503")]),
        (DeliveryFilter(test=False, since=NOW + 1), [("dst_2", "401")]),
        (DeliveryFilter(test=False, code=404), []),
    ],
    ids=str,
)
async def test_a_filter_holds_for_the_groups(
    queue: Queue, causes: Causes, wanted: DeliveryFilter, expected: list[tuple[str, str]]
) -> None:
    await die(queue, acceptance("a", at=NOW + 5, to=("dst_2",)), 401)
    await die(queue, acceptance("b"), 503)
    assert [(each.destination_id, each.cause) for each in await causes.all(WORKSPACE, wanted)] == expected


async def test_the_groups_are_bounded(queue: Queue, causes: Causes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracklayer.store.causes.GROUPS", 2)
    for code in (401, 403, 404):
        await die(queue, acceptance(f"ord_{code}"), code)
    await die(queue, acceptance("more"), 404)
    found = await causes.all(WORKSPACE, LIVE)
    assert len(found) == 2
    assert (found[0].cause, found[0].count) == ("404", 2)


@pytest.mark.parametrize("few", [500, 3])  # read and counted, or counted hour by hour
async def test_the_hours_count_what_was_accepted_in_them(
    queue: Queue, causes: Causes, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("tracklayer.store.causes.FEW", few)
    for number, ago in enumerate((10, 3599, 3601, 7300, 5 * 3600)):
        await die(queue, acceptance(f"ord_{number}", at=NOW - ago), 401)
    await die(queue, acceptance("other", at=NOW - 10), 503)
    wanted = DeliveryFilter(test=False, destination_id="dst_1", cause="401")
    assert await causes.by_hour(WORKSPACE, wanted, hours=3, now=NOW) == [1, 1, 2]
