"""A whole TrackLayer in this process, on a database file, with a network that is scripted and a clock that jumps.

@in_virtual_time
async def test_…(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(503), status(200))
        await world.destination("d", retry={"backoff": "2s", "jitter": 0})
        await world.send("ord_1")
        await asyncio.sleep(3)
        assert world.network.times("/d") == [0, 2]
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import func, select, update

from tests.virtual_time import VirtualClock
from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState, Failure, FailureKind, Request, Response
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import decode_json, encode_json
from tracklayer.model.work import Accepted, Attempt
from tracklayer.operate.draft import read_draft
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.sources.native import parse_event
from tracklayer.store import Configuration, open_database
from tracklayer.store.history import DeliveryFilter, StoredDelivery
from tracklayer.store.tables import deliveries, destination_versions

KEY = "tl_live_a-key-for-tests-0123456789"

Outcome = Response | Failure
Answering = Callable[[Request], Awaitable[Outcome]]


class Sent(NamedTuple):
    """One request that went out, and when (unix time)."""

    at: float
    request: Request

    @property
    def path(self) -> str:
        """The path that it went to."""
        return urlsplit(self.request.url).path

    def header(self, name: str) -> str:
        """The value of a header."""
        return next(value for known, value in self.request.headers if known.lower() == name.lower())


def status(code: int, *, body: bytes = b"ok", **headers: str) -> Response:
    """An answer; `retry_after="3"` is the header Retry-After."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status=code, headers=given, body=body)


def failure(kind: FailureKind) -> Failure:
    """No answer."""
    return Failure(kind=kind, detail=f"a {kind} failure")


