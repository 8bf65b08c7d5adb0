"""HTTP clients, each bound to one receiver at one checked address, so that no name is looked up behind our back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import NamedTuple

from pyreqwest.client import Client, ClientBuilder

from tracklayer import __version__
from tracklayer.transport.origin import Origin

_IDLE = timedelta(seconds=30)  # most servers close an idle connection after 60 s; be earlier than they are


class ClientKey(NamedTuple):
    """What a client is bound to. Timeouts in seconds."""

    origin: Origin
    address: str
    connect_timeout: float
    read_timeout: float | None


class ClientPool:
    """The clients that are in use, at most `limit`; the one that was unused for the longest goes first.

    One costs about 5 ms of CPU (it reads the system's certificates) and 0.2 MB. `trust` holds further root certificates
    as PEM.
    """

    def __init__(self, limit: int, trust: bytes | None) -> None:
        self._limit = limit
        self._trust = trust
        self._clients: OrderedDict[ClientKey, Client] = OrderedDict()
        self._building = asyncio.Lock()

    def ready(self, key: ClientKey) -> Client | None:
        """The client for `key`, if there is one."""
        client = self._clients.get(key)
        if client is not None:
            self._clients.move_to_end(key)
        return client

    async def get(self, key: ClientKey) -> Client:
        """The client for `key`, built in a thread where there is none. Raises `ValueError` for an unusable address."""
        async with self._building:
            client = self.ready(key)
            if client is None:
                client = await asyncio.to_thread(self._build, key)
                self._clients[key] = client
            # Not closed, only let go: requests under way hold it, and its connections close with the last reference.
            while len(self._clients) > self._limit:
                self._clients.popitem(last=False)
        return client

    async def close(self) -> None:
        """End every request that is under way and let go of every connection."""
        async with self._building:
            for client in self._clients.values():
                await client.close()
            self._clients.clear()

    def _build(self, key: ClientKey) -> Client:
        builder = (
            ClientBuilder()
            .resolve(key.origin.host, key.address, key.origin.port)
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .gzip(False)  # no decompression: a small answer must not grow in memory
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent(f"TrackLayer/{__version__}")
            .pool_idle_timeout(_IDLE)
            .connect_timeout(timedelta(seconds=key.connect_timeout))
        )
        if key.read_timeout is not None:
            builder = builder.read_timeout(timedelta(seconds=key.read_timeout))
        if self._trust is not None:
            builder = builder.add_root_certificate_pem(self._trust)
        return builder.build()
