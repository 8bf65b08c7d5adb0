"""Pruning removes exactly what the rules of retention let go, on each database; what waits stays, with its event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, update

from tests.store.samples import (
    NOW,
    WINDOW,
    WORKSPACE,
    acceptance,
    attempt,
    only_delivery,
    settlement,
)
from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import encode_json
from tracklayer.model.work import Acceptance
from tracklayer.settings import Settings, load_settings
from tracklayer.store import Database, History, Queue
from tracklayer.store.partitions import DAY, Partitions
from tracklayer.store.pruning import FEWEST, FIRST, LARGEST, LONG, ORDER, Progress, Pruned, Pruner
from tracklayer.store.retention import Retention, retention
from tracklayer.store.tables import attempts, deliveries, event_keys, event_users, events, kept_requests, metadata

MIDNIGHT = NOW // DAY * DAY  # so that cutoffs lie between days
RETENTION = Retention(events=10 * DAY, attempts=6 * DAY, bodies=4 * DAY, dead_letters=20 * DAY)
CUTOFFS = RETENTION.cutoffs(MIDNIGHT)
OLDEST = 30  # days
PENDING, DELIVERED, DEAD = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DEAD
SUPPRESSED, DISCARDED = DeliveryState.SUPPRESSED, DeliveryState.DISCARDED


class Clock:
    """Stands at `at`; sleeping moves it, and every look at it takes `ticking` seconds."""

    def __init__(self, at: float = MIDNIGHT) -> None:
        self.at = at
        self.ticking = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        self.at += self.ticking
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


class Made(NamedTuple):
    """A delivery of a test's event."""

    state: DeliveryState
    changed: float  # days ago
    attempts: int = 0
    kept: bool = False


class Told(NamedTuple):
    """A test's event."""

    age: float  # days
    deliveries: tuple[Made, ...]
    workspace: str = WORKSPACE
    user: str | None = None


async def store(database: Database, told: Sequence[Told]) -> dict[str, Acceptance]:
    """Bring events into the store, as if they had come long ago; answers them by event id."""
    items = [
        acceptance(
            f"e{number}",
            to=[f"d{n}" for n in range(len(each.deliveries))],
            at=MIDNIGHT - each.age * DAY,
            workspace=each.workspace,
            user={"external_id": each.user} if each.user else None,
        )
        for number, each in enumerate(told)
    ]
    await Queue(database, worker="wrk_1", dedup_window=WINDOW).accept(items)

    def work(connection: Connection) -> None:
        for item, each in zip(items, told, strict=True):
            for new, wanted in zip(item.deliveries, each.deliveries, strict=True):
                _shape(connection, new.id, wanted)

    await database.write(work)
    return {item.event.event_id: item for item in items}


def _shape(connection: Connection, delivery_id: str, wanted: Made) -> None:
    changed = {"state": wanted.state.value, "updated_at": MIDNIGHT - wanted.changed * DAY}
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(changed))
    for number in range(1, wanted.attempts + 1):
        one = attempt(number)
        row = {"delivery_id": delivery_id, "number": number, "version": 1, "started_at": NOW, "action": one.action}
        connection.execute(insert(attempts).values(**row, rule="r", record=encode_json(one.record)))
    if wanted.kept:
        kept = {"delivery_id": delivery_id, "version": 1, "method": "POST", "url": "https://r.test", "headers": b"[]"}
        connection.execute(insert(kept_requests).values(**kept, body=b"{}"))


Contents = dict[str, set[tuple[object, ...]]]
KEYS = {
    "events": (events.c.workspace_id, events.c.pk),
    "event_users": (event_users.c.workspace_id, event_users.c.user_key, event_users.c.event_pk),
    "event_keys": (event_keys.c.workspace_id, event_keys.c.event_id, event_keys.c.event_pk),
    "deliveries": (deliveries.c.id,),
    "attempts": (attempts.c.delivery_id, attempts.c.number),
    "kept_requests": (kept_requests.c.delivery_id,),
}


async def contents(database: Database) -> Contents:
    """The keys of everything."""
    return await database.read(
        lambda connection: {table: set(map(tuple, connection.execute(select(*of)))) for table, of in KEYS.items()}
    )


async def clear(database: Database) -> None:
    """Let the next example begin with nothing."""

    def work(connection: Connection) -> None:
        for table in KEYS:
            connection.execute(delete(metadata.tables[table]))

    await database.write(work)


