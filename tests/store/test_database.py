"""Transactions: all or nothing, durable before the answer, and usable again after whatever went wrong in one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.util import await_only

from tests.store.conftest import OpenDatabase
from tests.store.samples import NOW, refused_by_the_schema
from tracklayer.errors import NotFound
from tracklayer.store import Database
from tracklayer.store.tables import workspaces

BOTH = pytest.mark.parametrize("long", [False, True], ids=["short", "long"])


class Gate:
    """Lets work that runs inside a transaction wait for the test."""

    def __init__(self, database: Database) -> None:
        self._inside = asyncio.Event() if database.shared else threading.Event()  # where its statements wait, too

    def open(self) -> None:
        """Let it go on."""
        self._inside.set()

    def wait(self) -> None:
        """Wait, inside of the work."""
        if isinstance(self._inside, asyncio.Event):
            await_only(asyncio.wait_for(self._inside.wait(), 10))
        else:
            assert self._inside.wait(10)


def adding(name: str) -> Callable[[Connection], str]:
    """The transaction that adds a workspace of that name."""

    def work(connection: Connection) -> str:
        connection.execute(insert(workspaces).values(id=f"ws_{name}", name=name, created_at=NOW))
        return name

    return work


async def names(database: Database) -> list[str]:
    """What is committed."""
    return await database.read(
        lambda connection: list(connection.execute(select(workspaces.c.name).order_by(workspaces.c.name)).scalars())
    )


@BOTH
async def test_what_a_transaction_wrote_is_there_for_everybody_once_it_is_answered(
    database: Database, open_database: OpenDatabase, long: bool
) -> None:
    assert await database.write(adding("a"), long=long) == "a"
    assert await names(database) == ["a"]
    assert await names(open_database()) == ["a"]


@BOTH
async def test_whatever_is_raised_inside_leaves_nothing_and_comes_out_as_it_is(database: Database, long: bool) -> None:
    def work(connection: Connection) -> None:
        adding("a")(connection)
        raise NotFound("there is no such thing")

    with pytest.raises(NotFound, match="no such thing"):
        await database.write(work, long=long)

    assert await names(database) == []
    await database.write(adding("b"), long=long)
    assert await names(database) == ["b"]


@BOTH
async def test_a_row_that_the_schema_refuses_is_our_fault_and_the_next_transaction_works(
    database: Database, long: bool
) -> None:
    """Not `Unavailable`: what settles deliveries tries again for as long as the store is unavailable."""

    def work(connection: Connection) -> None:
        adding("a")(connection)
        adding("a")(connection)

    with refused_by_the_schema():
        await database.write(work, long=long)

    assert await names(database) == []
    assert await database.write(adding("a"), long=long) == "a"


async def test_those_who_share_a_transaction_do_not_share_their_errors(database: Database) -> None:
    def broken(connection: Connection) -> None:
        adding("lost")(connection)
        raise NotFound("there is no such thing")

    results = await asyncio.gather(
        *(database.write(adding(name)) for name in "ab"),
        database.write(broken),
        database.write(broken, long=True),
        *(database.write(adding(name)) for name in "cad"),
        return_exceptions=True,
    )

    assert [type(result).__name__ for result in results[2:4]] == ["NotFound", "NotFound"]
    assert [results[1], results[4], results[6]] == ["b", "c", "d"]
    both = [results[0], results[5]]  # on connections of their own, either may be first
    assert "a" in both
    assert [isinstance(result, Exception) for result in both].count(True) == 1
    assert await names(database) == ["a", "b", "c", "d"]


async def test_an_error_while_reading_leaves_every_connection_usable(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(select(workspaces)).all()
        raise NotFound("there is no such thing")

    for _ in range(10):  # more often than there are connections
        with pytest.raises(NotFound):
            await database.read(work)
    await database.write(adding("a"))
    assert await asyncio.gather(*(names(database) for _ in range(8))) == [["a"]] * 8


async def test_a_read_sees_one_moment_however_long_it_takes(database: Database) -> None:
    await database.write(adding("a"))
    read_once, written = asyncio.Event(), Gate(database)
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> tuple[int, int]:
        before = len(connection.execute(select(workspaces)).all())
        loop.call_soon_threadsafe(read_once.set)
        written.wait()
        return before, len(connection.execute(select(workspaces)).all())

    reading = asyncio.create_task(database.read(work))
    await read_once.wait()
    await database.write(adding("b"))
    written.open()

    assert await reading == (1, 1)
    assert await names(database) == ["a", "b"]


async def test_transactions_that_come_at_once_take_turns(database: Database, open_database: OpenDatabase) -> None:
    other = open_database()

    def increment(connection: Connection) -> None:
        count = connection.execute(select(workspaces.c.created_at).with_for_update()).scalar_one()
        connection.execute(workspaces.update().values(created_at=count + 1))

    await database.write(adding("counter"))
    await asyncio.gather(
        *(each.write(increment, long=long) for each in (database, other) for long in (False, True) for _ in range(5))
    )

    found = await database.read(lambda connection: connection.execute(select(workspaces.c.created_at)).scalar_one())
    assert found == NOW + 20


@BOTH
async def test_a_caller_cancelled_at_any_moment_leaves_the_writer_usable(database: Database, long: bool) -> None:
    """At each step of a transaction's way: before its turn, between its statements, while it commits."""
    finished = set()
    for step in range(12):
        name = f"{step:02}"
        caller = asyncio.create_task(database.write(adding(name), long=long))
        for _ in range(step):
            await asyncio.sleep(0)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            finished.add(await caller)
        await asyncio.wait_for(database.write(adding(f"after {name}"), long=long), 5)

    committed = set(await names(database))
    assert {f"after {step:02}" for step in range(12)} <= committed
    assert finished <= committed  # whoever was answered was answered after the commit


