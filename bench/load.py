"""The load generator: one process, raw asyncio protocols on uvloop, HTTP/1.1 keep-alive, requests prepared up front.

Closed loop (`rate` None): every connection sends its next request as soon as it has the answer to the last.
Open loop: requests fall due at a fixed rate whatever the server does; one that finds no free connection waits, and
its waiting counts, because `due` is the planned time.

`python -m bench.load` reads a `Plan` as JSON from stdin and prints an `Outcome` as JSON. Times are `time.time()`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import uvloop

from bench import events as purchases
from bench import shop
from bench.events import requests
from bench.framing import Framer, header

TRAFFIC = {"purchases": purchases.events, "shop": shop.events}
MOST_BROKEN = 100  # lost connections after which a run ends: the server is gone, or closes after every answer


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send."""

    port: int  # on 127.0.0.1
    path: str
    headers: dict[str, str]
    run: str  # the prefix of the event ids
    events: int
    batch: int | None = None  # events a request; None: each request is one bare event
    connections: int = 64
    rate: float | None = None  # requests a second; None: as fast as it goes
    deadline: float = 300.0  # seconds for all of it
    traffic: str = "purchases"  # one of `TRAFFIC`


@dataclass(kw_only=True)
class Outcome:
    """What happened. `due` and `acked` have one entry per event, 0.0 where it never came to it."""

    due: list[float]  # when its request was planned (open loop) or written (closed loop)
    acked: list[float]  # when the 2xx that accepted it was read
    statuses: dict[str, int] = field(default_factory=dict)  # status → answers
    rejected: int = 0  # events that a batch's answer did not accept
    broken: int = 0  # requests whose connection was lost before the answer
    timed_out: bool = False
    cpu_seconds: float = 0.0  # of this process while it sent


class Load:
    """One run of a plan over its connections."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        events = TRAFFIC[plan.traffic](plan.run, plan.events)
        self.requests, self._groups = requests(events, batch=plan.batch, path=plan.path, headers=plan.headers)
        self._due = [0.0] * len(self.requests)
        self._acked = [0.0] * plan.events
        self._statuses: Counter[int] = Counter()
        self._rejected = 0
        self._broken = 0
        self._left = len(self.requests)
        self._waiting: deque[int] = deque()
        self._idle: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(lambda _, context: self._fail(context))

    async def run(self) -> Outcome:
        """Send everything; return when each request has its end, or at the deadline."""
        for _ in range(self._plan.connections):
            await self._connect()
        gc.freeze()  # the prepared requests are no garbage; do not walk them while measuring
        cpu = time.process_time()
        if self._plan.rate is None:
            for number in range(len(self.requests)):
                self._offer(number)
        else:
            self._start(self._offer_at(self._plan.rate))
        timed_out = False
        try:
            await asyncio.wait_for(self._done, self._plan.deadline)
        except TimeoutError:
            timed_out = True
        cpu = time.process_time() - cpu
        for task in self._tasks:
            task.cancel()
        due = [time for time, group in zip(self._due, self._groups, strict=True) for _ in group]
        return Outcome(
            due=due,
            acked=self._acked,
            statuses={str(status): count for status, count in sorted(self._statuses.items())},
            rejected=self._rejected,
            broken=self._broken,
            timed_out=timed_out,
            cpu_seconds=cpu,
        )

    def answered(self, connection: Connection, head: bytes, body: bytes) -> None:
        """The answer to the connection's request is there. 429 and 503 are obeyed: the same request goes again."""
        now = time.time()
        number = connection.number
        if number is None:
            raise ValueError(f"an answer that nobody asked for: {head!r}")
        status = int(head[9:12])
        self._statuses[status] += 1
        if status in (429, 503):
            wait = float(header(head, b"retry-after") or 1)
            asyncio.get_running_loop().call_later(wait, connection.send_again)
            return
        if 200 <= status < 300:
            self._acknowledge(self._groups[number], body, now)
        self._end(1)
        self._next(connection)

    def lost(self, connection: Connection) -> None:
        """The server closed the connection: what was on its way has no answer; open another."""
        if self._done.done():
            return
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.number is not None:
            self._broken += 1
            self._end(1)
        if self._broken > MOST_BROKEN:
            self._end(self._left)
        else:
            self._start(self._connect())

    def wrote(self, number: int) -> None:
        """Request `number` was just written."""
        if not self._due[number]:
            self._due[number] = time.time()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._plan.port)
        except OSError:
            self._broken += 1
            self._end(self._left)
        else:
            self._next(connection)

    def _offer(self, number: int) -> None:
        if self._idle:
            self._idle.pop().send(number)
        else:
            self._waiting.append(number)

    async def _offer_at(self, rate: float) -> None:
        start = time.time() + 0.05
        for number in range(len(self.requests)):
            due = start + number / rate
            ahead = due - time.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            self._due[number] = due
            self._offer(number)

    def _next(self, connection: Connection) -> None:
        connection.number = None
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _acknowledge(self, group: range, body: bytes, now: float) -> None:
        if self._plan.batch is None:
            self._acked[group.start] = now
            return
        for number, result in zip(group, json.loads(body)["results"], strict=True):
            if result["status"] in ("accepted", "duplicate"):
                self._acked[number] = now
            else:
                self._rejected += 1

    def _end(self, requests: int) -> None:
        self._left -= requests
        if self._left <= 0 and not self._done.done():
            self._done.set_result(None)

    def _fail(self, context: dict[str, Any]) -> None:
        """A callback raised (an answer that is no HTTP, say): the run's numbers would be wrong."""
        if not self._done.done():
            self._done.set_exception(context.get("exception") or RuntimeError(context["message"]))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, load: Load) -> None:
        self.number: int | None = None  # the request on its way
        self._load = load
        self._framer = Framer()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own classes are not derived from it

    def send(self, number: int) -> None:
        """Write request `number`."""
        self.number = number
        self._load.wrote(number)
        self.send_again()

    def send_again(self) -> None:
        """Write the request on its way (once more)."""
        if self.number is not None and self._transport is not None:
            self._transport.write(self._load.requests[self.number])

    def data_received(self, data: bytes) -> None:
        """Hand on each answer that is complete."""
        for head, body in self._framer.feed(data):
            self._load.answered(self, head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the load."""
        self._transport = None
        self._load.lost(self)


async def run(plan: Plan) -> Outcome:
    """Run `plan` on this event loop."""
    return await Load(plan).run()


def main() -> None:
    """A plan on stdin, an outcome on stdout."""
    plan = Plan(**json.load(sys.stdin))
    json.dump(asdict(uvloop.run(run(plan))), sys.stdout)


if __name__ == "__main__":
    main()
