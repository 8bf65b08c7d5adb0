"""Everything at once for minutes: callers, receivers that misbehave in turns, operators, restarts, and what must hold.

    python -m tests.soak --seconds 300 --seed 7

At the end every acknowledged event has been delivered to every receiver that recovered, under one delivery id; nothing
waits; the rate limit held in every window; the healthy receiver was never late; memory stayed bounded.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, Callers, delivery_ids, depth, event_ids, header, made, most_within, wait_until_arrived
from tracklayer.demo.receiver import Answer, Behaviour, CloseMidBody, Drip, Hang, Raw, Recorded, Reset

RATE = 150.0  # events a second of the paced destination
LATE = 0.5  # seconds: the healthy receiver's p99 from acknowledgement to arrival while nothing restarts
MEMORY = 300 * 1024 * 1024
MISBEHAVIOURS: tuple[Behaviour, ...] = (
    Answer(500),
    Answer(503, headers=(("Retry-After", "1"),)),
    Answer(429),
    Answer(200, delay=0.3),
    Reset(),
    CloseMidBody(),
    Drip(bytes_per_second=2),
    Hang(),
    Raw(b"no web server\r\n"),
)


class Report(NamedTuple):
    """What came of it."""

    seconds: float
    acknowledged: int
    refused: int
    requests: int
    restarts: int
    p99: float  # seconds, of the healthy receiver
    memory: int  # bytes, the most

    def __str__(self) -> str:
        return (
            f"soaked for {self.seconds:.0f} s: {self.acknowledged} events acknowledged ({self.refused} refusals), "
            f"{self.requests} requests made, {self.restarts} restarts; every invariant held; "
            f"healthy p99 {self.p99 * 1000:.0f} ms, memory {self.memory / 2**20:.0f} MiB"
        )


class Moody:
    """Decides what each request meets: the healthy receiver answers, the others have a mood for a while."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._until = 0.0
        self._mood: Behaviour | None = None
        self.recovered = False  # from now on everybody answers

    def __call__(self, request: Recorded) -> Behaviour | None:
        if self.recovered or request.target not in ("/moody", "/paced"):
            return None
        if time.monotonic() > self._until:
            self._until = time.monotonic() + self._rng.uniform(0.1, 1.0)
            self._mood = self._rng.choice((None, *MISBEHAVIOURS))
        return self._mood if request.target == "/moody" or isinstance(self._mood, Answer) else None


def run(seconds: float, seed: int, folder: Path, say: Callable[[str], object] = str) -> Report:
    """Do it. Raises `AssertionError` for an invariant that does not hold."""
    rng = random.Random(seed)
    moody = Moody(rng)
    with ReceiverThread() as receiver, ServerProcess(folder / "data", log_level="error", stop_timeout="2s") as server:
        receiver.receiver.respond = moody
        api = Api(server.url, server.key)
        _configure(api, receiver.url)
        callers = Callers(
            *(Caller(Api(server.url, server.key), f"one{number}", pause=0.03) for number in range(3)),
            Caller(Api(server.url, server.key), "lot", batch=20, pause=0.5),
        )
        memory, restarts, calm = 0, 0, []
        ends = time.monotonic() + seconds
        with callers:
            while (left := ends - time.monotonic()) > 0:
                began = time.time()
                time.sleep(min(left, rng.uniform(2, 6)))
                calm.append((began, time.time()))
                memory = max(memory, _memory(server))
                _operate(api, rng)
                if rng.random() < 0.4 and ends - time.monotonic() > 5:
                    restarts += 1
                    rng.choice((server.kill, server.stop))()
                    server.start()
                    time.sleep(1)  # what was sent meanwhile is late for a reason
                left = max(0.0, ends - time.monotonic())
                say(f"{left:4.0f} s left: {len(callers.acknowledged)} acknowledged, {depth(api)} wait")
        moody.recovered = True
        _check(api, receiver, callers)
        p99 = _p99(receiver, callers.taken_at, calm)
        assert p99 < LATE, f"the healthy receiver's p99 was {p99:.3f} s"
        assert memory < MEMORY, f"the server used {memory} bytes"
        return Report(
            seconds, len(callers.acknowledged), callers.answers[503], receiver.receiver.count, restarts, p99, memory
        )


def _configure(api: Api, url: str) -> None:
    retry = {"attempts": 100, "backoff": ["100ms", "500ms", "1s"]}
    transport = {"timeout": "500ms"}
    made(api, "healthy", url + "/healthy")
    made(api, "moody", url + "/moody", retry=retry, transport=transport)
    made(api, "paced", url + "/paced", retry=retry, transport=transport, rate_limit={"events_per_second": RATE})
    made(api, "refusing", url + "/refusing", filter={"event_name": ["nothing"]})
    made(api, "down", "http://127.0.0.1:9", retry=retry, transport=transport)


def _operate(api: Api, rng: random.Random) -> None:
    """What operators do while it runs."""
    destinations = {each["name"]: each for each in api.get("/v1/destinations").body["data"]}
    moody = destinations["moody"]
    which = rng.randrange(3)
    if which == 0:
        assert api.post(f"/v1/destinations/{moody['id']}/pause").status == 200
        time.sleep(0.3)
        assert api.post(f"/v1/destinations/{moody['id']}/resume").status == 200
    elif which == 1:
        answer = api.put(f"/v1/destinations/{moody['id']}", moody | {"note": "saved again"})
        assert answer.status == 200, answer
    else:
        assert api.post(f"/v1/destinations/{destinations['healthy']['id']}/test").status == 200


def _check(api: Api, receiver: ReceiverThread, callers: Callers) -> None:
    down = next(each for each in api.get("/v1/destinations").body["data"] if each["name"] == "down")
    assert api.delete(f"/v1/destinations/{down['id']}?deliveries=discard").status == 200
    for path in ("/healthy", "/moody", "/paced"):
        wait_until_arrived(receiver, path, callers.acknowledged, deadline=len(callers.acknowledged) / RATE + 60)
        again = {key: ids for key, ids in delivery_ids(receiver.on(path)).items() if len(ids) > 1}
        assert not again, f"events with several deliveries at {path}: {again}"
    wait_until(lambda: depth(api) == 0, 70, what="empty queues")
    dead = api.get("/v1/dead-letters").body["data"]
    assert not dead, f"dead letters: {dead[:3]}"
    times = sorted(request.received_at for request in receiver.on("/paced"))
    assert most_within(10, times) <= RATE * 10 + RATE, "the rate limit did not hold"
    assert set(event_ids(receiver.on("/refusing"))) == set()
    assert sum(caller.without_retry_after for caller in callers.all) == 0


def _p99(receiver: ReceiverThread, taken_at: dict[str, float], calm: list[tuple[float, float]]) -> float:
    """Of the healthy receiver: seconds from an event's acknowledgement to its arrival, while nothing restarted."""
    late = []
    for request in receiver.on("/healthy"):
        taken = taken_at.get(header(request, "X-TrackLayer-Event-Id"), 0.0)
        if any(began <= taken <= ended for began, ended in calm):
            late.append(request.received_at - taken)
    return statistics.quantiles(late, n=100)[98]


def _memory(server: ServerProcess) -> int:
    path = Path(f"/proc/{server.pid}/statm")
    return int(path.read_text().split()[1]) * 4096 if path.exists() else 0


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Everything at once, for minutes.")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}", flush=True)
    with TemporaryDirectory() as folder:
        print(run(chosen.seconds, chosen.seed, Path(folder), print))


if __name__ == "__main__":
    main(sys.argv[1:])
