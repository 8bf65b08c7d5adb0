"""Processes under measurement: start, watch from /proc (Linux), stop."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
                env={**_unmeasured(os.environ), **env},
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

    def rss(self) -> int:
        """Bytes that the process itself holds now."""
        pages = int(Path(f"/proc/{self._popen.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def stop(self, patience: float = 20.0) -> None:
        """SIGTERM; SIGKILL to what is left of it and its children after its end, or after `patience` seconds."""
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(patience)
        with suppress(ProcessLookupError):  # nobody is left
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


def _unmeasured(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what makes a process measure its coverage, in a test: that takes more than twice the CPU."""
    return {name: value for name, value in environ.items() if not name.startswith("COVERAGE_")}


@contextmanager
def stopping(processes: Sequence[Process]) -> Iterator[None]:
    """Stop every process of the list at the end, the last started first."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.stop()


@dataclass(frozen=True)
class Busy:
    """What the whole machine and this process (with its children that ended) have used so far, in CPU seconds."""

    at: float  # monotonic
    machine: float
    own: float

    @staticmethod
    def now() -> Busy:
        """Until now."""
        # proc(5): user nice system idle iowait irq softirq steal; guests are in user already
        fields = [int(field) / _TICK for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return Busy(time.monotonic(), sum(fields) - fields[3] - fields[4], own)

    def others(self, before: Busy, known: float) -> float:
        """The share (0 to 1) of the machine since `before` beyond this process and `known` CPU seconds."""
        rest = self.machine - before.machine - (self.own - before.own) - known
        return max(0.0, rest / ((self.at - before.at) * (os.cpu_count() or 1)))


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