def rules(told: Sequence[Told], made: dict[str, Acceptance]) -> Contents:
    """What the docs promise to be kept, said once more."""
    left: Contents = {table: set() for table in KEYS}
    for each, item in zip(told, made.values(), strict=True):
        any_left = False
        for new, of in zip(item.deliveries, each.deliveries, strict=True):
            age = min(each.age, of.changed)
            if of.state is not PENDING and age > (20 if of.state is DEAD else 10):
                continue
            any_left = True
            needed = of.state in (PENDING, DEAD)
            left["deliveries"].add((new.id,))
            if needed or age < 6:
                left["attempts"] |= {(new.id, number) for number in range(1, of.attempts + 1)}
            if of.kept and (needed or age < 4):
                left["kept_requests"].add((new.id,))
        if any_left or each.age < 10:
            left["events"].add((item.workspace_id, item.pk))
            left["event_keys"].add((item.workspace_id, item.event.event_id, item.pk))
            if each.user is not None:
                left["event_users"].add((item.workspace_id, each.user, item.pk))
    return left


hours = st.one_of(st.integers(0, OLDEST * 24 - 1), st.integers(9 * 24, 13 * 24)).map(lambda hour: (hour + 0.5) / 24)
told_deliveries = st.builds(Made, st.sampled_from(DeliveryState), hours, st.integers(0, 3), st.booleans())
told_events = st.builds(
    lambda age, made, workspace, user: Told(
        age, tuple(each._replace(changed=min(age, each.changed)) for each in made), workspace, user
    ),
    hours,
    st.lists(told_deliveries.filter(lambda each: each.state.value != "sending"), max_size=3),
    st.sampled_from([WORKSPACE, "ws_2"]),
    st.sampled_from([None, "u_1", "u_2"]),
)


async def make_days(database: Database) -> None:
    """On PostgreSQL, partitions for some of the days that the events are of; the others lie in the default one."""
    if database.shared:
        for ago in (12, 6):
            await Partitions(database, Clock(MIDNIGHT - ago * DAY), ahead=1).ensure()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(told_events, max_size=20))
async def test_pruning_removes_exactly_what_the_rules_let_go(database: Database, told: list[Told]) -> None:
    await clear(database)
    await make_days(database)
    made = await store(database, told)
    before, left = await contents(database), rules(told, made)
    pruner = Pruner(database, Clock())

    foreseen = await pruner.prune(CUTOFFS, dry_run=True)
    assert await contents(database) == before
    pruned = await pruner.prune(CUTOFFS)

    assert await contents(database) == left
    removed = {table: len(before[table]) - len(left[table]) for table in KEYS}
    assert {table: pruned.rows[table] for table in KEYS} == removed
    counted = set(ORDER) - {"event_users"}
    assert {table: foreseen.rows[table] for table in counted} == {table: removed[table] for table in counted}
    assert (await pruner.prune(CUTOFFS)).total == 0


async def test_what_waits_stays_with_its_event_and_can_still_be_claimed(database: Database) -> None:
    await make_days(database)
    await store(database, [Told(11.5, (Made(PENDING, 11.5, 1, kept=True), Made(DELIVERED, 11.5, 1)), user="u_1")])

    await Pruner(database, Clock()).prune(CUTOFFS)

    queue = Queue(database, worker="wrk_2", dedup_window=WINDOW)
    (work,) = await queue.claim("d0", 10, now=MIDNIGHT, lease_until=MIDNIGHT + 60)
    assert work.event.event_id == "e0"
    assert await queue.claim("d1", 10, now=MIDNIGHT, lease_until=MIDNIGHT + 60) == []


async def test_a_dead_letter_can_be_read_and_replayed_until_its_own_age(database: Database, queue: Queue) -> None:
    await make_days(database)
    made = await store(database, [Told(11.5, (Made(DEAD, 11.5, 2, kept=True),))])
    delivery_id = only_delivery(made["e0"])
    pruner, history = Pruner(database, Clock()), History(database)

    await pruner.prune(CUTOFFS)
    assert len(await history.attempts(delivery_id)) == 2
    assert await history.kept_request(delivery_id) is not None
    assert await history.event(WORKSPACE, "e0") is not None

    assert await queue.revive(WORKSPACE, [delivery_id], as_sent=True, now=MIDNIGHT) == [delivery_id]
    await pruner.prune(RETENTION.cutoffs(MIDNIGHT + 30 * DAY))
    (work,) = await queue.claim("d0", 10, now=MIDNIGHT, lease_until=MIDNIGHT + 60)
    assert work.kept is not None
    await queue.settle([settlement(delivery_id, DEAD, number=3, now=MIDNIGHT)])
    await pruner.prune(RETENTION.cutoffs(MIDNIGHT + 30 * DAY))
    assert await history.delivery(WORKSPACE, delivery_id) is None
    assert await history.event(WORKSPACE, "e0") is None


