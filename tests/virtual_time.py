"""An event loop whose clock stands still while anything happens and jumps to the next timer when nothing does.

    @in_virtual_time
    async def test_a_day_passes() -> None:
        await asyncio.sleep(86_400)  # at once

Work in threads takes no time: while any runs the loop waits for it, and the clock waits too. So a test over a real
database file has the same times in every run. Sockets are no part of it.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

START = 1_770_000_000.0  # unix time at which every virtual clock starts
STUCK = 60.0  # real seconds after which a thread that does not end is given up


class Stuck(Exception):
    """Everybody waits and nothing is left that could wake anybody."""


class VirtualClock:
    """`tracklayer.ports.Clock` over the running loop."""

    def now(self) -> float:
        """Unix time in seconds."""
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait for a timer, the clock jumps instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self.in_threads:
            ready = super().select(STUCK)
            if not ready:
                raise Stuck(f"work in {self.in_threads} threads has not ended within {STUCK:g} s")
            return ready
        if timeout is None:
            raise Stuck("nothing is due, and no work is under way")
        self.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs everything at its virtual time; the clock moves only when nothing else can."""

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def run_in_executor(  # type: ignore[override]  # typeshed has it with TypeVarTuples, which say no more
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As the loop does, counting what is under way."""
        self._virtual.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._ended)
        return future

    async def shutdown_default_executor(self, *limit: Any) -> None:
        """As the loop does; it waits in a thread that nothing else counts."""
        self._virtual.in_threads += 1
        await super().shutdown_default_executor(*limit)
        self._virtual.in_threads -= 1

    def _ended(self, _: object) -> None:
        self._virtual.in_threads -= 1


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """A test that is a coroutine, run in virtual time; it takes its fixtures as any other test does."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        async def main() -> T:
            return await test(*args, **kwargs)

        return run_in_virtual_time(main())

    return run


async def until(holds: Callable[[], Any], what: str = "", *, within: float = 3600.0, step: float = 0.01) -> Any:
    """The first true value of `holds`, asked every `step` virtual seconds for `within` of them."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not (value := holds()):
        assert loop.time() < deadline, f"waited {within:g} virtual seconds in vain for {what or holds}"
        await asyncio.sleep(step)
    return value
