"""More than can be taken, and more than can be delivered: memory stays bounded, and nothing is lost."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, Callers, depth, event_ids, made, send_all, wait_until_arrived
from tracklayer.demo.receiver import Answer

MIB = 1024 * 1024


def memory(server: ServerProcess, field: str = "VmHWM") -> int:
    """The server's memory in bytes; `VmHWM` is the most that it ever had (proc(5))."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc: run it on Linux")
def test_a_backlog_for_dead_receivers_is_no_burden_to_memory(tmp_path: Path, receiver: ReceiverThread) -> None:
    receiver.script("/pressure/hangs", Answer(200, delay=60))
    with ReceiverThread() as down, ServerProcess(tmp_path / "data", log_level="error") as server:
        api = Api(server.url, server.key)
        down.close()
        dead = {"retry": {"attempts": 100, "backoff": "1s"}, "transport": {"timeout": "3s"}}
        made(api, "down", down.url + "/down", **dead)
        made(api, "hangs", receiver.url + "/pressure/hangs", **dead)
        send_all(api, (f"ord_{number}" for number in range(50_000)))
        assert depth(api) == 100_000
        assert memory(server) < 300 * MIB
        server.kill()  # a start finds all of it again, and that is no burden either
        server.start()
        assert depth(api) == 100_000
        time.sleep(1)
        assert memory(server) < 300 * MIB
        server.kill()


def test_a_full_ingest_queue_says_when_to_come_again_and_loses_nothing(
    tmp_path: Path, receiver: ReceiverThread
) -> None:
    with ServerProcess(tmp_path / "data", ingest_queue=1, log_level="error") as server:
        api = Api(server.url, server.key)
        made(api, "d", receiver.url + "/pressure/d")
        callers = [Caller(Api(server.url, server.key), f"one{each}") for each in range(8)]
        lots = [Caller(Api(server.url, server.key), f"lot{each}", batch=100) for each in range(4)]
        with Callers(*callers, *lots) as load:
            wait_until(lambda: load.answers[503] > 20 and len(load.acknowledged) > 2000, what="refusals")
        assert set(load.answers) == {200, 202, 503}
        assert sum(caller.without_retry_after for caller in load.all) == 0
        wait_until_arrived(receiver, "/pressure/d", load.acknowledged)
        assert set(event_ids(receiver.on("/pressure/d")).values()) == {1}
