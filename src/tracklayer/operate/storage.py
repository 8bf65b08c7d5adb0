"""How much room the database takes, how it grows, how long what is kept, and how much room there is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from tracklayer.operate.maintenance import LastPrune, Maintenance
from tracklayer.ports import Clock
from tracklayer.store.retention import Retention
from tracklayer.store.volume import Volume, Volumes


class StorageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, durations in seconds."""

    directory: str  # where the data lies
    volume: Volume
    free: int  # on the disk of the directory
    retention: Retention  # as it is in force
    pruned: LastPrune | None  # since this process started


class Storage:
    """Looks at the database and the disk."""

    def __init__(self, volumes: Volumes, maintenance: Maintenance, clock: Clock, directory: Path) -> None:
        self._volumes = volumes
        self._maintenance = maintenance
        self._clock = clock
        self._directory = directory

    async def volume(self) -> Volume:
        """Of the database. Raises `Unavailable`."""
        return await self._volumes.read(now=self._clock.now())

    async def facts(self) -> StorageFacts:
        """The sizes of this moment. Raises `Unavailable`."""
        volume, disk = await asyncio.gather(self.volume(), asyncio.to_thread(shutil.disk_usage, self._directory))
        return StorageFacts(
            directory=str(self._directory.absolute()),
            volume=volume,
            free=disk.free,
            retention=self._maintenance.retention,
            pruned=self._maintenance.last,
        )
