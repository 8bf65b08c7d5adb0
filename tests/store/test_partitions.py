"""On PostgreSQL, days are partitions: made before they come, used, dropped when old, and nobody is held up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import TableClause, func, select

from tests.store.samples import NOW, WINDOW, WORKSPACE, acceptance, kept_request, only_delivery, settlement
from tests.store.test_migrations import differences, is_partition
from tests.store.test_pruning import CUTOFFS, DEAD, DELIVERED, MIDNIGHT, PENDING, RETENTION, Clock, Made, Told, store
from tracklayer.errors import Unavailable
from tracklayer.store import Database, History, Queue, open_database, postgresql
from tracklayer.store import partitions as module
from tracklayer.store.database import Work
from tracklayer.store.partitions import AHEAD, DAY, TRIES, Partition, Partitions
from tracklayer.store.pruning import MOVED, Pruned, Pruner
from tracklayer.store.retention import staying
from tracklayer.store.tables import PARTITIONED


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = open_database(postgres_url)
    yield opened
    await opened.close()


async def made_days(database: Database, *, ago: int = 0) -> Partitions:
    """The day that begins `ago` days before MIDNIGHT, and the next one."""
    partitions = Partitions(database, Clock(MIDNIGHT - ago * DAY), ahead=1)
    await partitions.ensure()
    return partitions


async def names(database: Database) -> set[str]:
    return {each.name for each in await Partitions(database, Clock()).all()}


async def rows_of(database: Database, table: str) -> int:
    """The rows that lie in one physical table."""
    statement = select(func.count()).select_from(TableClause(table))
    return await database.read(lambda connection: connection.execute(statement).scalar_one())


async def test_today_and_the_next_days_are_made_ahead_and_only_once(database: Database) -> None:
    partitions = Partitions(database, Clock(NOW))

    assert await partitions.ensure() == (AHEAD + 1) * len(PARTITIONED)
    assert await partitions.ensure() == 0

    made = await partitions.all()
    assert {each.name for each in made if each.table == "deliveries"} == {
        f"deliveries_p202602{day:02}" for day in range(2, 3 + AHEAD)
    }
    assert all(is_partition(each.name) for each in made)
    assert await database.read(differences) == []


async def test_each_day_is_a_transaction_so_that_others_pass_in_between(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while a day is attached waits until the default partition was read through: once."""
    attached: list[int] = []
    write = database.write

    async def watched(work: Work[Any], *, long: bool = False) -> Any:
        before = len(await names(database))
        answer = await write(work, long=long)
        attached.append(len(await names(database)) - before)
        return answer

    monkeypatch.setattr(database, "write", watched)
    made = await Partitions(database, Clock(), ahead=1).ensure()
    assert attached == [1] * made


async def test_one_process_at_a_time_has_the_turn_and_another_may_have_it_after(
    database: Database, postgres_url: str
) -> None:
    other = open_database(postgres_url)
    async with database.turn(1) as mine, other.turn(1) as theirs, other.turn(2) as another:
        assert (mine, theirs, another) == (True, False, True)
    async with other.turn(1) as theirs:
        assert theirs
    await other.close()


async def test_processes_that_make_days_at_once_do_not_fail(database: Database, postgres_url: str) -> None:
    other = open_database(postgres_url)
    made = await asyncio.gather(Partitions(database, Clock()).ensure(), Partitions(other, Clock()).ensure())
    await other.close()
    assert max(made) == (AHEAD + 1) * len(PARTITIONED)
    assert await database.read(differences) == []


