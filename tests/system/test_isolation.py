"""A destination that hangs, one that drips and one that is down delay nothing for the others."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.harness import Api, ReceiverThread, ServerProcess
from tests.traffic import event, header, made, wait_until_arrived
from tracklayer.demo.receiver import Drip, Hang

EVENTS = 300
PACE = 0.01  # seconds between events
LATE = 0.25  # seconds


def usually_within(api: Api, receiver: ReceiverThread, name: str) -> float:
    """In how many seconds 99 of 100 events arrive at the healthy destination."""
    accepted = {}
    for number in range(EVENTS):
        assert api.post("/v1/events", event(f"{name}_{number}")).status == 200
        accepted[f"{name}_{number}"] = time.time()
        time.sleep(PACE)
    wait_until_arrived(receiver, "/isolation/healthy", set(accepted))
    arrived = [(header(request, "X-TrackLayer-Event-Id"), request) for request in receiver.on("/isolation/healthy")]
    late = [request.received_at - accepted[event_id] for event_id, request in arrived if event_id in accepted]
    assert len(late) == EVENTS
    return statistics.quantiles(late, n=100)[98]


def test_broken_destinations_delay_nothing_for_a_healthy_one(tmp_path: Path, receiver: ReceiverThread) -> None:
    receiver.script("/isolation/hangs", Hang())
    receiver.script("/isolation/drips", Drip(bytes_per_second=1))
    retry = {"attempts": 20, "backoff": "200ms"}
    with ServerProcess(tmp_path / "data", log_level="warning") as server, ReceiverThread() as down:
        api = Api(server.url, server.key)
        down.close()
        made(api, "healthy", receiver.url + "/isolation/healthy")
        alone = usually_within(api, receiver, "alone")  # a busy machine is late by itself
        made(api, "hangs", receiver.url + "/isolation/hangs", retry=retry, transport={"timeout": "2s"})
        made(api, "drips", receiver.url + "/isolation/drips", retry=retry, transport={"timeout": "2s"})
        made(api, "down", down.url + "/isolation/down", retry=retry)
        assert usually_within(api, receiver, "ord") < max(LATE, 2 * alone)
        assert receiver.on("/isolation/hangs")
        assert receiver.on("/isolation/drips")
        server.kill()  # a stop in good order would wait for the one that hangs
