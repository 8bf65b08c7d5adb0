"""The live tail over many processes: whoever watches here is told what other processes on the same database do.

A process with watchers says so every few seconds; only then do the others announce their notes. Nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
import structlog

from tracklayer.errors import Unavailable
from tracklayer.flow.tail import Note, Tail
from tracklayer.ports import Clock

WATCH, NOTE = "watch", "note"  # topics of announcements
SAY_EVERY = 5.0  # seconds
GOOD_FOR = 12.0  # seconds for which others go on after they heard it
FLUSH_EVERY = 0.2  # seconds for which notes are collected
MOST = 200  # notes in one announcement's transaction; what comes faster is left out

Tell: TypeAlias = Callable[[str, list[str]], Awaitable[None]]
"""Announces to every process: topic, and a text for each announcement. Raises `Unavailable`."""

log = structlog.get_logger("tracklayer.tail")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


class Relay:
    """Between the tail of this process and those of the others."""

    def __init__(self, tail: Tail, tell: Tell, clock: Clock, origin: str) -> None:
        """`origin` names this process, so that it does not hear itself."""
        self._tail = tail
        self._tell = tell
        self._clock = clock
        self._origin = origin
        self._wanted: dict[str, float] = {}  # workspace → until when another process wants its notes
        self._notes: deque[Note] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    def watching(self) -> None:
        """Somebody watches here: let the others know, for as long as that is so."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())

    def hear(self, topic: str, about: str) -> None:
        """An announcement of another process, or of this one."""
        origin, _, rest = about.partition(" ")
        if origin == self._origin:
            return
        if topic == WATCH:
            self._wanted[rest] = self._clock.now() + GOOD_FOR
            self._tail.wanted_elsewhere(set(self._wanted))
        elif topic == NOTE:
            self._tail.tell(_decode(rest))

    def pass_on(self, note: Note) -> None:
        """Something happened here."""
        if self._wanted.get(note.workspace_id, 0.0) < self._clock.now():
            if self._wanted.pop(note.workspace_id, None) is not None:
                self._tail.wanted_elsewhere(set(self._wanted))
            return
        if len(self._notes) < MOST:
            self._notes.append(note)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def stop(self) -> None:
        """End what runs."""
        running = [task for task in (self._asking, self._flushing) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            while workspaces := self._tail.workspaces():
                await self._say(WATCH, [f"{self._origin} {each}" for each in sorted(workspaces)])
                await self._clock.sleep(SAY_EVERY)
        finally:
            self._asking = None

    async def _flush(self) -> None:
        await self._clock.sleep(FLUSH_EVERY)
        notes, self._notes = self._notes, deque()
        self._flushing = None
        await self._say(NOTE, [f"{self._origin} {_encode(note).decode()}" for note in notes])

    async def _say(self, topic: str, texts: list[str]) -> None:
        try:
            await self._tell(topic, texts)
        except Unavailable as error:
            log.warning("tail_not_relayed", error=error.detail)
