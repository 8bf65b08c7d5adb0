"""Coverage of what runs in greenlets, as SQLAlchemy's transactions on PostgreSQL do, at the price of their switches.

A tracer follows one stack of calls. Coverage's own way to follow one for each greenlet (`concurrency = greenlet`) asks
at every call of any function which greenlet runs, which nearly doubles the CPU of all that is measured. This one
changes the tracer when the greenlet changes: each is traced as a thread of its own would be.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import greenlet

if TYPE_CHECKING:
    from _typeshed import TraceFunction


class Tracers:
    """Which tracer follows which greenlet of this thread."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[greenlet.greenlet, TraceFunction | None] = WeakKeyDictionary()  # those that wait
        self._starter: TraceFunction | None = None  # who followed the greenlet that began the last one
        self._free: list[TraceFunction | None] = []  # whose greenlets have ended, since that one follows

    def switched(self, _event: str, greenlets: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        """The second of `greenlets` runs now instead of the first."""
        left, entered = greenlets
        running = sys.gettrace()
        if left.dead:
            self._free.append(running)
        else:
            self._of[left] = running
        if entered in self._of:
            sys.settrace(self._of.pop(entered))
            return
        if running is not self._starter:  # to measure was stopped, or begun again
            self._starter, self._free = running, []
        sys.settrace(self._free.pop() if self._free else threading.gettrace())


def follow() -> None:
    """Follow the greenlets of this thread from now on."""
    greenlet.settrace(Tracers().switched)
