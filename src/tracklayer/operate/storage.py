"""How much room the database takes, and how much there is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec

from tracklayer.store import Database


class StorageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes."""

    directory: str  # where the data lies
    database: int  # of the database without its log of the last writes
    free: int  # on the disk of the directory


class Storage:
    """Looks at the disk."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory

    async def facts(self) -> StorageFacts:
        """The sizes of this moment. Raises `Unavailable`."""
        taken, disk = await asyncio.gather(self._database.size(), asyncio.to_thread(shutil.disk_usage, self._directory))
        return StorageFacts(directory=str(self._directory.absolute()), database=taken, free=disk.free)
