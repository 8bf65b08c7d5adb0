"""What the numbers were made on."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measure import median


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, as far as it explains the numbers."""

    cpu: str
    cores: int  # that this process may use
    memory: int  # bytes
    kernel: str
    python: str
    load_average: float  # of the last minute, before the first trial
    file_system: str  # where the servers keep their data
    fsync_ms: float  # median of appending 4 KiB and fsync there

    @property
    def description(self) -> str:
        """In a sentence."""
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory / 2**30:.0f} GiB, Linux {self.kernel}, "
            f"Python {self.python}, load average {self.load_average:.2f} before the start; data on {self.file_system}, "
            f"where a 4 KiB append with fsync takes {self.fsync_ms:.2f} ms"
        )


def inspect(folder: Path) -> Machine:
    """This machine, with the servers' data to be in `folder`."""
    return Machine(
        cpu=_value(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory=int((_value(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) * 1024,
        kernel=platform.release(),
        python=platform.python_version(),
        load_average=os.getloadavg()[0],
        file_system=file_system(folder, Path("/proc/mounts").read_text()),
        fsync_ms=_fsync_ms(folder),
    )


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that `folder` is on, by `mounts` in the form of /proc/mounts."""
    found = ("", "unknown")
    for line in mounts.splitlines():
        point, kind = line.split()[1:3]
        if folder.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def _fsync_ms(folder: Path, times: int = 50) -> float:
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def _value(file: Path, name: str) -> str | None:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