async def test_rows_land_in_their_day_and_those_that_came_before_it_was_made_move_there(database: Database) -> None:
    told = [Told(0.5, (Made(DELIVERED, 0.5, 2, kept=True),), user="u_1"), Told(-0.5, (Made(PENDING, -0.5),))]
    await store(database, told[:1])
    assert await rows_of(database, "attempts_default") == 2

    await made_days(database, ago=1)
    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)
    await queue.accept([acceptance("later", at=MIDNIGHT + DAY / 2, user={"external_id": "u_2"})])

    yesterday, today = Partition("events", int(MIDNIGHT // DAY) - 1), Partition("events", int(MIDNIGHT // DAY))
    for table, count in {"events": 1, "event_users": 1, "deliveries": 1, "attempts": 2, "kept_requests": 1}.items():
        assert await rows_of(database, f"{table}_default") == 0
        assert await rows_of(database, yesterday._replace(table=table).name) == count
    for table in ("events", "event_users", "deliveries"):
        assert await rows_of(database, today._replace(table=table).name) == 1


async def test_old_days_are_dropped_and_what_stays_of_them_can_still_be_read(database: Database) -> None:
    await made_days(database, ago=12)
    told = [Told(11.5, (Made(DELIVERED, 11.5, 1),), user="u_1") for _ in range(50)]
    told += [
        Told(11.5, (Made(DEAD, 11.5, 2, kept=True), Made(DELIVERED, 11.5)), user="u_1"),
        Told(11.5, (Made(PENDING, 11.5),)),
    ]
    made = await store(database, told)
    dead = made["e50"].deliveries[0].id

    pruned = await Pruner(database, Clock()).prune(CUTOFFS)

    gone = {Partition(table, int(MIDNIGHT // DAY) - 12).name for table in PARTITIONED}
    assert not gone & await names(database)
    assert pruned.rows == {"deliveries": 51, "attempts": 50, "events": 50, "event_users": 50, "event_keys": 50}
    assert pruned.bytes > 0
    assert await rows_of(database, "deliveries_default") == 2
    history = History(database)
    assert [each.state for each in await history.deliveries_of(made["e50"].pk)] == [DEAD]
    assert len(await history.attempts(dead)) == 2
    assert await history.kept_request(dead) is not None
    assert await history.event(WORKSPACE, "e51") is not None

    # What moved has its own time to go.
    await Pruner(database, Clock()).prune(RETENTION.cutoffs(MIDNIGHT + 10 * DAY))
    assert await history.delivery(WORKSPACE, dead) is None
    assert await history.event(WORKSPACE, "e51") is not None


async def test_a_day_in_which_much_stays_is_pruned_in_steps_and_dropped_later(database: Database) -> None:
    await made_days(database, ago=12)
    waiting = [Told(11.5, (Made(PENDING, 11.5),)) for _ in range(MOVED + 1)]
    await store(database, [*waiting, *(Told(11.5, (Made(DELIVERED, 11.5, 1),)) for _ in range(20))])
    day = Partition("deliveries", int(MIDNIGHT // DAY) - 12)
    pruner = Pruner(database, Clock())

    pruned = await pruner.prune(CUTOFFS)
    assert pruned.rows["deliveries"] == pruned.rows["events"] == 20
    assert await rows_of(database, day.name) == MOVED + 1

    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)
    (work,) = await queue.claim("d0", 1, now=MIDNIGHT, lease_until=MIDNIGHT + 60)
    await queue.settle([settlement(work.delivery_id, DEAD, now=MIDNIGHT, kept=kept_request())])
    await queue.discard(WORKSPACE, [work.delivery_id], reason="r", now=MIDNIGHT - 11 * DAY)
    await pruner.prune(CUTOFFS)
    assert day.name not in await names(database)
    assert await rows_of(database, "deliveries_default") == MOVED


async def test_a_dead_letter_that_is_revived_before_its_day_is_dropped_stays(database: Database) -> None:
    partitions = await made_days(database, ago=25)
    made = await store(database, [Told(24.5, (Made(DEAD, 24.5, 1, kept=True),))])
    day = Partition("deliveries", int(MIDNIGHT // DAY) - 25)
    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)
    keys = await partitions.weigh(day, MOVED, staying("deliveries", CUTOFFS))
    assert keys == []
    await queue.revive(WORKSPACE, [only_delivery(made["e0"])], as_sent=True, now=MIDNIGHT)

    assert (await partitions.drop(day, keys, CUTOFFS)).rows == 0
    assert (await Pruner(database, Clock()).prune(CUTOFFS)).total == 0
    (work,) = await queue.claim("d0", 1, now=MIDNIGHT, lease_until=MIDNIGHT + 60)
    assert work.kept is not None


async def test_a_table_that_is_in_use_is_left_alone_until_it_is_free(database: Database, postgres_url: str) -> None:
    await made_days(database, ago=12)
    await store(database, [Told(11.5, (Made(DELIVERED, 11.5),))])
    clock = Clock()
    before = await names(database)
    reader = await asyncpg.connect(postgres_url)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT 1 FROM deliveries LIMIT 1")

    with pytest.raises(Unavailable, match="lock timeout"):
        await Pruner(database, clock).prune(CUTOFFS)
    assert await names(database) == before
    assert clock.slept == [module.PAUSE] * (TRIES - 1)

    await reading.rollback()
    await reader.close()
    assert (await Pruner(database, clock).prune(CUTOFFS)).rows["deliveries"] == 1


async def test_whoever_works_meanwhile_waits_for_no_lock_longer_than_a_second(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepts, claims and settles go on while days are made, filled and dropped and rows removed."""
    await made_days(database, ago=12)
    await store(database, [Told(age, (Made(DELIVERED, age, 1),)) for age in (11.5, 25) for _ in range(1000)])
    monkeypatch.setitem(postgresql._SESSION, "lock_timeout", "1s")  # who waits longer is told so by the server
    working = open_database(postgres_url)
    queue = Queue(working, worker="wrk_1", dedup_window=WINDOW)
    rounds, done = 0, asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        while not done.is_set():
            rounds += 1
            items = [acceptance(f"new_{rounds}_{n}", at=MIDNIGHT + 1) for n in range(5)]
            assert not any(each.duplicate for each in await queue.accept(items))
            claimed = await queue.claim("dst_1", 5, now=MIDNIGHT + 2, lease_until=MIDNIGHT + 60)
            assert len(claimed) == 5
            assert await queue.settle([settlement(each.delivery_id) for each in claimed]) == []

    async def prune() -> Pruned:
        try:
            return await Pruner(database, Clock()).prune(CUTOFFS)
        finally:
            await made_days(database)
            done.set()

    pruned, _ = await asyncio.gather(prune(), work())
    await working.close()

    assert pruned.rows["deliveries"] == pruned.rows["events"] == 2000
    assert rounds > 5
    today = Partition("deliveries", int(MIDNIGHT // DAY))
    assert await rows_of(database, today.name) == 5 * rounds
    assert await rows_of(database, "deliveries_default") == 0
