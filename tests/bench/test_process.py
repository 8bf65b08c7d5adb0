from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.process import Busy, Process, Usage, stopping

BURN = """
import subprocess, sys, time
code = "import time; memory = bytearray(60_000_000); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code])
while time.process_time() < 0.3:
    pass
print("done", flush=True)
child.wait()
"""


def wait_for_nobody(process: Process) -> None:
    """Return when the session is empty; the test's time limit ends a wait in vain."""
    while process.usage() != Usage(0.0, 0.0, 0):
        pass


def test_usage_counts_the_children_and_ends_with_them(tmp_path: Path) -> None:
    process = Process("burner", [sys.executable, "-c", BURN], cwd=tmp_path, env={}, log=tmp_path / "log")
    with stopping([process]):
        while not {"up", "done"} <= set(process.tail().split()):
            process.check()
        used = process.usage()
    assert used.user + used.system >= 0.28
    assert used.peak_rss > 60_000_000
    wait_for_nobody(process)


def test_stop_ends_the_whole_session(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    process = Process("stubborn", [sys.executable, "-c", stubborn], cwd=tmp_path, env={}, log=tmp_path / "log")
    while "up" not in process.tail():
        process.check()
    process.stop(patience=0.05)
    with pytest.raises(RuntimeError, match="exit code -9"):
        process.check()
    wait_for_nobody(process)


def test_others_are_what_nobody_of_the_run_used() -> None:
    cores = os.cpu_count() or 1
    before, after = Busy(at=10.0, machine=100.0, own=1.0), Busy(at=20.0, machine=100.0 + 8.0 * cores, own=2.0)
    assert after.others(before, known=8.0 * cores - 1.0) == 0.0
    assert after.others(before, known=3.0 * cores - 1.0) == pytest.approx(0.5)
