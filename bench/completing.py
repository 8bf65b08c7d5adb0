"""What it costs to make an event whole: taking a shop's events in with everything on beside everything off, in turns.

Three servers, each a process of its own, get the same events over HTTP, one round after the other. `on` knows the
shop: visitors with traits, lists, rules, places, defaults of consent. `switched` is the same server with all of that
switched off; what users consent to it remembers all the same, for that has no switch. `bare` is the server without the
step that makes events whole (`bench.bare`). At first none has a destination; then each gets one that wants every event,
as a server in use has, and a round ends when all of it has arrived there. Ratios are of the servers' CPU an event,
which is what bounds the events a second, and which other work on the machine changes least; the rate that the sender
saw, or the receiver, stands beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from bench import shop
from bench.load import Outcome, Plan
from bench.measure import median
from bench.process import Process, Usage, free_port, stopping
from bench.subjects import ADMIN_KEY, ROOT, Running, await_ready, call
from bench.trial import Receiver, receiving
from tests.geo_file import write_geo_file

AIM = 0.75  # events a second with all of it on, for one with it off
ROUNDS = 5
BATCH = 100
ON = {"consent_defaults": shop.CONSENT_DEFAULTS}
OFF = {
    "clock_skew": False,
    "enrichment": dict.fromkeys(("user_agent", "campaign", "traits", "audiences", "geo"), False),
}
SERVERS = {"on": "tracklayer", "switched": "tracklayer", "bare": "bench.bare"}  # name → module

Say = Callable[[str], None]


class Way(NamedTuple):
    """How the events are sent."""

    events: int  # a round, to each server
    connections: int
    batch: int | None


WAYS = {"single": Way(2_000, 64, None), "batch": Way(4_000, 8, BATCH)}
DELIVERED = {"single, delivered": Way(1_000, 64, None), "batch, delivered": Way(1_000, 8, BATCH)}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way of sending: for each server its rounds, in the order in which they followed each other."""

    way: str
    cpu: dict[str, list[float]]  # seconds an event, of the server
    rate: dict[str, list[float]]  # events a second, until the last answer, or the last arrival

    def speed(self, of: str) -> float:
        """The events that the CPU takes in with all of it on, for one of the server `of`: the median of the rounds."""
        return median([other / on for on, other in zip(self.cpu["on"], self.cpu[of], strict=True)])

    def speed_seen(self, of: str) -> float:
        """The same of the rates that the sender saw."""
        return median([on / other for on, other in zip(self.rate["on"], self.rate[of], strict=True)])


def measure(*, quick: bool, say: Say, data_dir: Path | None = None) -> list[Measured]:
    """Send the shop's events to every server, in either way."""
    with tempfile.TemporaryDirectory(prefix="tracklayer-bench-", dir=data_dir) as root, ExitStack() as stack:
        servers = {name: stack.enter_context(_running(name, Path(root) / name)) for name in SERVERS}
        receiver = stack.enter_context(receiving())

        def measured(ways: dict[str, Way], to: Receiver | None) -> list[Measured]:
            return [_measure(name, way, servers, to, quick=quick, say=say) for name, way in ways.items()]

        accepted = measured(WAYS, None)
        for server in servers.values():
            call(server.port, "POST", "/v1/destinations", server.headers, shop.destination(receiver.url))
        return accepted + measured(DELIVERED, receiver)


def page(measured: list[Measured]) -> str:
    """The result, as text."""
    lines = ["taking a shop's events in over HTTP; delivered: to one destination that wants them all"]
    lines.append(f"  {'sent':<8}{'server':<10}{'CPU µs':>8}{'events/s':>10}   speed of `on` by CPU, and as seen")
    for each in measured:
        for server in SERVERS:
            told = (
                f"  {each.way:<18}{server:<10}{median(each.cpu[server]) * 1e6:>8.0f}{median(each.rate[server]):>10,.0f}"
            )
            if server != "on":
                told += f"   {each.speed(server):.2f}, {each.speed_seen(server):.2f}"
            lines.append(told)
    verdicts = [f"{each.way}: {'met' if each.speed('switched') >= AIM else 'missed'}" for each in measured]
    return "\n".join([*lines, f"  aim: {AIM} of `switched`, by CPU: {'; '.join(verdicts)}"])


