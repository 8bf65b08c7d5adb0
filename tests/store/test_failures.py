"""How often something may fail: counted by key, within a window, by every process, in bounded room."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from tests.store.conftest import OpenDatabase
from tracklayer.errors import TooMany
from tracklayer.store import Database, failures
from tracklayer.store.failures import WINDOW, Failures
from tracklayer.store.tables import sign_in_failures


async def wait(counted: Failures, most: dict[str, int], now: float) -> int:
    """Begin a try; answers for how long it must not be made."""
    try:
        await counted.begin(most, now)
    except TooMany as error:
        return error.retry_after
    return 0


async def test_so_many_may_fail_and_then_it_waits_for_the_oldest_to_leave_the_window(database: Database) -> None:
    counted = Failures(database)
    assert [await wait(counted, {"a": 2}, now) for now in (0.0, 10.0, 10.0, WINDOW - 1)] == [0, 0, WINDOW - 10, 1]
    assert await wait(counted, {"b": 2}, 10.0) == 0
    assert [await wait(counted, {"a": 2}, now) for now in (WINDOW, WINDOW, WINDOW + 10)] == [0, 10, 0]


async def test_of_two_keys_the_longer_wait_counts_and_a_refused_try_is_counted_for_neither(database: Database) -> None:
    counted = Failures(database)
    assert await wait(counted, {"a": 1}, 0.0) == 0
    assert await wait(counted, {"b": 2}, 5.0) == 0
    assert await wait(counted, {"a": 1, "b": 2}, 6.0) == WINDOW - 6
    assert await wait(counted, {"b": 2}, 7.0) == 0
    assert await wait(counted, {"a": 1, "b": 2}, 8.0) == WINDOW - 3


async def test_what_did_not_fail_is_taken_back_or_forgets_the_key(database: Database) -> None:
    counted = Failures(database)
    for now in (0.0, 1.0):
        await counted.begin({"a": 2}, now)
    await counted.take_back("a", 0.0)
    assert [await wait(counted, {"a": 2}, 2.0) for _ in range(2)] == [0, WINDOW - 1]
    await counted.forget("a")
    assert await wait(counted, {"a": 1}, 3.0) == 0
    await counted.take_back("a", 99.0)
    await counted.take_back("unknown", 0.0)
    await counted.forget("unknown")
    assert await wait(counted, {"a": 1}, 4.0) > 0


async def test_tries_at_once_in_two_processes_do_not_slip_through(open_database: OpenDatabase) -> None:
    processes = [Failures(open_database()) for _ in range(2)]
    most = {"an address": 12}
    tries = [wait(each, {**most, f"e-mail {number % 3}": 5}, 0.0) for number in range(15) for each in processes]
    assert (await asyncio.gather(*tries)).count(0) == 12


async def test_what_counts_no_more_goes_and_of_too_many_those_that_failed_longest_ago(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST_KEYS", 3)
    counted, rows = Failures(database), select(func.count()).select_from(sign_in_failures)
    for now, key in enumerate(("first", "second", "third", "first", "fourth", "fifth"), start=1):
        await counted.begin({key: 5}, float(now))
    assert await database.read(lambda connection: connection.execute(rows).scalar_one()) <= 4
    assert await wait(counted, {"first": 2}, 7.0) == WINDOW - 6
    assert await wait(counted, {"second": 1}, 7.0) == 0
    await counted.begin({"last": 1}, 2 * WINDOW)
    assert await database.read(lambda connection: connection.execute(rows).scalar_one()) == 1


async def test_neither_an_email_nor_an_address_is_kept_in_clear(database: Database) -> None:
    await Failures(database).begin({"e-mail kim@example.com": 5, "192.0.2.1": 20}, 1.0)
    rows = await database.read(lambda connection: connection.execute(select(sign_in_failures)).all())
    assert len(rows) == 2
    assert not any("kim" in str(row) or "192.0.2.1" in str(row) for row in rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5), st.lists(st.floats(0, WINDOW / 2), max_size=20))
async def test_no_window_holds_more_failures_than_allowed(database: Database, most: int, pauses: list[float]) -> None:
    counted = Failures(database)
    await counted.forget("a")
    now, failed = 0.0, list[float]()
    for pause in pauses:
        now += pause
        if await wait(counted, {"a": most}, now) == 0:
            failed.append(now)
    for begin in failed:
        assert sum(begin <= at < begin + WINDOW for at in failed) <= most
