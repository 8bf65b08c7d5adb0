"""Moving a SQLite installation into PostgreSQL, in as many passes as it takes.

Every table is walked in the order of its primary key, some thousand rows at a time. Over the same range of keys both
sides are brought into one form and compared by their checksums; where they differ, the target's range is replaced in
one transaction. So a first pass copies, one that was interrupted goes on (equal ranges are left alone), and a last one,
made while no server writes, copies the difference and proves that none is left.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from tracklayer.ports import Clock
from tracklayer.store.moving.shape import Shape, digest_of, shapes
from tracklayer.store.moving.source import Chunk, Source
from tracklayer.store.moving.target import Target, opened, refuse_half_moved
from tracklayer.store.partitions import DAY
from tracklayer.store.retention import Retention

__all__ = ["Moved", "Source", "Target", "make_days", "move", "opened", "refuse_half_moved", "sizes"]

MOST_DAYS = 100
"""Days that are made before today, at most: every statement that does not go by an id looks into each of them."""

Tell: TypeAlias = Callable[[str, int], None]
"""Told of every chunk: the table, and how many of its rows are done more."""


class Moved(NamedTuple):
    """One table after a pass: what there is on both sides, the source's first, and what the pass had to do."""

    table: str
    rows: tuple[int, int]
    checksums: tuple[str, str]  # SHA-256, in hex
    copied: int  # rows of ranges that differed
    mended: dict[str, int]  # column → texts with a NUL, which PostgreSQL cannot hold

    @property
    def equal(self) -> bool:
        """Whether both sides have the same rows."""
        return self.rows[0] == self.rows[1] and self.checksums[0] == self.checksums[1]


def sizes(source: Source) -> dict[str, int]:
    """How many rows each table has that is moved."""
    return {shape.name: source.count(shape.table) for shape in shapes()}


async def make_days(source: Source, target: Target, kept: Retention, clock: Clock) -> None:
    """Make the days of the source's events, so that they are dropped whole, once they are old, as later ones are.

    What is older than events are kept, or than `MOST_DAYS`, has no day: it is pruned in small steps.
    """
    now = clock.now()
    since = max(kept.cutoffs(now).events, now - MOST_DAYS * DAY)
    oldest = await asyncio.to_thread(source.oldest_event, since)
    await target.make_days(clock, back=0 if oldest is None else max(0, int(now // DAY) - int(oldest // DAY)))


async def move(source: Source, target: Target, tell: Tell) -> list[Moved]:
    """One pass over every table. Raises `Unavailable`; then another pass goes on."""
    return [await _move(shape, source, target, tell) for shape in shapes()]


async def _move(shape: Shape, source: Source, target: Target, tell: Tell) -> Moved:
    """The checksums are read back from both sides, over ranges that together are all keys that there can be."""
    checksums = hashlib.sha256(), hashlib.sha256()
    copied = 0
    chunk: Chunk | None = None
    while chunk is None or chunk.last is not None:
        after = None if chunk is None else chunk.last
        chunk = await asyncio.to_thread(source.chunk, shape, chunk)
        here, there = digest_of(chunk.rows), await target.digest(shape, after, chunk.last)
        if here != there:
            await target.replace(shape, after, chunk.last, chunk.rows)
            copied += len(chunk.rows)
            there = await target.digest(shape, after, chunk.last)
        checksums[0].update(here)
        checksums[1].update(there)
        tell(shape.name, len(chunk.rows))
    return Moved(
        table=shape.name,
        rows=(await asyncio.to_thread(source.count, shape.table), await target.count(shape)),
        checksums=(checksums[0].hexdigest(), checksums[1].hexdigest()),
        copied=copied,
        mended=shape.mended,
    )