def document(measured: list[Measured]) -> dict[str, object]:
    """The result, for programs."""
    others = [server for server in SERVERS if server != "on"]
    ways = [{**asdict(each), "speed": {server: each.speed(server) for server in others}} for each in measured]
    return {"aim": AIM, "ways": ways}


def _measure(
    name: str, way: Way, servers: dict[str, Running], to: Receiver | None, *, quick: bool, say: Say
) -> Measured:
    rounds = 2 if quick else ROUNDS
    if quick:
        way = way._replace(events=way.events // 20)
    cpu: dict[str, list[float]] = {server: [] for server in servers}
    rate: dict[str, list[float]] = {server: [] for server in servers}
    for number in range(rounds + 1):  # the first one warms up
        say(f"{name}: round {number} of {rounds}")
        turns = list(servers.items())
        for server, running in turns if number % 2 else reversed(turns):
            before, run = _spent(running), f"{server}-{name.replace(', ', '-')}-{number}"
            outcome = _send(running, way, run)
            end = max(outcome.acked) if to is None else to.last_of(f"{run}_", way.events)
            if number:
                cpu[server].append((_spent(running) - before) / way.events)
                rate[server].append(way.events / (end - min(outcome.due)))
    return Measured(way=name, cpu=cpu, rate=rate)


def _send(server: Running, way: Way, run: str) -> Outcome:
    """A round. Raises `RuntimeError` where an event was not accepted: then the numbers mean nothing."""
    plan = Plan(
        port=server.port,
        path="/v1/events" if way.batch is None else "/v1/events/batch",
        headers=server.headers,
        run=run,
        events=way.events,
        batch=way.batch,
        connections=way.connections,
        traffic="shop",
    )
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(asdict(plan)).encode(), stdout=subprocess.PIPE, check=True
    )
    outcome = Outcome(**json.loads(done.stdout))
    if lost := outcome.acked.count(0.0):
        raise RuntimeError(f"{lost} of {way.events} events were not accepted: {outcome.statuses}")
    return outcome


def _spent(server: Running) -> float:
    used = sum((process.usage() for process in server.processes), Usage(0.0, 0.0, 0))
    return used.user + used.system


@contextmanager
def _running(name: str, folder: Path) -> Iterator[Running]:
    """The server `name`, with what a shop has set up in it."""
    folder.mkdir()
    port, headers = free_port(), {"Authorization": f"Bearer {ADMIN_KEY}"}
    env = {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "TRACKLAYER_PORT": str(port),
        "TRACKLAYER_DATA_DIR": str(folder / "data"),
        "TRACKLAYER_ADMIN_KEY": ADMIN_KEY,
        "TRACKLAYER_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    if name == "on":
        env["TRACKLAYER_GEO_FILE"] = str(write_geo_file(folder / "places.mmdb", shop.PLACES))
    command = [sys.executable, "-m", SERVERS[name], "serve"]
    process = Process(name, command, cwd=ROOT, env=env, log=folder / "server.log")
    with stopping([process]):
        await_ready(port, [process])
        call(port, "PUT", "/v1/workspace", headers, {"rules": ON if name == "on" else OFF})
        if name == "on":
            _fill(port, headers)
        yield Running(port, headers, [process])


def _fill(port: int, headers: dict[str, str]) -> None:
    """What a shop has: visitors who are known, lists, rules."""
    for start in range(0, shop.USERS, BATCH):
        known = [shop.identify(user) for user in range(start, start + BATCH)]
        call(port, "POST", "/v1/events/batch", headers, {"events": known})
    for name, users in shop.LISTS.items():
        call(port, "PUT", f"/v1/audiences/{name}", headers, {"static": True})
        members = [{"external_id": user} for user in users]
        call(port, "POST", f"/v1/audiences/{name}/members", headers, {"add": members})
    for name, rule in shop.RULES.items():
        call(port, "PUT", f"/v1/audiences/{name}", headers, {"rule": rule})
