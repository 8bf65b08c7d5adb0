"""From a host's name to the addresses that may be connected to: looked up, every one checked, kept for seconds."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from tracklayer.model.delivery import Failure
from tracklayer.transport.address_guard import Network, refusal

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses as text, the best first. Raises `OSError` where there is none."""

_KEPT = 4096  # names
_THREADS = 32  # the system's resolver blocks a thread; a name server that hangs must not stop other names


class _Known(NamedTuple):
    addresses: tuple[str, ...]
    until: float  # monotonic seconds


class NameLookup:
    """Looks names up. Callers that want the same name at the same time share one lookup."""

    def __init__(self, allow: Sequence[Network], resolver: Resolver | None, ttl: float) -> None:
        self._allow = tuple(allow)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="name-lookup")
        self._resolve = resolver or self._ask_the_system
        self._ttl = ttl
        self._known: dict[tuple[str, int], _Known] = {}
        self._running: dict[tuple[str, int], asyncio.Task[tuple[str, ...] | Failure]] = {}

    async def addresses(self, host: str, port: int, patience: float) -> tuple[str, ...] | Failure:
        """The addresses of `host` (a name, or an address without brackets), at least one, all of them allowed.

        A `Failure` where the name has none within `patience` seconds, or where any of them is refused.
        """
        key = (host, port)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known.until:
            return known.addresses
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._look_up(host, port))
            running.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            return await asyncio.wait_for(asyncio.shield(running), patience)
        except TimeoutError:
            return Failure(kind="dns", detail=f"the name {host} (port {port}) was not resolved within {patience:g} s")

    def prefer(self, host: str, port: int, address: str) -> None:
        """Put `address`, which took a connection while those before it did not, first until it is gone."""
        known = self._known.get((host, port))
        if known is not None:
            self._known[host, port] = known._replace(addresses=_first(address, known.addresses))

    async def close(self) -> None:
        """Give up the lookups that run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> tuple[str, ...] | Failure:
        try:
            addresses: tuple[str, ...] = (str(ip_address(host)),)
        except ValueError:
            try:
                addresses = tuple(dict.fromkeys(await self._resolve(host, port)))
            except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
                reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid name"
                return Failure(kind="dns", detail=f"the name {host} (port {port}) was not resolved: {reason}")
        if not addresses:
            return Failure(kind="dns", detail=f"the name {host} (port {port}) has no address")
        return self._refused(host, port, addresses) or self._keep((host, port), addresses)

    def _refused(self, host: str, port: int, addresses: tuple[str, ...]) -> Failure | None:
        for address in addresses:
            reason = refusal(ip_address(address), self._allow)
            if reason is not None:
                return Failure(
                    kind="refused_address",
                    detail=f"{host} (port {port}) was not contacted: its address {address} is {reason}, and not in "
                    "TRACKLAYER_ALLOW_NETWORKS",
                )
        return None

    def _keep(self, key: tuple[str, int], addresses: tuple[str, ...]) -> tuple[str, ...]:
        before = self._known.pop(key, None)
        if before is not None:  # stay where connections are open, although name servers shuffle their answers
            addresses = _first(before.addresses[0], addresses)
        while len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = _Known(addresses, time.monotonic() + self._ttl)
        return addresses

    async def _ask_the_system(self, host: str, port: int) -> list[str]:
        def ask() -> list[str]:
            return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)


def _first(address: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """`addresses` with `address` in front, if it is one of them."""
    return tuple(sorted(addresses, key=lambda other: other != address))
