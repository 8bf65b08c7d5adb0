"""What a test of failures works with: the hosts, each with a line of its own to the database, and traffic over them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import asyncpg

from tests.fleet import api_of, host
from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.postgres import PostgresServer
from tests.tcp_proxy import TcpProxy
from tests.traffic import Caller, Callers, delivery_ids, header, made, wait_until_arrived
from tracklayer.demo.receiver import Answer, Recorded

OUTAGE = float(os.environ.get("TRACKLAYER_TEST_OUTAGE", "4"))  # seconds; `make failures` gives more
LEASE = 4.0  # seconds
RECOVERY = 20.0  # seconds until everything flows again after a failure has ended; the machine may be busy
STARTING = 100.0
LATE = "tracklayer_late_settlements_total"
NEAR = "10.213.78.0/30"  # a network of the tests' own, where they can make one
TAKES = Answer(delay=0.1)  # so slow that there is always something under way
ANSWERS = [*[*[TAKES] * 6, Answer(503)] * 1000, TAKES]
ROLES = ("api", "all", "worker", "worker")


class Host(NamedTuple):
    """A process, and its line to the database."""

    server: ServerProcess
    line: TcpProxy

    @property
    def api(self) -> Api:
        """Its API."""
        return api_of(self.server)

    @property
    def name(self) -> str:
        """For messages."""
        return self.server.data_dir.name

    @property
    def delivers(self) -> bool:
        """Whether it sends to receivers."""
        return self.server.settings["role"] != "api"

    @property
    def accepts(self) -> bool:
        """Whether it takes events."""
        return self.server.settings["role"] != "worker"

    def metric(self, series: str) -> float | None:
        """The value of a series of its `/metrics`; None while it has none to give."""
        answer = self.api.get("/metrics")
        lines = str(answer.body).splitlines() if answer.status == 200 else []
        return next((float(line.removeprefix(series)) for line in lines if line.startswith(series + " ")), None)

    def delivered(self, destination_id: str) -> float | None:
        """How many deliveries to a destination this process has ended well since its start."""
        return self.metric(f'tracklayer_deliveries_delivered_total{{destination_id="{destination_id}"}}')

    def signal(self, number: int) -> None:
        """Send its process a signal."""
        os.kill(self.server.pid, number)


class Installation:
    """Two entrances, one of which delivers, too, and two workers."""

    def __init__(self, folder: Path, postgres: PostgresServer, receiver: ReceiverThread) -> None:
        self.folder = folder
        self.postgres = postgres  # the primary, as it was at first
        self.receiver = receiver
        self.hosts: list[Host] = []
        self._destinations: set[str] = set()
        self._running = ExitStack()  # the hosts
        self._standbys = ExitStack()

    def __enter__(self) -> Self:
        try:
            for number, role in enumerate(ROLES):
                line = self._running.enter_context(TcpProxy(self.postgres.port))
                self.hosts.append(Host(self.process(f"host{number}", role, line), line))
                self._running.callback(self.hosts[-1].server.stop)
                self.hosts[-1].server.start(ready=False)
            self._wait_until_ready()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._standbys:
            self._running.close()

    def process(
        self, name: str, role: str, line: TcpProxy, within: Sequence[str] = (), **settings: object
    ) -> ServerProcess:
        """A process whose line to the database is `line`; not started. `within`: see `ServerProcess`."""
        url = self.postgres.url.replace(f"127.0.0.1:{self.postgres.port}", line.address)
        server = host(
            self.folder / name,
            url,
            role,
            lease=f"{LEASE:.0f}s",
            database_connections=4,
            allow_networks=f"127.0.0.0/8,{NEAR}",
            **settings,
        )
        server.within = within
        return server

    def mend(self) -> None:
        """Start what has ended, wake what sleeps, put the network right, and clear away what a test has made."""
        for each in self.hosts:
            each.line.join()
            each.line.spare_commits()
            process = each.server.process
            assert process is not None
            if process.poll() is None:
                each.signal(signal.SIGCONT)
            else:
                each.server.start(ready=False)
        self._wait_until_ready()
        self.receiver.receiver.respond = None
        for destination_id in list(self._destinations):
            self.delete(destination_id)

    def standby(self) -> PostgresServer:
        """A server without which the primary acknowledges no commit."""
        standby = self._standbys.enter_context(self.postgres.standby())
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask("SELECT pg_reload_conf()")
        follows = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: self.ask(follows) == 1, what="the standby to follow")
        return standby

    def fail_over(self, standby: PostgresServer) -> None:
        """The primary crashes, and the standby takes its place and its address."""
        self.postgres.stop(signal.SIGQUIT)
        standby.promote()
        self.postgres = standby
        for each in self.hosts:
            each.line.aim(standby.port)

    def ask(self, statement: str) -> object:
        """Execute a statement on the primary, past every line; answers the first value."""

        async def ask() -> object:
            connection = await asyncpg.connect(self.postgres.url)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def delete(self, destination_id: str) -> None:
        """Delete a destination, so that the next test's events do not go there."""
        answer = self.hosts[0].api.delete(f"/v1/destinations/{destination_id}?deliveries=discard")
        assert answer.status == 200, answer
        self._destinations.remove(destination_id)

    def _wait_until_ready(self) -> None:
        for each in self.hosts:
            wait_until(each.server.is_ready, STARTING, what=f"{each.name} to be ready")

    def destination(self, name: str, *more: Host, url: str | None = None, **config: object) -> str:
        """A destination of that name and path, which every host knows, `more` of them, too; answers its id."""
        destination_id = made(self.hosts[0].api, name, f"{url or self.receiver.url}/{name}", **config)
        self._destinations.add(destination_id)
        for each in [*self.hosts, *more]:
            wait_until(lambda each=each: each.delivered(destination_id) is not None, what=f"{each.name} to know")  # type: ignore[misc]
        return destination_id

    @contextmanager
    def traffic(
        self, name: str, *more: Host, killed: Collection[Host] = (), url: str | None = None
    ) -> Iterator[Traffic]:
        """Callers at every entrance, also among `more` hosts, for the block; in the end nothing must be lost.

        Only those `killed` may leave a caller without an answer. `url` is another one of the receiver.
        """
        hosts = [*self.hosts, *more]
        path = f"/{name}"
        self.receiver.script(path, *ANSWERS)
        retry = {"attempts": 20, "backoff": "200ms", "jitter": 0.5}
        destination_id = self.destination(name, *more, url=url, retry=retry)
        traffic = Traffic(self.receiver, hosts, path, destination_id)
        with Callers(*traffic.callers):
            yield traffic
        traffic.check_answers(killed)
        traffic.check_deliveries()
        print(f"{name}: {len(traffic.taken())} events acknowledged, {traffic.repeated()} attempts came twice")
        self.delete(destination_id)


