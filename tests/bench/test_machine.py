from __future__ import annotations

from pathlib import Path

from bench.machine import file_system, inspect

MOUNTS = "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\ntmpfs /run/bench ramfs rw 0 0\n"


def test_the_file_system_is_that_of_the_deepest_mount() -> None:
    assert file_system(Path("/srv/data"), MOUNTS) == "ext4"
    assert file_system(Path("/run/bench/x"), MOUNTS) == "ramfs"
    assert file_system(Path("/running"), MOUNTS) == "ext4"


def test_this_machine_can_be_described(tmp_path: Path) -> None:
    machine = inspect(tmp_path)
    assert machine.cores >= 1
    assert machine.fsync_ms > 0
    assert machine.python in machine.description
