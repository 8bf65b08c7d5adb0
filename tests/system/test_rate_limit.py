"""The rate limit where it counts: at the receiver, in real time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import event_ids, made, most_within, send_all
from tracklayer.demo.receiver import Answer, Recorded

WINDOW = 10.0  # seconds
EVENTS = 400  # take 15 s at 25 a second, after the first 25 at once


def usual_in_a_window(times: Sequence[float]) -> float:
    """The arrivals within 10 s: the median of all such windows, of which a machine that stands still for a moment
    empties a few."""
    starts = [each + 1e-6 for each in times if each <= times[-1] - WINDOW]
    return median(bisect_left(times, start + WINDOW) - bisect_left(times, start) for start in starts)


def arrivals(requests: Sequence[Recorded]) -> list[float]:
    return sorted(request.received_at for request in requests)


@pytest.mark.timeout(90)
def test_the_limit_holds_in_every_window_over_a_restart_and_for_replays(
    tmp_path: Path, receiver: ReceiverThread
) -> None:
    steady = ServerProcess(tmp_path / "steady")
    restarted = ServerProcess(tmp_path / "restarted")
    ids = [f"ord_{number}" for number in range(EVENTS)]
    with steady, restarted:
        api, other = Api(steady.url, steady.key), Api(restarted.url, restarted.key)
        receiver.script("/replayed", *[Answer(404)] * 100, Answer(200))
        made(api, "steady", receiver.url + "/steady", rate_limit={"profile": "internal"})
        replayed = made(
            api,
            "replayed",
            receiver.url + "/replayed",
            rate_limit={"events_per_second": 10},
            filter={"properties.order_id": {"$in": ids[:100]}},
        )
        made(other, "restarted", receiver.url + "/restarted", rate_limit={"events_per_second": 25})
        send_all(api, ids)
        send_all(other, ids)

        receiver.wait_for("/restarted", 150)
        restarted.restart()

        wait_until(lambda: len(_dead(api, replayed)) == 100, 20, what="100 dead letters")
        answer = api.post("/v1/dead-letters/replay", {"destination_id": replayed, "mode": "as_sent"})
        assert answer.body["count"] == 100
        for path, count in (("/steady", EVENTS), ("/restarted", EVENTS), ("/replayed", 200)):
            receiver.wait_for(path, count, deadline=60)

    steady_times, restarted_times = arrivals(receiver.on("/steady")), arrivals(receiver.on("/restarted"))
    assert most_within(WINDOW, steady_times) <= 25 * WINDOW + 25
    assert usual_in_a_window(steady_times) >= 25 * WINDOW * 0.95
    assert most_within(WINDOW, restarted_times) <= 25 * WINDOW + 25
    assert most_within(WINDOW, arrivals(receiver.on("/replayed"))) <= 10 * WINDOW + 10
    assert len(event_ids(receiver.on("/restarted"))) == EVENTS
    assert set(event_ids(receiver.on("/steady")).values()) == {1}


def _dead(api: Api, destination_id: str) -> list[object]:
    return list(api.get("/v1/dead-letters", destination_id=destination_id, limit=200).body["data"])