class Recovery(NamedTuple):
    """Seconds until every process did its work again."""

    accepts: float
    delivers: float

    def __str__(self) -> str:
        return f"every entrance accepts after {self.accepts:.1f} s, every process delivers after {self.delivers:.1f} s"


class Traffic:
    """Callers that go on whatever happens, and the one destination of all they send."""

    def __init__(self, receiver: ReceiverThread, hosts: Sequence[Host], path: str, destination_id: str) -> None:
        self._receiver = receiver
        self._hosts = hosts
        self.path = path
        self.destination_id = destination_id
        self._at = {each.name: _callers(each, path[1:]) for each in hosts if each.accepts}

    @property
    def callers(self) -> list[Caller]:
        """All of them."""
        return [caller for each in self._at.values() for caller in each]

    def arrivals(self) -> list[Recorded]:
        """The requests that have come so far."""
        return self._receiver.on(self.path)

    def taken(self, *entrances: Host) -> set[str]:
        """The events that were acknowledged so far, by these entrances or by any."""
        return Callers(*self._calling(entrances)).acknowledged

    def refused(self, *entrances: Host) -> int:
        """How often these entrances, or any, answered 503."""
        return Callers(*self._calling(entrances)).answers[503]

    def flow(self, more: int = 40) -> None:
        """Wait until so many more requests have arrived."""
        self._receiver.wait_for(self.path, len(self.arrivals()) + more, deadline=STARTING)

    def arrive(self, events: Collection[str], within: float) -> float:
        """Wait until all of these have arrived; answers after how many seconds."""
        began = time.monotonic()
        wait_until_arrived(self._receiver, self.path, set(events), deadline=within)
        return time.monotonic() - began

    def refuse(self, *entrances: Host, within: float) -> float:
        """Wait until these entrances have answered 503 once more; answers after how many seconds."""
        began, before = time.monotonic(), self.refused(*entrances)
        wait_until(lambda: self.refused(*entrances) > before, within, what="a refusal")
        return time.monotonic() - began

    def recover(self, *hosts: Host, within: float = RECOVERY) -> Recovery:
        """Wait until each of `hosts`, or every one, has taken something and delivered something from now on."""
        began, now = time.monotonic(), time.time()
        chosen = hosts or self._hosts
        silent = [each for each in chosen if each.accepts]
        still = [each for each in chosen if each.delivers]
        before: dict[str, float] = {}

        def all_accept() -> bool:
            silent[:] = [each for each in silent if not self._has_taken_since(now, each)]
            return not silent

        def all_deliver() -> bool:
            for each in list(still):
                count = each.delivered(self.destination_id)
                if count is not None and count > before.setdefault(each.name, count):
                    still.remove(each)
            return not still

        try:
            wait_until(all_accept, within)
            accepts = time.monotonic() - began
            wait_until(all_deliver, within - accepts)
        except AssertionError:
            names = [each.name for each in silent or still]
            raise AssertionError(f"{names} {'accept' if silent else 'deliver'} nothing within {within:g} s") from None
        return Recovery(accepts, time.monotonic() - began)

    def repeated(self) -> int:
        """How many requests were of an attempt that had come before."""
        attempts = [
            (header(each, "X-TrackLayer-Delivery-Id"), header(each, "X-TrackLayer-Attempt")) for each in self.arrivals()
        ]
        return len(attempts) - len(set(attempts))

    def check_answers(self, killed: Collection[Host]) -> None:
        """Every request was taken, or refused with the time to come again."""
        for name, callers in self._at.items():
            answers = Callers(*callers).answers
            expected = {200, 202, 503} | ({0} if name in {each.name for each in killed} else set())
            assert set(answers) <= expected, f"{name} answered {answers}"
            assert not any(caller.without_retry_after for caller in callers), f"{name} refused without Retry-After"

    def check_deliveries(self) -> None:
        """Whatever was acknowledged has arrived, under one delivery id, and every delivery has ended well."""
        self.arrive(self.taken(), within=STARTING)
        api = self._hosts[0].api

        def of(state: str) -> list[object]:
            answer = api.get("/v1/deliveries", destination_id=self.destination_id, state=state)
            assert answer.status == 200, answer
            return list(answer.body["data"])

        wait_until(lambda: not of("pending"), STARTING, what="every delivery to end")
        assert {state: of(state) for state in ("dead", "discarded", "suppressed")} == {
            "dead": [],
            "discarded": [],
            "suppressed": [],
        }
        twice = [event_id for event_id, ids in delivery_ids(self.arrivals()).items() if len(ids) > 1]
        assert not twice, f"{len(twice)} events have more than one delivery: {twice[:5]}"

    def _calling(self, entrances: Sequence[Host]) -> list[Caller]:
        return [caller for each in entrances for caller in self._at[each.name]] if entrances else self.callers

    def _has_taken_since(self, unix: float, entrance: Host) -> bool:
        return any(caller.last_taken_at > unix for caller in self._at[entrance.name])


def _callers(entrance: Host, name: str) -> list[Caller]:
    """Each has a connection of its own."""
    single = [Caller(entrance.api, f"{name}-{entrance.name}-s{number}", pause=0.06) for number in range(2)]
    return [*single, Caller(entrance.api, f"{name}-{entrance.name}-b", batch=10, pause=0.4)]
