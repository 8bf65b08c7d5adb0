"""Changing what others change at the same moment, in this process or another: each change that is answered holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tracklayer.errors import Conflict

TRIES = 20

T = TypeVar("T")


async def until_it_holds(change: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What `change` answers once nobody else came between its reading and its writing (None until then).

    It reads anew each time, and so is made of what the others have made: no change is lost. Raises `Conflict`.
    """
    for _ in range(TRIES):
        if (made := await change()) is not None:
            return made
    raise Conflict(f"{what} is being changed by others; try again", code="busy")
