"""`tracklayer demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.console.client import Console
from tests.harness import environment
from tests.running import clean_environment

DEMO = [sys.executable, "-m", "tracklayer", "demo"]


def leftovers() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("tracklayer-demo-*"))


def test_once_shows_everything_and_ends_with_0() -> None:
    before = leftovers()
    # A user's own settings must not reach the demo.
    given = environment({"port": "1", "database_url": "postgresql://elsewhere/x"}, measured=True)
    ran = subprocess.run([*DEMO, "--once"], env=given, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.count("✓") == 8
    for shown in ("X-TrackLayer-Signature: sha256=", "matched: false", "503 is retried", "401 is not retried", "••••"):
        assert shown in ran.stdout
    assert leftovers() == before


def test_it_stays_up_for_the_line_that_it_shows_until_ctrl_c() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    before = leftovers()
    demo = subprocess.Popen(DEMO, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    with demo.stdout:
        shown = ""
        while "-d '" not in shown:
            line = demo.stdout.readline()
            assert line, shown
            shown += line
        command = re.search(r"curl .*'$", shown, re.DOTALL | re.MULTILINE)
        assert command, shown
        link = re.search(r"Open the console: (http://127\.0\.0\.1:\d+)(/setup/\S+)$", shown, re.MULTILINE)
        assert link, shown
        visitor = Console(link[1])
        assert visitor.follow(visitor.join(link[2])).status == 200
        answer = subprocess.run(
            shlex.split(command[0].replace("\\\n", " ")), capture_output=True, text=True, timeout=10, check=True
        )
        assert '"dedup_status":"accepted"' in answer.stdout
        seen = "".join(iter(demo.stdout.readline, '  "item": "Hat",\n'))
        assert "the receiver got POST /events" in seen
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(15) == 0, rest
    assert leftovers() == before
