"""Kill the server at random moments under load, again and again: whatever it has acknowledged must arrive.

    python -m tests.kill_test --rounds 20 --seed 7

Every round starts the server on what the last one left, lets callers send one by one and in batches, and ends with
SIGKILL. One receiver takes everything, one fails every third time, one is rate limited.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, Callers, delivery_ids, depth, event_ids, made, wait_until_arrived
from tracklayer.demo.receiver import Answer, Behaviour, Recorded

PATHS = ("/takes", "/fails", "/paced")
LIVES = (20, 300)  # events that a life of the server acknowledges at least


class Report(NamedTuple):
    """What came of it."""

    rounds: int
    acknowledged: int
    unanswered: int  # requests that the kill cut off
    arrivals: int  # at the receiver that takes everything
    repeated: int  # of these, beyond the first of each event
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds of kill -9 in {self.seconds:.0f} s: {self.acknowledged} events acknowledged, "
            f"every one arrived; {self.unanswered} requests were cut off, {self.repeated} of "
            f"{self.arrivals} arrivals were repetitions"
        )


def run(rounds: int, seed: int, folder: Path, say: Callable[[str], object] = str) -> Report:
    """Do it. Raises `AssertionError` for an event that was acknowledged and did not arrive."""
    rng = random.Random(seed)
    began = time.monotonic()
    acknowledged: set[str] = set()
    unanswered = 0
    with ReceiverThread() as receiver:
        receiver.receiver.respond = _fail_every_third()
        server = ServerProcess(folder / "data", log_level="warning")
        api = Api(server.url, server.key)
        try:
            for number in range(rounds):
                server.start()
                if number == 0:
                    _configure(api, receiver.url)
                callers = _callers(server, number)
                with callers:
                    callers.wait_for(rng.randint(*LIVES))
                    time.sleep(rng.uniform(0, 0.02))  # in the midst of what comes next
                    server.kill()
                acknowledged |= callers.acknowledged
                unanswered += callers.answers[0]
                say(f"round {number + 1}: {len(callers.acknowledged)} acknowledged")
            server.start()
            for path in PATHS:
                wait_until_arrived(receiver, path, acknowledged, deadline=60)
            wait_until(lambda: depth(api) == 0, what="the queues to be empty")
            _check(api, receiver)
        finally:
            if server.process is not None:
                server.kill()
        arrivals = event_ids(receiver.on("/takes"))
    return Report(
        rounds=rounds,
        acknowledged=len(acknowledged),
        unanswered=unanswered,
        arrivals=arrivals.total(),
        repeated=arrivals.total() - len(arrivals),
        seconds=time.monotonic() - began,
    )


def _configure(api: Api, url: str) -> None:
    made(api, "takes", url + "/takes")
    made(api, "fails", url + "/fails", retry={"attempts": 20, "backoff": "50ms", "jitter": 0.5})
    made(api, "paced", url + "/paced", rate_limit={"events_per_second": 2000})


def _callers(server: ServerProcess, number: int) -> Callers:
    # Every caller has a connection of its own.
    single = (Caller(Api(server.url, server.key), f"r{number}s{each}") for each in range(3))
    batches = (Caller(Api(server.url, server.key), f"r{number}b{each}", batch=20, pause=0.05) for each in range(2))
    return Callers(*single, *batches)


def _fail_every_third() -> Callable[[Recorded], Behaviour | None]:
    seen = 0

    def respond(request: Recorded) -> Behaviour | None:
        nonlocal seen
        seen += request.target == "/fails"
        return Answer(503) if request.target == "/fails" and seen % 3 == 0 else None

    return respond


def _check(api: Api, receiver: ReceiverThread) -> None:
    """An event has one delivery id at each destination, and every delivery has ended well."""
    for path in PATHS:
        assert all(len(ids) == 1 for ids in delivery_ids(receiver.on(path)).values()), f"an event came twice to {path}"
    for state in ("pending", "dead", "discarded", "suppressed"):
        found = api.get("/v1/deliveries", state=state).body["data"]
        assert not found, f"{len(found)} deliveries are {state}: {found[0]}"


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill_test", description="Kill the server under load.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}", flush=True)
    with TemporaryDirectory() as folder:
        print(run(chosen.rounds, chosen.seed, Path(folder), print))


if __name__ == "__main__":
    main(sys.argv[1:])
