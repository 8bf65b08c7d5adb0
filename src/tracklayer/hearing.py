"""What this process does about what other processes on the same database announce."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tracklayer.catalog import Catalog
from tracklayer.errors import TrackLayerError
from tracklayer.flow.engine import Engine
from tracklayer.flow.relay import NOTE, WATCH, Relay
from tracklayer.operate.maintenance import PRUNED, Maintenance
from tracklayer.operate.sources import Sources
from tracklayer.ports import Clock
from tracklayer.store.paces import HOLD
from tracklayer.store.queue import DUE

# Topics that the database's own triggers announce (migration 0004).
CONFIGURATION, KEYS, SOURCES = "configuration", "keys", "sources"
AGAIN = 1.0  # seconds until what could not be read is read again

log = structlog.get_logger("tracklayer")


class Hearing:
    """Hears announcements one by one; what is to be read again is read once for all that came meanwhile."""

    def __init__(
        self,
        catalog: Catalog,
        sources: Sources,
        engine: Engine,
        relay: Relay,
        maintenance: Maintenance,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._engine = engine
        self._relay = relay
        self._maintenance = maintenance
        self._clock = clock
        self._changed: set[tuple[str, str]] = set()  # topic, workspace
        self._something = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to act; what was heard before is not lost."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Act no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def hear(self, topic: str, about: str) -> None:
        """An announcement came. One that this version does not know is another version's business."""
        if topic == DUE:
            self._engine.notice(about, self._clock.now())
        elif topic == HOLD:
            destination_id, _, until = about.partition(" ")
            self._engine.hold(destination_id, float(until))
        elif topic == PRUNED:
            self._maintenance.hear(about)
        elif topic in (WATCH, NOTE):
            self._relay.hear(topic, about)
        elif topic in (CONFIGURATION, KEYS, SOURCES):
            self._changed.add((topic, about))
            self._something.set()

    async def resume(self) -> None:
        """Announcements may have been missed: read everything again. Raises `Unavailable`."""
        await self._catalog.load()
        await self._sources.load()
        self._engine.refresh()
        await self._engine.resume()

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            changed, self._changed = self._changed, set()
            try:
                for topic, workspace_id in self._once(changed):
                    await self._read(topic)(workspace_id)
            except Exception as error:  # whatever it is, what has changed must not be forgotten
                log.warning("changes_not_read", error=str(error), exc_info=not isinstance(error, TrackLayerError))
                self._changed |= changed
                self._something.set()
                await self._clock.sleep(AGAIN)

    def _once(self, changed: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Keys and sources are read whole, whichever workspace they are of."""
        return {(topic, about if topic == CONFIGURATION else "") for topic, about in changed}

    def _read(self, topic: str) -> Callable[[str], Awaitable[None]]:
        return {CONFIGURATION: self._configuration, KEYS: self._keys, SOURCES: self._all_sources}[topic]

    async def _configuration(self, workspace_id: str) -> None:
        await self._catalog.refresh(workspace_id)
        self._engine.refresh()

    async def _keys(self, _: str) -> None:
        await self._catalog.load_keys()

    async def _all_sources(self, _: str) -> None:
        await self._sources.load()
