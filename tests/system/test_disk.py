"""A disk that is full, or that takes no more, while the server runs."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import PATIENCE, Answer, Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import Caller, Callers, delivery_ids, depth, event, made, send_all, wait_until_arrived
from tracklayer.demo import receiver as receivers

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process and tmpfs are Linux's")


def check(
    server: ServerProcess, receiver: ReceiverThread, path: str, fill: Callable[[], None], empty: Callable[[], None]
) -> None:
    """Under load, `fill` the disk for a while and `empty` it again: everything acknowledged arrives, by itself."""
    receiver.script(path, receivers.Answer(200, delay=0.05))  # so that deliveries are in flight when it happens
    api = Api(server.url, server.key)
    made(api, "d", receiver.url + path, retry={"attempts": 20, "backoff": "200ms"})
    callers = [Caller(Api(server.url, server.key), f"one{each}") for each in range(3)]
    with Callers(*callers, Caller(Api(server.url, server.key), "lot", batch=20, pause=0.02)) as load:
        time.sleep(0.5)
        pid = server.pid
        fill()
        refusal = wait_until(lambda: _refused(api), what="a refusal")
        assert refusal.headers["retry-after"]
        assert refusal.body["code"] == "unavailable"
        unready = wait_until(lambda: _unready(api), what="the server to say that it is not ready")
        assert unready.body["code"] == "unavailable"
        assert unready.headers["retry-after"]
        assert api.get("/healthz").status == 200
        time.sleep(1.5)
        empty()
        wait_until(lambda: api.get("/readyz").status == 200, what="the server to be ready again")
        before = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > before + 50, what="events to be taken again")
    assert server.pid == pid
    assert load.answers[500] == 0
    assert load.answers[503] > 0
    assert sum(caller.without_retry_after for caller in load.all) == 0
    wait_until_arrived(receiver, path, load.acknowledged, deadline=30)
    wait_until(lambda: depth(api) == 0, 70, what="an empty queue")
    assert all(len(ids) == 1 for ids in delivery_ids(receiver.on(path)).values())


def _unready(api: Api) -> Answer | None:
    # Not at once on a full disk: what the log of the database has already grown to can still be written.
    answer = api.get("/readyz")
    return answer if answer.status == 503 else None


def _refused(api: Api) -> Answer | None:
    answer = api.post("/v1/events", event(f"probe_{time.monotonic()}"))
    return answer if answer.status == 503 else None


def limit(server: ServerProcess, size: int) -> None:
    """Let no file of the server be written beyond `size` bytes."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@linux
def test_a_disk_that_takes_no_more_answers_503_and_recovers_by_itself(tmp_path: Path, receiver: ReceiverThread) -> None:
    with ServerProcess(tmp_path / "data", log_level="error", stop_timeout="2s") as server:
        check(
            server, receiver, "/disk/limited", lambda: limit(server, 1), lambda: limit(server, resource.RLIM_INFINITY)
        )


@linux
def test_a_full_disk_answers_503_and_recovers_by_itself(tmp_path: Path, receiver: ReceiverThread) -> None:
    with small_disk(tmp_path / "disk") as disk:
        filler = disk / "filler"
        with ServerProcess(disk / "data", log_level="error", stop_timeout="2s") as server:
            check(server, receiver, "/disk/full", lambda: fill(filler), filler.unlink)


def fill(file: Path) -> None:
    """Write to a file until its disk is full."""
    with file.open("wb", buffering=0) as opened:
        try:
            while opened.write(bytes(4096)):
                pass
        except OSError:  # it is full
            return


@linux
def test_a_start_on_a_full_disk_ends_with_a_sentence_that_says_so_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, ServerProcess(disk / "data", log_level="error") as server:
        server.stop()
        fill(disk / "filler")
        server.start(ready=False)
        assert server.process is not None
        assert server.process.wait(PATIENCE) == 1
        line = server.log_text().splitlines()[-1]
        assert line.startswith("tracklayer: the database cannot do this now: ")
        assert line.endswith(f"(sqlite:///{disk}/data/tracklayer.db: 0 bytes are free on its disk)")
        assert "Traceback" not in server.log_text()
        (disk / "filler").unlink()
        server.start()


@linux
def test_a_stop_while_the_disk_is_full_ends_in_time_and_loses_nothing(tmp_path: Path, receiver: ReceiverThread) -> None:
    receiver.script("/disk/stop", receivers.Answer(200, delay=0.5))
    with ServerProcess(tmp_path / "data", log_level="error", stop_timeout="2s") as server:
        api = Api(server.url, server.key)
        made(api, "d", receiver.url + "/disk/stop")
        send_all(api, [f"ord_{number}" for number in range(100)])
        receiver.wait_for("/disk/stop", 8)
        limit(server, 1)
        time.sleep(0.6)  # answers come that cannot be settled
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 4
        receiver.script("/disk/stop", receivers.Answer(200))
        server.start()
        wait_until_arrived(receiver, "/disk/stop", {f"ord_{number}" for number in range(100)})
        wait_until(lambda: depth(api) == 0, what="an empty queue")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tracklayer-test", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}; run it as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
