"""Python processes that start at once: forks of one that has imported TrackLayer already.

To import the server takes more CPU than most tests do. So one process imports it, once (tests/forker.py), and a server
that a test starts is a fork of it: a process of its own, with an environment, a folder and an output of its own, that
goes on from where `python -m tracklayer serve` has its imports behind it. Some tests of tests/test_server.py, the
demo's and those of the documents' commands start from the very beginning.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent


class Forked:
    """`python -m` with these arguments, as a fork. It has what the tests use of `subprocess.Popen`."""

    def __init__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], stdout: int, stderr: int, source: int = 0
    ) -> None:
        """`arguments` are the module and its own; `stdout` and `stderr` are open files.

        Forks of the same `source` have the same order of every set of texts, which those of two have not.
        """
        self.returncode: int | None = None
        self._ended, told = os.pipe()
        try:
            self.pid = _forker(source).fork(arguments, env, (stdout, stderr, told))
        except BaseException:
            os.close(self._ended)
            raise
        finally:
            os.close(told)

    def poll(self) -> int | None:
        """Its exit status if it has ended; -9 where signal 9 has ended it."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. Raises `subprocess.TimeoutExpired`."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, 16)
            os.close(self._ended)
            assert told, f"nobody tells how process {self.pid} has ended"
            self.returncode = int(told)
        return self.returncode


def run(arguments: Sequence[str], *, env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with these arguments to its end, as a fork. Raises `subprocess.TimeoutExpired`."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = Forked(arguments, env=env, stdout=out.fileno(), stderr=err.fileno())
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for each in (out, err):
            each.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())


class _Forker:
    """A process that has imported what a server needs, and the line to it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._asking = threading.Lock()
        left_out = ("TRACKLAYER_", "COVERAGE_")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forker", str(theirs.fileno())],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith(left_out)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._close)

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], files: Sequence[int]) -> int:
        """Make one; answers its process id. `files` are stdout, stderr, and where to write how it ends."""
        asked = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": os.getcwd()}).encode()
        with self._asking:
            socket.send_fds(self._line, [len(asked).to_bytes(4)], files)
            self._line.sendall(asked)
            answer = self._line.recv(4)
        assert answer, f"the process that forks has ended with {self._process.wait()}"
        return int.from_bytes(answer)

    def _close(self) -> None:
        self._line.close()
        self._process.wait()


@cache
def _forker(_source: int) -> _Forker:
    return _Forker()