class Network:
    """`tracklayer.ports.Transport`: remembers every request; each path has its script, of which the last repeats."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sent: list[Sent] = []
        self.latency = 0.0  # seconds until an answer is there
        self._clock = clock
        self._scripts: dict[str, list[Outcome | Answering]] = {}

    def script(self, path: str, *outcomes: Outcome | Answering) -> None:
        """What the requests to `path` meet, one after the other."""
        self._scripts[path] = list(outcomes)

    async def send(self, request: Request) -> Outcome:
        """Record, and act as scripted; 200 where nothing is."""
        sent = Sent(self._clock.now(), request)
        self.sent.append(sent)
        script = self._scripts.get(sent.path, [])
        outcome = script.pop(0) if len(script) > 1 else script[0] if script else status(200)
        if self.latency:
            await asyncio.sleep(self.latency)
        return outcome if isinstance(outcome, Response | Failure) else await outcome(request)

    async def close(self) -> None:
        """Nothing is open."""

    def to(self, path: str) -> list[Sent]:
        """The requests to `path`."""
        return [sent for sent in self.sent if sent.path == path]

    def times(self, path: str) -> list[float]:
        """When the requests to `path` went out, in seconds after the first, to the hundredth."""
        found = self.to(path)
        return [round(sent.at - found[0].at, 2) for sent in found]

    def events(self, path: str) -> Counter[str]:
        """How often every event was sent to `path`."""
        return Counter(sent.header("X-TrackLayer-Event-Id") for sent in self.to(path))


class World:
    """A running service and what a test does with it."""

    def __init__(self, service: Service, network: Network, clock: VirtualClock) -> None:
        self.service = service
        self.network = network
        self.clock = clock

    @property
    def workspace_id(self) -> str:
        """The one workspace."""
        found = self.service.keys.find(KEY)
        assert found is not None
        return found.workspace_id

    @property
    def memory(self) -> int:
        """Bytes of the events that the engine holds."""
        return self.service.engine._bytes

    async def leased(self) -> int:
        """How many deliveries are leased."""
        statement = select(func.count()).where(deliveries.c.lease_owner.is_not(None))
        return await self.service._database.read(lambda connection: connection.execute(statement).scalar_one())

    async def destination(self, name: str, **config: Any) -> str:
        """Make a destination whose URL's path is `/name`; answers its id. Every event goes to it unless told else."""
        draft = read_draft(encode_json(_shape(name, config)))
        made = await self.service.destinations.create(self.workspace_id, draft, author="test")
        return made.id

    async def change(self, destination_id: str, name: str, **config: Any) -> None:
        """Save a new version."""
        draft = read_draft(encode_json(_shape(name, config)))
        await self.service.destinations.replace(self.workspace_id, destination_id, draft, author="test", seen=None)

    async def stored_otherwise(self, destination_id: str, **fields: Any) -> None:
        """Change what is stored of every version, as another release may save it; the next start reads it."""
        of_it = destination_versions.c.destination_id == destination_id
        found = await Configuration(self.service._database).versions(destination_id)
        config = {**decode_json(encode_json(found[0].config)), **fields}
        statement = update(destination_versions).where(of_it).values(config=encode_json(config))
        await self.service._database.write(lambda connection: connection.execute(statement))

    async def pause(self, destination_id: str) -> None:
        """Pause a destination."""
        await self._set_status(destination_id, DestinationStatus.PAUSED)

    async def resume(self, destination_id: str) -> None:
        """Resume a destination."""
        await self._set_status(destination_id, DestinationStatus.ACTIVE)

    async def _set_status(self, destination_id: str, status: DestinationStatus) -> None:
        await self.service.destinations.set_status(self.workspace_id, destination_id, status, author="test")

    async def delete(self, destination_id: str, *, discard: bool) -> int:
        """Delete a destination; answers how many deliveries were let go."""
        return await self.service.destinations.delete(
            self.workspace_id, destination_id, discard=discard, seen=None, author="test"
        )

    async def send(self, *event_ids: str, **fields: Any) -> list[Accepted]:
        """Take events in, as one request."""
        now = self.clock.now()
        service = self.service
        events = [
            parse_event(
                encode_json({"event_id": event_id, "event_name": "purchase"} | fields),
                now=now,
                new_id=service.ids.event_uuid,
                limits=service.input_limits,
            )
            for event_id in event_ids
        ]
        return await service.ingest.accept(self.workspace_id, events, now=now)

    async def deliveries(self, **wanted: Any) -> list[StoredDelivery]:
        """The deliveries that fit, oldest first."""
        found = await self.service.history.deliveries(self.workspace_id, DeliveryFilter(**wanted), limit=100_000)
        return found[::-1]

    async def delivery(self, event_id: str) -> StoredDelivery:
        """The one delivery of an event."""
        (found,) = await self.deliveries(event_id=event_id)
        return found

    async def attempts(self, event_id: str) -> list[Attempt]:
        """The attempts of the one delivery of an event."""
        return await self.service.history.attempts((await self.delivery(event_id)).id)

    async def states(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        return dict(Counter(each.state.value for each in await self.deliveries()))

    async def all_end(self, *, within: float = 3600.0) -> None:
        """Wait until no delivery is pending."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while pending := await self.deliveries(state=DeliveryState.PENDING):
            assert loop.time() < deadline, f"{len(pending)} deliveries still wait after {within:g} virtual seconds"
            await asyncio.sleep(0.5)
        # The store shows a commit before the engine has heard of it; virtual time passes only when it has.
        await asyncio.sleep(0.5)


def _shape(name: str, config: dict[str, Any]) -> dict[str, Any]:
    transport = {"url": f"https://receiver.test/{name}"} | config.pop("transport", {})
    return {"name": name, "transport": transport} | config


@asynccontextmanager
async def running(data_dir: Path, *, network: Network | None = None, **settings: Any) -> AsyncIterator[World]:
    """A service between its start and its stop; another one on the same `data_dir` is its restart."""
    clock = VirtualClock()
    network = network or Network(clock)
    _begin_with(await _empty_database(), data_dir)
    service = Service(
        Settings(data_dir=data_dir, **({"admin_key": KEY} | settings)),
        clock=clock,
        rng=random.Random(7),
        transport=network,
    )
    await service.start()
    try:
        yield World(service, network, clock)
    finally:
        await service.stop()


_empty: list[bytes] = []


async def _empty_database() -> bytes:
    """A database file with the newest schema, migrated once for all tests of this process."""
    if not _empty:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "empty.db"
            database = open_database(f"sqlite:///{path}")
            await database.migrate()
            await database.close()
            _empty.append(path.read_bytes())
    return _empty[0]


def _begin_with(database: bytes, data_dir: Path) -> None:
    file = data_dir / "tracklayer.db"
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        file.write_bytes(database)


class Outage:
    """Makes a verb of the store fail as it does when the disk is full, for as long as it is `on`."""

    def __init__(self, verb: Callable[..., Awaitable[Any]], *, after: bool = False) -> None:
        """`after`: the work is done all the same, as when only the answer of a commit is lost."""
        self.on = True
        self.failures = 0
        self._verb = verb
        self._after = after

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.on:
            return await self._verb(*args, **kwargs)
        if self._after:
            await self._verb(*args, **kwargs)
        self.failures += 1
        raise Unavailable("the database cannot do this now: the disk is full")
