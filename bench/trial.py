"""One trial: a fresh server, a fresh receiver, a warm-up, the measured run, and the proof that nothing was lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.events import SIGNING_SECRET, WEBHOOK_TOKEN, shaped
from bench.load import Outcome, Plan
from bench.measure import Flow, flow
from bench.process import Busy, Process, Usage
from bench.sink import EVENT_ID
from bench.subjects import ROOT, Running, Subject, ask

STALL_SECONDS = 20.0  # without an arrival: what is missing now counts as lost
SETTLE_SECONDS = 0.5  # after the last arrival, so that the server's last bookkeeping is in its CPU time

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is done to a subject."""

    name: str
    events: int
    warm_up: int
    connections: int
    batch: int | None = None
    rate: float | None = None

    @property
    def description(self) -> str:
        """In words."""
        pace = "as fast as it goes" if self.rate is None else f"{self.rate:g}/s, open loop"
        form = "one event a request" if self.batch is None else f"{self.batch} events a request"
        return f"{self.events:,} events, {form}, {pace}, {self.connections} connections, {self.warm_up:,} to warm up"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a trial."""

    trial: str
    subject: str
    flow: Flow
    sent: int  # events
    duplicates: int  # requests for an event that had arrived before
    statuses: dict[str, int]
    unaccepted: int  # events without a 2xx: refused, rejected, connection lost, out of time
    faults: tuple[str, ...]  # what is wrong with the run; empty when its numbers may be used
    peak_rss: int  # bytes
    cpu_user: float  # seconds an event, of the server
    cpu_system: float
    load_cpu: float  # seconds an event, of the load generator
    sink_cpu: float  # seconds an event, of the receiver
    others: float  # share of the machine that went to processes that are no part of the run; steal counts as such


class Receiver:
    """The trial's end of the receiving process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}/hook"

    def status(self) -> dict[str, Any]:
        """Counts so far."""
        counts: dict[str, Any] = json.loads(ask(self._port, "GET", "/status")[1])
        return counts

    def arrivals(self) -> dict[str, float]:
        """Event id → when it came first."""
        times: dict[str, float] = json.loads(ask(self._port, "GET", "/arrivals")[1])
        return times

    def last_of(self, prefix: str, count: int) -> float:
        """When the last of `count` events came whose ids begin with `prefix`; waits for it.

        Raises `RuntimeError` where one does not come within `STALL_SECONDS`.
        """
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            times = [at for name, at in self.arrivals().items() if name.startswith(prefix)]
            if len(times) >= count:
                return max(times)
            time.sleep(0.1)
        raise RuntimeError(f"{count - len(times)} of the {count} events {prefix}… did not arrive")

    def last(self) -> tuple[bytes, bytes]:
        """Head (lower case) and body of the last request."""
        head, _, body = ask(self._port, "GET", "/last")[1].partition(b"\r\n\r\n")
        return head, body


