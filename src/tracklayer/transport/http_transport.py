"""Sends one HTTP request to a receiver, within its timeouts and to a checked address."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

import msgspec
from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import HeaderMap, Url

from tracklayer.model.delivery import Failure, Request, Response, Timings
from tracklayer.transport.address_guard import Network
from tracklayer.transport.client_pool import ClientKey, ClientPool
from tracklayer.transport.failures import describe, too_late, was_connecting
from tracklayer.transport.name_lookup import NameLookup, Resolver
from tracklayer.transport.origin import Origin

_ADDRESSES_TRIED = 3
_HEADER_LIMIT = 16_384  # characters of the answer's headers that are kept
_NOT_A_URL = Failure(kind="validate", detail="the URL is not one to send to: expected http:// or https:// and a host")


class HttpTransport:
    """The network as `tracklayer.ports.Transport`, over HTTP/1.1 with keep-alive.

    `allow_networks` are the networks that destinations may reach although they are not public. At most `response_limit`
    bytes of an answer's body are read. `resolver` replaces the system's. `trust` holds root certificates (PEM) beside
    the system's. A name's addresses are kept for `name_ttl` seconds, and at most `client_limit` clients.
    """

    def __init__(
        self,
        allow_networks: Sequence[Network] = (),
        response_limit: int = 65_536,
        resolver: Resolver | None = None,
        *,
        trust: bytes | None = None,
        name_ttl: float = 5.0,
        client_limit: int = 1_000,
    ) -> None:
        self._response_limit = response_limit
        self._names = NameLookup(allow_networks, resolver, name_ttl)
        self._clients = ClientPool(client_limit, trust)

    async def send(self, request: Request) -> Response | Failure:
        """Make one HTTP request; never raises for what a network or a receiver can do, never follows a redirect.

        A connection that cannot be made is tried at the name's next address, as long as there is time. Cancelling
        returns at once; the client lets the exchange itself end in the background, at the latest at its timeout.
        """
        watch = _Stopwatch()
        outcome = await self._attempt(request, watch)
        return msgspec.structs.replace(outcome, timings=watch.timings())

    async def close(self) -> None:
        """End what is under way and let go of every connection; call it last, and before the interpreter ends."""
        await self._names.close()
        await self._clients.close()

    async def _attempt(self, request: Request, watch: _Stopwatch) -> Response | Failure:
        url, origin = _read_url(request.url)
        if url is None or origin is None:
            return _NOT_A_URL
        patience = min(request.connect_timeout, request.timeout)
        addresses = await self._names.addresses(origin.name, origin.port, patience)
        watch.resolved = time.perf_counter()
        if isinstance(addresses, Failure):
            return addresses
        return await self._try_in_turn(addresses, request, url, origin, watch)

    async def _try_in_turn(
        self, addresses: tuple[str, ...], request: Request, url: Url, origin: Origin, watch: _Stopwatch
    ) -> Response | Failure:
        failure = None
        for address in addresses[:_ADDRESSES_TRIED]:
            key = ClientKey(origin, address, request.connect_timeout, request.read_timeout)
            try:
                client = self._clients.ready(key) or await self._clients.get(key)
                left = request.timeout - watch.elapsed()
                if left <= 0:
                    break
                response = await self._exchange(client, request, url, left, watch)
            except (PyreqwestError, ValueError) as error:
                failure = describe(error, request, origin, watch.elapsed())
                if not was_connecting(error):
                    break
            else:
                if address != addresses[0]:
                    self._names.prefer(origin.name, origin.port, address)
                return response
        return failure or too_late(request, origin)

    async def _exchange(self, client: Client, request: Request, url: Url, left: float, watch: _Stopwatch) -> Response:
        builder = client.request(request.method, url).timeout(timedelta(seconds=left)).headers(request.headers)
        if request.body is not None:
            builder = builder.body_bytes(request.body)
        # Without this limit of 0 the client would collect the body before it shows the head: no time of a first byte.
        async with builder.streamed_read_buffer_limit(0).build_streamed() as answer:
            watch.answered = time.perf_counter()
            headers, cut = _kept(answer.headers)
            chunk = await answer.body_reader.read(self._response_limit + 1)
            body = b"" if chunk is None else bytes(chunk)
            cut = cut or len(body) > self._response_limit
            return Response(status=answer.status, headers=headers, body=body[: self._response_limit], truncated=cut)


class _Stopwatch:
    """When the steps of an attempt ended, in seconds of `time.perf_counter`."""

    __slots__ = ("answered", "resolved", "started")

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.resolved: float | None = None
        self.answered: float | None = None

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def timings(self) -> Timings:
        """What is known now."""
        resolved, answered = self.resolved, self.answered
        return Timings(
            resolve_ms=None if resolved is None else (resolved - self.started) * 1000,
            first_byte_ms=None if answered is None else (answered - self.started) * 1000,
            total_ms=self.elapsed() * 1000,
        )


@lru_cache(maxsize=1_024)  # most destinations have one URL for every event
def _read_url(text: str) -> tuple[Url, Origin] | tuple[None, None]:
    """A URL and where it leads; nothing of what is no URL of the web."""
    try:
        url = Url(text)
    except ValueError:
        return None, None
    origin = Origin.of(url)
    return (None, None) if origin is None else (url, origin)


def _kept(headers: HeaderMap) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The answer's headers up to the limit, and whether some were left out."""
    try:
        items = list(headers.items())
    except ValueError:  # the client cannot show a value outside ASCII
        items = [(name, _value(headers, name)) for name in dict.fromkeys(headers.keys())]
    size = 0
    for count, (name, value) in enumerate(items):
        size += len(name) + len(value)
        if size > _HEADER_LIMIT:
            return tuple(items[:count]), True
    return tuple(items), False


def _value(headers: HeaderMap, name: str) -> str:
    try:
        return ", ".join(headers.getall(name))
    except ValueError:
        return "(not ASCII)"
