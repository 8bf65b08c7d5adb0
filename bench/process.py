"""Processes under measurement: start, watch from /proc (Linux), stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What processes have used so far."""

    user: float  # CPU seconds
    system: float  # CPU seconds
    peak_rss: int  # bytes; of several processes, the sum of their peaks

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.user + other.user, self.system + other.system, self.peak_rss + other.peak_rss)


class Process:
    """A command in a session of its own, so that its children are found; its output goes to a log file."""

    def __init__(self, name: str, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise `RuntimeError` with the end of the log when the process is gone."""
        if (code := self._popen.poll()) is not None:
            raise RuntimeError(f"{self.name} ended with exit code {code}. Its last words:\n{self.tail()}")

    def tail(self, characters: int = 2000) -> str:
        """The end of the log."""
        return self._log.read_text(errors="replace")[-characters:]

    def usage(self) -> Usage:
        """Of the process and every child of its session."""
        total = Usage(0.0, 0.0, 0)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            total += _usage(stat.parent, self._popen.pid)
        return total

    def stop(self, patience: float = 20.0) -> None:
        """SIGTERM, and SIGKILL to its whole session after `patience` seconds."""
        if self._popen.poll() is not None:
            return
        self._popen.terminate()
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()


@contextmanager
def stopping(processes: Sequence[Process]) -> Iterator[None]:
    """Stop every process of the list at the end, the last started first."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _usage(folder: Path, session: int) -> Usage:
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        if int(fields[3]) != session:
            return Usage(0.0, 0.0, 0)
        status = (folder / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return Usage(0.0, 0.0, 0)
    # proc(5): utime stime cutime cstime are fields 14 to 17, counted from 1 with pid and comm before these
    user, system, children_user, children_system = (int(field) / _TICK for field in fields[11:15])
    peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(user + children_user, system + children_system, peak)