@BOTH
async def test_a_transaction_whose_caller_left_ends_as_a_whole(database: Database, long: bool) -> None:
    def work(connection: Connection) -> None:
        adding("first")(connection)
        adding("second")(connection)

    caller = asyncio.create_task(database.write(work, long=long))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await database.write(adding("third"))

    assert await names(database) in (["first", "second", "third"], ["third"])


async def cancel_everything() -> None:
    """What a loop does that ends."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@BOTH
async def test_a_transaction_that_is_cancelled_itself_leaves_the_writer_usable(database: Database, long: bool) -> None:
    for step in range(8):
        callers = [asyncio.create_task(database.write(adding(f"{step}{which}"), long=long)) for which in "ab"]
        for _ in range(step):
            await asyncio.sleep(0)
        await cancel_everything()
        assert all(caller.done() for caller in callers)

        await asyncio.wait_for(database.write(adding(f"after {step}")), 5)

    assert {f"after {step}" for step in range(8)} <= set(await names(database))


async def test_long_work_that_is_cancelled_itself_leaves_nothing_half_done(database: Database) -> None:
    """As a migration that somebody interrupts."""
    reached, go_on, ended = asyncio.Event(), Gate(database), threading.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        adding("first")(connection)
        loop.call_soon_threadsafe(reached.set)
        go_on.wait()
        adding("second")(connection)
        ended.set()

    caller = asyncio.create_task(database.write(work, long=True))
    await reached.wait()
    loop.call_later(0.05, go_on.open)
    await cancel_everything()
    assert caller.cancelled()
    assert ended.is_set() or database.shared  # on SQLite nobody rolls back under it

    await database.write(adding("third"))
    assert await names(database) == ["third"]


async def test_a_caller_cancelled_while_waiting_for_its_turn_does_not_take_it_from_the_others(
    database: Database,
) -> None:
    callers = [asyncio.create_task(database.write(adding(name))) for name in "abcdef"]
    await asyncio.sleep(0)
    for caller in callers[1:4]:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    assert set(await names(database)) >= {"a", "e", "f"}
    assert await asyncio.wait_for(database.write(adding("next")), 5) == "next"


async def test_an_error_after_the_caller_left_is_nobodys_and_harmless(database: Database) -> None:
    reached, go_on = asyncio.Event(), Gate(database)
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> None:
        adding("a")(connection)
        loop.call_soon_threadsafe(reached.set)
        go_on.wait()
        raise NotFound("too late to tell anybody")

    caller = asyncio.create_task(database.write(work, long=True))
    await reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.open()
    await database.write(adding("b"))

    assert await names(database) == ["b"]


async def test_a_reader_cancelled_leaves_its_connection_usable_and_current(database: Database) -> None:
    loop = asyncio.get_running_loop()
    for number in range(10):  # more often than there are connections
        reached, go_on = asyncio.Event(), Gate(database)

        def work(connection: Connection, reached: asyncio.Event = reached, go_on: Gate = go_on) -> None:
            connection.execute(select(workspaces)).all()
            loop.call_soon_threadsafe(reached.set)
            go_on.wait()

        caller = asyncio.create_task(database.read(work))
        await reached.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await database.write(adding(f"{number}"))
        go_on.open()

    assert await asyncio.gather(*(names(database) for _ in range(8))) == [[f"{n}" for n in range(10)]] * 8


async def test_what_was_written_is_there_after_closing_and_opening_again(open_database: OpenDatabase) -> None:
    first = open_database()
    await first.write(adding("a"))
    await first.close()
    assert await names(open_database()) == ["a"]


async def test_close_waits_for_everything_that_was_begun(open_database: OpenDatabase) -> None:
    database = open_database()
    callers = []
    for name in "abc":  # one commits, the others wait for the next transaction
        callers.append(asyncio.create_task(database.write(adding(name))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    await database.close()

    assert await asyncio.gather(*callers) == ["a", "b", "c"]
    assert await names(open_database()) == ["a", "b", "c"]
