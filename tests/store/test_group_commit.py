"""Group commit: whoever comes while a transaction runs shares the next one, its result or its error."""

from __future__ import annotations

import asyncio

import pytest

from tracklayer.store import GroupCommit


class Transactions:
    """Records each lot and lets it commit when the test says so; a lot with a `bad` item fails."""

    def __init__(self) -> None:
        self.lots: list[list[str]] = []
        self._allowed = asyncio.Semaphore(0)

    def allow(self, count: int = 1) -> None:
        for _ in range(count):
            self._allowed.release()

    async def commit(self, items: list[str]) -> list[str]:
        self.lots.append(items)
        await self._allowed.acquire()
        if "bad" in items:
            raise ValueError("this lot cannot be stored")
        return [item.upper() for item in items]


async def turn() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_everybody_who_comes_while_a_transaction_runs_shares_the_next_one() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=100)
    first = group.submit("a")
    await turn()
    others = [group.submit(item) for item in "bcd"]
    assert group.waiting == 3

    transactions.allow(2)

    assert await first == "A"
    assert await asyncio.gather(*others) == ["B", "C", "D"]
    assert transactions.lots == [["a"], ["b", "c", "d"]]
    assert group.waiting == 0


async def test_nobody_is_answered_before_the_commit() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=100)
    answer = group.submit("a")
    await turn()
    assert transactions.lots == [["a"]]
    assert not answer.done()

    transactions.allow()
    assert await answer == "A"


async def test_a_lot_is_never_larger_than_the_largest() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=2)
    answers = [group.submit(item) for item in "abcde"]

    transactions.allow(3)

    assert await asyncio.gather(*answers) == list("ABCDE")
    assert transactions.lots == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_lot_is_as_heavy_as_its_items_and_one_that_is_too_heavy_goes_alone() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=10)
    weights = {"a": 6, "b": 4, "c": 1, "d": 11, "e": 1}
    answers = [group.submit(item, weight=weight) for item, weight in weights.items()]
    assert group.waiting == 23

    transactions.allow(4)

    assert await asyncio.gather(*answers) == list("ABCDE")
    assert transactions.lots == [["a", "b"], ["c"], ["d"], ["e"]]
    assert group.waiting == 0


async def test_an_error_reaches_all_of_its_lot_and_nobody_of_the_next() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=2)
    answers = [group.submit(item) for item in ("a", "bad", "c", "d")]

    transactions.allow(2)
    results = await asyncio.gather(*answers, return_exceptions=True)

    assert [str(result) for result in results] == ["this lot cannot be stored", "this lot cannot be stored", "C", "D"]


async def test_after_an_error_the_next_caller_is_served() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=2)
    transactions.allow(2)
    with pytest.raises(ValueError, match="cannot be stored"):
        await group.submit("bad")
    assert await group.submit("a") == "A"


@pytest.mark.parametrize("item", ["waiting", "in the transaction", "bad"])
async def test_a_caller_who_leaves_disturbs_nobody_and_its_item_is_stored_all_the_same(item: str) -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=2)
    if item == "waiting":
        group.submit("before")
        await turn()
    leaving, staying = group.submit(item), group.submit("b")
    if item != "waiting":
        await turn()

    leaving.cancel()
    transactions.allow(2)
    (result,) = await asyncio.gather(staying, return_exceptions=True)

    assert transactions.lots[-1] == [item, "b"]
    assert leaving.cancelled()
    assert str(result) == ("this lot cannot be stored" if item == "bad" else "B")


async def test_an_answer_for_another_number_of_items_is_an_error_and_not_a_silence() -> None:
    async def forgetful(items: list[str]) -> list[str]:
        return items[1:]

    group = GroupCommit(forgetful, largest=10)
    with pytest.raises(ValueError, match="zip"):
        await asyncio.wait_for(group.submit("a"), 1)


async def test_drain_returns_when_everything_is_stored() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=1)
    answers = [group.submit(item) for item in "abc"]
    draining = asyncio.create_task(group.drain())
    transactions.allow(2)
    await turn()
    assert not draining.done()

    transactions.allow()
    await draining
    assert [answer.result() for answer in answers] == ["A", "B", "C"]
    await group.drain()  # nothing waits: at once


async def test_a_group_that_was_idle_starts_again() -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=10)
    transactions.allow(2)
    assert await group.submit("a") == "A"
    await group.drain()
    assert await group.submit("b") == "B"
    assert transactions.lots == [["a"], ["b"]]


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_when_the_loop_cancels_every_task_nobody_is_left_waiting_and_the_next_is_served(turns: int) -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=10)
    answer = group.submit("a")
    for _ in range(turns):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(group.drain(), 1)

    transactions.allow(2)
    assert await asyncio.wait_for(group.submit("b"), 1) == "B"
    assert answer.done()  # cancelled with its transaction, or stored with the next


async def test_an_answer_that_is_an_error_reaches_its_item_alone() -> None:
    async def commit(items: list[str]) -> list[str | Exception]:
        return [ValueError(item) if item == "bad" else item for item in items]

    group = GroupCommit(commit, largest=10)
    results = await asyncio.gather(*map(group.submit, ["a", "bad", "c"]), return_exceptions=True)
    assert [repr(result) for result in results] == ["'a'", "ValueError('bad')", "'c'"]


@pytest.mark.parametrize("count", [1, 50])
async def test_the_answer_belongs_to_its_item(count: int) -> None:
    transactions = Transactions()
    group = GroupCommit(transactions.commit, largest=7)
    transactions.allow(count)
    names = [f"item {number}" for number in range(count)]
    assert await asyncio.gather(*map(group.submit, names)) == [name.upper() for name in names]
