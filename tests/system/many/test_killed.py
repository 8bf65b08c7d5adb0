"""Processes that end in the middle of their work, and those that stop for a while and go on."""

from __future__ import annotations

import signal

import pytest

from tests.harness import wait_until
from tests.system.many.installation import LATE, LEASE, RECOVERY, Installation
from tests.traffic import event
from tracklayer.demo.receiver import Answer
from tracklayer.flow.engine import LOOK_EVERY


@pytest.mark.parametrize("role", ["api", "all", "worker"])
def test_what_a_killed_process_had_is_taken_up_by_the_others(installation: Installation, role: str) -> None:
    victim = next(each for each in installation.hosts if each.server.settings["role"] == role)
    others = [each for each in installation.hosts if each is not victim]
    with installation.traffic(f"killed-{role}", killed=[victim]) as traffic:
        traffic.flow()
        victim.server.kill()
        taken = traffic.taken()
        seconds = traffic.arrive(taken, within=LEASE + LOOK_EVERY + RECOVERY)
        goes_on = traffic.recover(*others)
        victim.server.start()
        recovery = traffic.recover()
    print(f"kill -9 of {role}: all it had arrived within {seconds:.1f} s; the others: {goes_on}; with it: {recovery}")


def test_what_a_paused_worker_makes_of_a_delivery_is_not_written_over_the_result_of_its_successor(
    installation: Installation,
) -> None:
    entrance = installation.hosts[0].api
    *others, worker = [each for each in installation.hosts if each.delivers]
    installation.receiver.script("/fenced", Answer(500, delay=1.0), Answer(200))
    destination_id = installation.destination("fenced", retry={"attempts": 5, "backoff": "1h"})
    late = worker.metric(LATE)
    assert late is not None

    for each in others:
        each.signal(signal.SIGSTOP)
    assert entrance.post("/v1/events", event("fenced")).status == 200
    installation.receiver.wait_for("/fenced")  # from the one that is awake; the answer is still to come
    worker.signal(signal.SIGSTOP)
    for each in others:
        each.signal(signal.SIGCONT)
    installation.receiver.wait_for("/fenced", 2, deadline=LEASE + LOOK_EVERY + RECOVERY)
    done = wait_until(lambda: entrance.get("/v1/deliveries", event_id="fenced", state="delivered").body["data"])
    worker.signal(signal.SIGCONT)
    wait_until(lambda: (worker.metric(LATE) or 0) > late, RECOVERY, what="the late settlement to be counted")

    assert entrance.get("/v1/deliveries", event_id="fenced").body["data"] == done
    (delivery,) = done
    attempts = entrance.get(f"/v1/deliveries/{delivery['id']}").body["attempts"]
    assert [attempt["response"]["status"] for attempt in attempts] == [200]
    installation.delete(destination_id)
    with installation.traffic("fenced-then") as traffic:
        traffic.recover()
