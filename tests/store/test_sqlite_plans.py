"""The frequent queries use an index: what they cost must not grow with what was delivered long ago."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as engine_event

from tests.store.samples import LEASE, NOW, WINDOW, WORKSPACE, acceptance, only_delivery, settlement
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.facts import FactKeys
from tracklayer.ports import SystemClock
from tracklayer.settings import Settings
from tracklayer.store import Database, History, Queue, open_database
from tracklayer.store.audiences import AudienceStore
from tracklayer.store.causes import Causes
from tracklayer.store.counts import MINUTE, Counts
from tracklayer.store.facts import FactsReader
from tracklayer.store.history import DeliveryFilter
from tracklayer.store.pruning import Pruner
from tracklayer.store.retention import retention
from tracklayer.store.search import EventFilter, EventSearch

Act = Callable[[Queue, History], Awaitable[object]]


@pytest.fixture
def path(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """A migrated, empty database file."""
    return Path(shutil.copyfile(migrated_sqlite, tmp_path / "tracklayer.db"))


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that a connection opened in this test runs, its parameters filled in."""
    seen: list[str] = []

    def listen(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(seen.append)

    engine_event.listen(Engine, "connect", listen)
    yield seen
    engine_event.remove(Engine, "connect", listen)


@pytest.fixture
async def database(path: Path, statements: list[str]) -> AsyncIterator[Database]:
    """The file, opened and listened to."""
    database = open_database(f"sqlite:///{path}")
    yield database
    await database.close()


def plans(path: Path, statements: list[str]) -> list[str]:
    """The steps of SQLite's plan for each statement that looks for rows."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            step
            for statement in statements
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]


def listing(wanted: DeliveryFilter) -> Act:
    return lambda queue, history: history.deliveries(WORKSPACE, wanted, limit=50, before="dlv_9")


OF_A_CAUSE = DeliveryFilter(state=DeliveryState.DEAD, test=False, destination_id="dst_1", cause="401")
OF_A_CAUSE_SEARCHES = "ix_deliveries_cause (workspace_id=? AND test=? AND destination_id=? AND cause=? AND id"

FREQUENT: dict[str, tuple[Act, str]] = {
    "accept": (lambda queue, _: queue.accept([acceptance(), acceptance("ord_2")]), "workspace_id=? AND event_id=?"),
    "claim": (
        lambda queue, _: queue.claim("dst_1", 10, now=NOW, lease_until=NOW + LEASE),
        "ix_deliveries_pending (destination_id=? AND available_at<?)",
    ),
    "next at": (lambda queue, _: queue.next_at("dst_1"), "ix_deliveries_pending (destination_id=?"),
    "settle": (lambda queue, _: queue.settle([settlement("dlv_1"), settlement("dlv_2")]), "PRIMARY KEY (id=?)"),
    "release": (lambda queue, _: queue.release(["dlv_1"]), "PRIMARY KEY (id=?)"),
    "discard pending": (
        lambda queue, _: queue.discard_pending("dst_1", now=NOW),
        "ix_deliveries_pending (destination_id=?",
    ),
    "revive": (lambda queue, _: queue.revive(WORKSPACE, ["dlv_1"], as_sent=False, now=NOW), "(id=?)"),
    "events": (lambda _, history: history.events(WORKSPACE, limit=50, before="evt_9"), "workspace_id=? AND pk<?"),
    "event": (lambda _, history: history.event(WORKSPACE, "ord_1"), "workspace_id=? AND event_id=?"),
    "deliveries of an event": (lambda _, history: history.deliveries_of("evt_1"), "ix_deliveries_event (event_pk=?)"),
    "delivery": (lambda _, history: history.delivery(WORKSPACE, "dlv_1"), "PRIMARY KEY (id=?)"),
    "attempts": (lambda _, history: history.attempts("dlv_1"), "PRIMARY KEY (delivery_id=?)"),
    "kept request": (lambda _, history: history.kept_request("dlv_1"), "(delivery_id=?)"),
    "dead letters": (
        listing(DeliveryFilter(state=DeliveryState.DEAD, test=False)),
        "ix_deliveries_dead (workspace_id=? AND id<?)",
    ),
    "a destination's deliveries": (
        listing(DeliveryFilter(destination_id="dst_1")),
        "ix_deliveries_destination (destination_id=? AND id<?)",
    ),
    "the deliveries of an event's id": (
        listing(DeliveryFilter(event_id="ord_1", destination_id="dst_1")),
        "ix_deliveries_event (event_pk=?)",
    ),
    "what waits": (listing(DeliveryFilter(state=DeliveryState.PENDING)), "USING PRIMARY KEY (id=?)"),
    "what waits for a destination": (
        listing(DeliveryFilter(state=DeliveryState.PENDING, destination_id="dst_1")),
        "ix_deliveries_pending (destination_id=?)",
    ),
    "what is retried": (
        listing(DeliveryFilter(retrying=True, destination_id="dst_1")),
        "ix_deliveries_pending (destination_id=?)",
    ),
    "suppressed": (
        listing(DeliveryFilter(state=DeliveryState.SUPPRESSED)),
        "ix_deliveries_suppressed (workspace_id=? AND id<?)",
    ),
    "discarded": (
        listing(DeliveryFilter(state=DeliveryState.DISCARDED)),
        "ix_deliveries_discarded (workspace_id=? AND id<?)",
    ),
    "a time in the log": (listing(DeliveryFilter(since=NOW, until=NOW + 60)), "(id>? AND id<?)"),
    "the few dead letters of a destination": (
        listing(DeliveryFilter(state=DeliveryState.DEAD, test=False, destination_id="dst_1")),
        "ix_deliveries_cause (workspace_id=? AND test=? AND destination_id=?)",
    ),
    "dead letters of a cause": (listing(OF_A_CAUSE), OF_A_CAUSE_SEARCHES),
    "dead letters of a cause, oldest first": (
        lambda _, history: history.oldest(WORKSPACE, OF_A_CAUSE, limit=50, after="dlv_0"),
        OF_A_CAUSE_SEARCHES,
    ),
    "a destination's dead letters": (
        listing(DeliveryFilter(destination_id="dst_1", state=DeliveryState.DEAD)),
        "ix_deliveries_",
    ),
}


@pytest.mark.parametrize("act, searches", FREQUENT.values(), ids=FREQUENT)
async def test_a_frequent_query_searches_an_index(
    path: Path, database: Database, statements: list[str], act: Act, searches: str
) -> None:
    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)
    await queue.accept([acceptance()])
    statements.clear()

    await act(queue, History(database))

    found = plans(path, statements)
    assert any(step.startswith("SEARCH") and searches in step for step in found), found
    assert not any(_goes_through_all(step) for step in found), found


def _goes_through_all(step: str) -> bool:
    """Whether a step reads a whole table or sorts what it found (a list of parameters is a virtual table)."""
    waiting = "SCAN deliveries USING COVERING INDEX ix_deliveries_pending"  # holds only what waits
    harmless = ("VIRTUAL TABLE", "CO-ROUTINE", "SCAN anon", waiting)
    return step.startswith(("SCAN", "USE TEMP B-TREE")) and not any(each in step for each in harmless)


async def test_after_a_crash_only_what_waits_is_looked_at(
    path: Path, database: Database, statements: list[str]
) -> None:
    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)

    await queue.release_all(now=NOW)
    await queue.backlog()

    steps = [step for step in plans(path, statements) if " deliveries " in step]
    assert [step.partition(" INDEX ")[2] for step in steps[:-1]] == ["ix_deliveries_pending"] * 3, steps
    assert steps[-1] == "SEARCH deliveries USING PRIMARY KEY (id=?)"  # the oldest of each destination


COUNTED: dict[str, tuple[Callable[[Counts], Awaitable[object]], list[str]]] = {
    "by hour": (
        lambda counts: counts.by_hour(["dst_1", "dst_2"], since=0),
        ["PRIMARY KEY (destination_id=? AND step=? AND slot>?)"],
    ),
    "latencies": (
        lambda counts: counts.latencies(["dst_1", "dst_2"], since=0),
        ["PRIMARY KEY (destination_id=? AND step=? AND slot>?)"],
    ),
    "slots": (
        lambda counts: counts.slots("dst_1", MINUTE, since=0, width=600),
        ["PRIMARY KEY (destination_id=? AND step=? AND slot>?)"],
    ),
    "oldest": (
        lambda counts: counts.oldest(MINUTE, before=9),
        ["sqlite_autoindex_destinations_1", "PRIMARY KEY (destination_id=? AND step=?)"],
    ),
    "forget": (
        lambda counts: counts.forget("dst_1", MINUTE, before=9),
        ["PRIMARY KEY (destination_id=? AND step=? AND slot<?)"],
    ),
    "dead": (lambda counts: counts.dead(WORKSPACE), ["ix_deliveries_cause (workspace_id=? AND test=?)"]),
    "all dead": (
        lambda counts: counts.all_dead(WORKSPACE, most=9),
        ["ix_deliveries_cause (workspace_id=? AND test=?)"],
    ),
}


@pytest.mark.parametrize("ask, ways", COUNTED.values(), ids=COUNTED)
async def test_what_was_counted_is_found_without_the_log(
    path: Path,
    database: Database,
    statements: list[str],
    ask: Callable[[Counts], Awaitable[object]],
    ways: list[str],
) -> None:
    await ask(Counts(database))

    found = plans(path, statements)
    looks = [step for step in found if step.startswith(("SEARCH", "SCAN")) and " anon_" not in step]
    assert looks, found
    assert all(any(way in step for way in ways) for step in looks), found


async def test_dead_letters_are_grouped_and_counted_in_one_index(
    path: Path, database: Database, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = Causes(database)
    await causes.all(WORKSPACE, DeliveryFilter(test=False))
    await causes.by_hour(WORKSPACE, OF_A_CAUSE, hours=24, now=NOW)  # few: one statement
    monkeypatch.setattr("tracklayer.store.causes.FEW", -1)
    await causes.by_hour(WORKSPACE, OF_A_CAUSE, hours=24, now=NOW)  # many: one more for each hour

    found = plans(path, statements)
    grouped = [step for step in found if "ix_deliveries_cause" in step]  # no row of the log is looked up
    assert len(grouped) == 1 + 1 + 1 + 24, found
    assert all("USING COVERING INDEX" in step and "(workspace_id=? AND test=?" in step for step in grouped), found
    assert not any("GROUP BY" in step for step in found), found


@pytest.mark.parametrize(
    "wanted, searches",
    [
        (EventFilter(), "sqlite_autoindex_events_1 (workspace_id=? AND pk<?)"),
        (EventFilter(since=NOW, until=NOW + 60), "sqlite_autoindex_events_1 (workspace_id=? AND pk>? AND pk<?)"),
        (EventFilter(event_name="purchase"), "(workspace_id=? AND event_name=? AND pk<?)"),
        (EventFilter(user="u_1", event_name="purchase"), "(workspace_id=? AND user_key=? AND event_pk<?)"),
        (EventFilter(event_id="ord_1", user="u_1"), "PRIMARY KEY (workspace_id=? AND event_id=?)"),
    ],
    ids=str,
)
async def test_a_search_for_events_walks_the_index_that_narrows_most(
    path: Path, database: Database, statements: list[str], wanted: EventFilter, searches: str
) -> None:
    await EventSearch(database).page(WORKSPACE, wanted, limit=50, before="evt_9")

    found = plans(path, statements)
    assert any(searches in step for step in found), found
    assert not any(_goes_through_all(step) for step in found), found


async def test_what_is_known_of_users_and_who_is_on_a_list_is_searched_by_key(
    path: Path, database: Database, statements: list[str]
) -> None:
    keys = [FactKeys(("u_1",), "acme", ("id:u_1",))]
    await database.write(lambda connection: FactsReader(database).read(connection, WORKSPACE, keys))
    store = AudienceStore(database)
    await store.members(WORKSPACE, "vip", limit=50, after="id:u_1")
    await store.listed(WORKSPACE, "vip", ["id:u_1"])
    await store.counts(WORKSPACE)
    await store.count(WORKSPACE, "vip")
    await store.remove_members(WORKSPACE, "vip", ["id:u_1"])
    await store.remove(WORKSPACE, "vip")
    asked = [each for each in statements if "profiles" in each or "audience" in each]
    steps = [step for step in plans(path, asked) if "json_each" not in step]
    assert len(steps) > 8
    assert not [step for step in steps if _goes_through_all(step)], "\n".join(steps)


async def test_pruning_walks_keys_and_looks_up_what_stays(
    path: Path, database: Database, statements: list[str]
) -> None:
    item = acceptance(user={"external_id": "u_1"})
    queue = Queue(database, worker="wrk_1", dedup_window=WINDOW)
    await queue.accept([item])
    await queue.claim("dst_1", 1, now=NOW, lease_until=NOW + LEASE)
    await queue.settle([settlement(only_delivery(item))])
    statements.clear()

    pruned = await Pruner(database, SystemClock()).prune(retention(Settings()).cutoffs(NOW + 100 * 86_400))

    assert pruned.total == 5  # with its attempt, its id and its user
    steps = [step for step in plans(path, statements) if "pragma" not in step]
    assert len(steps) > 12
    assert not [step for step in steps if _goes_through_all(step)], "\n".join(steps)
