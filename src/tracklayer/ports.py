"""What the engine needs from the outside and a simulation replaces: time, the network, chance."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

from tracklayer.model.delivery import Failure, Request, Response


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Unix time in seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time (at once for zero or less)."""


class Transport(Protocol):
    """The network."""

    async def send(self, request: Request) -> Response | Failure:
        """Make one HTTP request. Never raises for what a network or a receiver can do; never follows a redirect."""

    async def close(self) -> None:
        """Let go of every connection."""


Rng = random.Random
"""Chance: the one generator that ids and jitter draw from; a simulation seeds it."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, seconds))
