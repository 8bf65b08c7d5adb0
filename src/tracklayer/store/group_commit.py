"""Many callers, one commit: whoever comes while a transaction runs shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Waiting(NamedTuple, Generic[Item, Answer]):
    item: Item
    weight: int
    answer: asyncio.Future[Answer]


class GroupCommit(Generic[Item, Answer]):
    """Collects items while `commit` runs and hands the next lot over together.

    One fsync then makes many items durable, and a lone caller waits for nobody. When `commit` raises, everybody
    of that lot gets the error; an answer that is an exception is raised to the one whom it answers.
    """

    def __init__(
        self,
        commit: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        largest: int,
    ) -> None:
        """`largest` bounds the weight of what one transaction takes, one item aside that is heavier by itself."""
        self._commit = commit
        self._largest = largest
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._weight = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The weight of what waits for a transaction to take it."""
        return self._weight

    def submit(self, item: Item, *, weight: int = 1) -> asyncio.Future[Answer]:
        """Queue one item; the future has its answer once the transaction is durable."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(item, weight, future))
        self._weight += weight
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return future

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._queue:
            await self._commit_lot(self._next_lot())

    def _next_lot(self) -> list[_Waiting[Item, Answer]]:
        lot = [self._queue.popleft()]
        weight = lot[0].weight
        while self._queue and weight + self._queue[0].weight <= self._largest:
            lot.append(self._queue.popleft())
            weight += lot[-1].weight
        self._weight -= weight
        return lot

    async def _commit_lot(self, lot: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._commit([item for item, _, _ in lot])
            answered = list(zip(lot, answers, strict=True))
        except Exception as error:
            for _, _, future in lot:
                if not future.done():
                    future.set_exception(error)
            return
        except asyncio.CancelledError:  # the loop ends: whether it was stored, nobody can say
            for _, _, future in lot:
                future.cancel()
            raise
        for (_, _, future), answer in answered:
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