async def test_a_dead_letter_that_is_revived_while_it_is_about_to_be_removed_stays(
    database: Database, queue: Queue
) -> None:
    made = await store(database, [Told(25.5, (Made(DEAD, 25.5, 1, kept=True),))])
    delivery_id = only_delivery(made["e0"])
    revived = []

    class Late(Pruner):
        async def _going(self, *window: Any, **how: bool) -> list[str]:  # type: ignore[override]
            going = await super()._going(*window, **how)  # type: ignore[arg-type]
            if going == [delivery_id]:
                revived.append(await queue.revive(WORKSPACE, going, as_sent=True, now=MIDNIGHT))
            return going

    pruned = await Late(database, Clock()).prune(CUTOFFS)

    assert revived == [[delivery_id]]
    assert pruned.total == 0
    (work,) = await queue.claim("d0", 10, now=MIDNIGHT, lease_until=MIDNIGHT + 60)
    assert work.kept is not None


async def test_an_id_is_known_for_the_dedup_window_however_short_events_are_kept(
    database: Database, queue: Queue
) -> None:
    kept = retention(load_settings({}, {"retention_events": "1h", "dedup_window": "1d"}))
    item = acceptance("ord_1", at=NOW - WINDOW + 1, state=SUPPRESSED)
    await queue.accept([item])

    await Pruner(database, Clock(NOW)).prune(kept.cutoffs(NOW))

    (again,) = await queue.accept([acceptance("ord_1", at=NOW)])
    assert again.duplicate


async def test_an_id_that_came_again_is_known_by_its_newer_event(database: Database, queue: Queue) -> None:
    old, new = acceptance("ord_1", at=MIDNIGHT - 15 * DAY, to=[]), acceptance("ord_1", at=MIDNIGHT - 1, to=[])
    await queue.accept([old])
    await queue.accept([new])

    await Pruner(database, Clock()).prune(CUTOFFS)

    assert await contents(database) == {
        **{table: set() for table in KEYS},
        "events": {(WORKSPACE, new.pk)},
        "event_keys": {(WORKSPACE, "ord_1", new.pk)},
    }


def test_dead_letters_are_kept_at_least_as_long_as_events() -> None:
    assert retention(load_settings({}, {"retention_events": "180d"})).dead_letters == 180 * DAY
    assert retention(Settings()) == Retention(
        events=30 * DAY, attempts=30 * DAY, bodies=14 * DAY, dead_letters=90 * DAY
    )


async def test_steps_shrink_where_they_take_long_and_rest_as_long_as_they_took(database: Database) -> None:
    await store(database, [Told(15, (Made(DELIVERED, 15),)) for _ in range(150)])
    clock, sizes = Clock(), []

    class Watching(Pruner):
        async def _step(self, work: object, pruned: Pruned) -> None:
            sizes.append(self._lot)
            await super()._step(work, pruned)  # type: ignore[arg-type]

    clock.ticking = 3 * LONG
    pruned = await Watching(database, clock).prune(CUTOFFS)

    assert pruned.rows["deliveries"] == pruned.rows["events"] == 150
    assert sizes[:4] == [FIRST, FIRST // 2, FIRST // 4, max(FEWEST, FIRST // 8)]
    assert clock.slept[:2] == pytest.approx([3 * LONG, 3 * LONG])
    assert LARGEST >= FIRST


async def test_it_tells_how_far_it_has_come(database: Database) -> None:
    await store(database, [Told(30 - number / 10, (Made(DELIVERED, 12),)) for number in range(180)])
    heard: list[Progress] = []

    await Pruner(database, Clock()).prune(CUTOFFS, report=heard.append)

    shares = [each.share for each in heard if each.table == "deliveries"]
    assert len(shares) >= 2
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert [each.removed for each in heard if each.table == "deliveries"][-1] == 180


async def test_a_store_that_is_away_ends_it_and_the_next_time_does_the_rest(database: Database) -> None:
    made = await store(database, [Told(15, (Made(DELIVERED, 15, 2, kept=True),), user="u_1") for _ in range(5)])
    write, calls = database.write, []

    async def once(work: object, *, long: bool = False) -> object:
        calls.append(work)
        if len(calls) > 1:
            raise Unavailable("away")
        return await write(work, long=long)  # type: ignore[arg-type]

    database.write = once  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        await Pruner(database, Clock()).prune(CUTOFFS)
    database.write = write  # type: ignore[method-assign]
    left = await contents(database)
    assert len(left["events"]) == len(made)
    assert left["deliveries"] == set()

    await Pruner(database, Clock()).prune(CUTOFFS)
    assert await contents(database) == {table: set() for table in KEYS}


async def test_on_sqlite_the_room_that_becomes_free_is_counted(database: Database) -> None:
    if database.shared:
        pytest.skip("PostgreSQL finds it out by itself, later")
    await store(database, [Told(15, (Made(DELIVERED, 15, 2, kept=True),)) for _ in range(300)])
    pruned = await Pruner(database, Clock()).prune(CUTOFFS)
    assert pruned.bytes > 100_000
