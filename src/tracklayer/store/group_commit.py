"""Many callers, one commit: whoever comes while a transaction runs shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Collects items while `commit` runs and hands the next lot over together.

    One fsync then makes many items durable, and a lone caller waits for nobody. When `commit` raises, everybody
    of that lot gets the error; an answer that is an exception is raised to the one whom it answers.
    """

    def __init__(
        self, commit: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]], *, largest: int
    ) -> None:
        """`largest` bounds how many items one transaction takes."""
        self._commit = commit
        self._largest = largest
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for a transaction to take them."""
        return len(self._waiting)

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """Queue one item; the future has its answer once the transaction is durable."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return future

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            lot, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            await self._commit_lot(lot)

    async def _commit_lot(self, lot: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._commit([item for item, _ in lot])
            answered = list(zip(lot, answers, strict=True))
        except Exception as error:
            for _, future in lot:
                if not future.done():
                    future.set_exception(error)
            return
        except asyncio.CancelledError:  # the loop ends: whether it was stored, nobody can say
            for _, future in lot:
                future.cancel()
            raise
        for (_, future), answer in answered:
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
