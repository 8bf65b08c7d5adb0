"""A host whose clock is two minutes ahead: every time that counts is the database's."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.harness import wait_until
from tests.system.many.installation import LATE, STARTING, Host, Installation
from tests.tcp_proxy import TcpProxy
from tests.traffic import event, header
from tracklayer.demo.receiver import Answer, Behaviour, Recorded

AHEAD = 120.0  # seconds
CLOSE = 10.0  # seconds by which two clocks that agree may seem to differ on a busy machine
BACKOFF = 2.0
ATTEMPT = 0.5  # seconds that the receiver takes
EVENTS = 60
REFUSED = {f"ahead_{number}" for number in range(0, EVENTS, 5)}  # at first; more would slow the destination down


@pytest.fixture
def ahead(installation: Installation) -> Iterator[Host]:
    """A host that does all, with such a clock."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime: apt-get install faketime")
    # Waits for a monotonic time are left alone, too: its help for them makes Python's threads spin.
    only = ("FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_FORCE_MONOTONIC_FIX=0")
    within = ("env", f"LD_PRELOAD={library}", f"FAKETIME=+{AHEAD:.0f}s", *only)
    with TcpProxy(installation.postgres.port) as line, installation.process("ahead", "all", line, within) as server:
        yield Host(server, line)


def test_a_clock_that_is_ahead_steals_no_lease_and_makes_no_retry_early_or_late(
    installation: Installation, ahead: Host
) -> None:
    started = datetime.fromisoformat(ahead.server.log_lines("started")[0]["timestamp"]).timestamp()
    assert started - time.time() > AHEAD / 2, "its clock is not ahead"
    hosts = [*installation.hosts, ahead]
    late = [each.metric(LATE) for each in hosts]
    installation.receiver.receiver.respond = _refuse_some_at_first
    destination_id = installation.destination(
        "ahead", ahead, retry={"attempts": 3, "backoff": f"{BACKOFF:.0f}s", "jitter": 0}
    )
    entrances = [each for each in hosts if each.accepts]
    for number in range(EVENTS):
        answer = entrances[number % len(entrances)].api.post("/v1/events", event(f"ahead_{number}"))
        assert answer.status == 200, answer
        received_at = datetime.fromisoformat(answer.body["received_at"]).timestamp()
        assert abs(received_at - time.time()) < CLOSE
    receiver = installation.receiver
    receiver.wait_for("/ahead", EVENTS + len(REFUSED), deadline=STARTING)
    wait_until(lambda: not _pending(installation, destination_id), STARTING, what="every delivery to end")

    times: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for request in receiver.on("/ahead"):
        assert abs(float(header(request, "X-TrackLayer-Timestamp")) - request.received_at) < CLOSE
        attempt = header(request, "X-TrackLayer-Attempt")
        times[header(request, "X-TrackLayer-Event-Id")].append((attempt, request.received_at))
    assert len(times) == EVENTS
    for event_id, came in times.items():
        assert [attempt for attempt, _ in came] == (["1", "2"] if event_id in REFUSED else ["1"]), event_id
    waited = [times[event_id][1][1] - times[event_id][0][1] - ATTEMPT for event_id in REFUSED]
    assert min(waited) > BACKOFF - 0.05
    assert max(waited) < BACKOFF + CLOSE
    assert [each.metric(LATE) for each in hosts] == late
    assert all(each.delivered(destination_id) for each in (ahead, installation.hosts[1])), "one of them did nothing"


def _refuse_some_at_first(request: Recorded) -> Behaviour | None:
    if request.target != "/ahead":
        return None
    refused = header(request, "X-TrackLayer-Event-Id") in REFUSED and header(request, "X-TrackLayer-Attempt") == "1"
    return Answer(503 if refused else 200, delay=ATTEMPT)


def _pending(installation: Installation, destination_id: str) -> list[object]:
    answer = installation.hosts[0].api.get("/v1/deliveries", destination_id=destination_id, state="pending")
    return list(answer.body["data"])
