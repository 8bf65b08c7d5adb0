"""SIGTERM in the middle of slow deliveries, and pausing under load."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, Callers, delivery_ids, depth, event_ids, made, send_all, wait_until_arrived
from tracklayer.demo.receiver import Answer


def test_a_stop_finishes_what_is_in_flight_and_the_next_start_delivers_the_rest(
    tmp_path: Path, receiver: ReceiverThread
) -> None:
    receiver.script("/stop/slow", Answer(200, delay=1.0))
    with ServerProcess(tmp_path / "data", concurrency=20) as server:
        api = Api(server.url, server.key)
        made(api, "slow", receiver.url + "/stop/slow")
        send_all(api, [f"ord_{number}" for number in range(60)])
        receiver.wait_for("/stop/slow", 10)
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5
        sent = len(receiver.on("/stop/slow"))
        assert 8 <= sent < 60  # it was in the middle
        finished = [line for line in server.log_lines("attempt") if line["state"] == "delivered"]
        assert len(finished) == sent  # nothing was cut off
        receiver.script("/stop/slow", Answer(200))
        server.start()
        wait_until_arrived(receiver, "/stop/slow", {f"ord_{number}" for number in range(60)})
        wait_until(lambda: depth(api) == 0, what="an empty queue")
        assert set(event_ids(receiver.on("/stop/slow")).values()) == {1}


def test_what_was_acknowledged_around_a_stop_is_delivered_exactly(tmp_path: Path, receiver: ReceiverThread) -> None:
    with ServerProcess(tmp_path / "data", log_level="warning") as server:
        made(Api(server.url, server.key), "d", receiver.url + "/stop/exact")
        names = [Caller(Api(server.url, server.key), f"one{each}") for each in range(3)]
        with Callers(*names, Caller(Api(server.url, server.key), "lot", batch=50, pause=0.02)) as callers:
            for enough in (100, 200, 300):
                callers.wait_for(enough)
                assert server.stop(signal.SIGTERM) == 0
                server.start()
            callers.wait_for(400)
        wait_until_arrived(receiver, "/stop/exact", callers.acknowledged)
        wait_until(lambda: depth(Api(server.url, server.key)) == 0, what="an empty queue")
        arrived = event_ids(receiver.on("/stop/exact"))
        assert set(arrived.values()) == {1}
        assert all(len(ids) == 1 for ids in delivery_ids(receiver.on("/stop/exact")).values())


def test_pausing_under_load_loses_nothing_and_sends_nothing(tmp_path: Path, receiver: ReceiverThread) -> None:
    with ServerProcess(tmp_path / "data", log_level="warning") as server:
        api = Api(server.url, server.key)
        paused = made(api, "paused", receiver.url + "/stop/paused")
        made(api, "beside", receiver.url + "/stop/beside")
        with Callers(Caller(Api(server.url, server.key), "lot", batch=20, pause=0.01)) as callers:
            for turn in range(5):
                receiver.wait_for("/stop/paused", 20 * (turn + 1))
                assert api.post(f"/v1/destinations/{paused}/pause").status == 200
                time.sleep(0.1)  # what was on its way when the pause came
                before, beside = len(receiver.on("/stop/paused")), len(receiver.on("/stop/beside"))
                receiver.wait_for("/stop/beside", beside + 20)
                assert len(receiver.on("/stop/paused")) == before
                assert api.post(f"/v1/destinations/{paused}/resume").status == 200
        for path in ("/stop/paused", "/stop/beside"):
            wait_until_arrived(receiver, path, callers.acknowledged)
            assert set(event_ids(receiver.on(path)).values()) == {1}


def test_deleting_under_load_leaves_nothing_that_waits_for_ever(tmp_path: Path, receiver: ReceiverThread) -> None:
    with ServerProcess(tmp_path / "data", log_level="warning") as server:
        api = Api(server.url, server.key)
        kept = made(api, "kept", receiver.url + "/stop/kept")
        with Callers(*(Caller(Api(server.url, server.key), f"one{each}") for each in range(4))) as callers:
            for number in range(5):
                gone = made(api, f"gone{number}", receiver.url + "/stop/gone")
                time.sleep(0.1)
                answer = api.delete(f"/v1/destinations/{gone}?deliveries=discard")
                assert answer.status == 200, answer
        wait_until_arrived(receiver, "/stop/kept", callers.acknowledged)
        wait_until(lambda: not api.get("/v1/deliveries", state="pending").body["data"], what="nothing that waits")
        states = {row["state"] for row in api.get("/v1/deliveries", destination_id=kept).body["data"]}
        assert states == {"delivered"}