def run(trial: Trial, subject: Subject, folder: Path, say: Say) -> Result:
    """Run `trial` on `subject`, with everything it writes in `folder` (which must be empty)."""
    with receiving() as receiver, subject.running(folder, receiver.url) as server:
        warm = _send(trial, server, receiver, "w", min(trial.warm_up, trial.events), 0, say)
        arrived = sum(time > 0 for time in warm.acked)
        before, used, sink_used = Busy.now(), _usage(server), receiver.status()["cpu_seconds"]
        outcome = _send(trial, server, receiver, "m", trial.events, arrived, say)
        time.sleep(SETTLE_SECONDS)
        spent, status, after = _usage(server), receiver.status(), Busy.now()
        user, system = spent.user - used.user, spent.system - used.system
        sink_cpu = status["cpu_seconds"] - sink_used
        measured = flow("m", outcome.due, outcome.acked, receiver.arrivals())
        return Result(
            trial=trial.name,
            subject=subject.name,
            flow=measured,
            sent=trial.events,
            duplicates=status["duplicates"],
            statuses=outcome.statuses,
            unaccepted=trial.events - measured.acknowledged,
            faults=tuple(_faults(trial, outcome, measured, status["nameless"], receiver.last())),
            peak_rss=spent.peak_rss,
            cpu_user=user / trial.events,
            cpu_system=system / trial.events,
            load_cpu=outcome.cpu_seconds / trial.events,
            sink_cpu=sink_cpu / trial.events,
            others=after.others(before, user + system + sink_cpu),
        )


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver process of our own."""
    command = [sys.executable, "-m", "bench.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Receiver(int(process.stdout.readline()))
        process.stdin.close()  # which ends it


def check_request(head: bytes, body: bytes) -> str | None:
    """What is wrong with a delivered request (shape, signature, secret header); None when it is right."""
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    number = int(lines[EVENT_ID].rpartition(b"-")[2])
    if json.loads(body) != shaped(number):
        return f"the body is not what the template makes of event {number}: {body!r}"
    digest = hmac.new(SIGNING_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if lines.get(b"x-tracklayer-signature") != f"sha256={digest}".encode():
        return f"the signature is {lines.get(b'x-tracklayer-signature')!r}, not sha256={digest}"
    if lines.get(b"authorization") != f"bearer {WEBHOOK_TOKEN}".encode():
        return "the header with the secret is missing or wrong"
    return None


def _send(
    trial: Trial, server: Running, receiver: Receiver, run_id: str, events: int, before: int, say: Say
) -> Outcome:
    """Send `events` events and wait for them at the receiver, which has had `before` of others."""
    plan = Plan(
        port=server.port,
        path="/v1/events" if trial.batch is None else "/v1/events/batch",
        headers=server.headers,
        run=run_id,
        events=events,
        batch=trial.batch,
        connections=trial.connections,
        rate=None if trial.rate is None else trial.rate / (trial.batch or 1),
    )
    command = [sys.executable, "-m", "bench.load"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        pending = True
        text: bytes | None = json.dumps(asdict(plan)).encode()
        while pending:
            try:
                answer, _ = load.communicate(text, timeout=1.0)
                pending = False
            except subprocess.TimeoutExpired:
                text = None
                _report(receiver, before, events, server.processes, say)
        if load.returncode:
            raise RuntimeError(f"the load generator ended with exit code {load.returncode}; its error stands above")
    outcome = Outcome(**json.loads(answer))
    _await(receiver, before, sum(time > 0 for time in outcome.acked), server.processes, say)
    return outcome


def _await(receiver: Receiver, before: int, expected: int, processes: Sequence[Process], say: Say) -> None:
    """Return when `expected` events arrived, or none came for `STALL_SECONDS`."""
    last, moved, said = -1, time.monotonic(), time.monotonic()
    while (now := time.monotonic()) - moved < STALL_SECONDS:
        arrived = receiver.status()["arrived"] - before
        if arrived >= expected:
            return
        if arrived > last:
            last, moved = arrived, now
        if now - said >= 1:
            said = now
            _report(receiver, before, expected, processes, say)
        time.sleep(0.1)


def _report(receiver: Receiver, before: int, events: int, processes: Sequence[Process], say: Say) -> None:
    for process in processes:
        process.check()
    say(f"{receiver.status()['arrived'] - before:,} of {events:,} arrived")


def _usage(server: Running) -> Usage:
    return sum((process.usage() for process in server.processes), Usage(0.0, 0.0, 0))


def _faults(trial: Trial, outcome: Outcome, measured: Flow, nameless: int, last: tuple[bytes, bytes]) -> Iterator[str]:
    if measured.missing:
        yield f"{measured.missing} acknowledged events never arrived"
    if unaccepted := trial.events - measured.acknowledged:
        late = ", out of time" if outcome.timed_out else ""
        yield (
            f"{unaccepted} events without an acceptance (answers {outcome.statuses}, "
            f"{outcome.rejected} rejected in batches, {outcome.broken} connections lost{late})"
        )
    if nameless:
        yield f"{nameless} requests without {EVENT_ID.decode()}"
    if measured.arrived and (wrong := check_request(*last)):
        yield wrong
