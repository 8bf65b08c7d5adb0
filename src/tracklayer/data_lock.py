"""One process at a time on a data directory, and on an SQLite file: two engines on one would deliver twice."""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.engine import make_url

from tracklayer.errors import Conflict
from tracklayer.settings import Settings


def hold(settings: Settings) -> ExitStack:
    """Hold the data directory and the SQLite file until the answer is closed.

    The file has a lock of its own wherever it lies: another process may reach it with another data directory.

    Raises `Conflict` where another process holds them, and where the file was moved to PostgreSQL.
    """
    file = sqlite_file(settings.database_url)
    if file is not None and (marker := moved_marker(file)).exists():
        where = marker.read_text(encoding="utf-8").strip()
        raise Conflict(
            f"{file} was moved to {where}, where what waits in it is delivered: remove {marker} to use it all the same",
            code="moved",
        )
    with ExitStack() as stack:
        stack.enter_context(lock_data_dir(settings.data_dir))
        if file is not None:
            stack.enter_context(lock_file(file))
        return stack.pop_all()


def lock_data_dir(data_dir: Path) -> ExitStack:
    """Hold a data directory. Raises `Conflict`."""
    return _lock(data_dir / "lock", data_dir)


def lock_file(file: Path) -> ExitStack:
    """Hold an SQLite file. Raises `Conflict`."""
    return _lock(_beside(file, "lock"), file)


def sqlite_file(database_url: str) -> Path | None:
    """The file of an SQLite database."""
    url = make_url(database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def moved_marker(file: Path) -> Path:
    """What says, beside an SQLite file, where it was moved."""
    return _beside(file, "moved")


def _beside(file: Path, suffix: str) -> Path:
    """Beside the file itself, whichever link leads to it."""
    file = file.resolve()
    return file.with_name(f"{file.name}.{suffix}")


def _lock(path: Path, what: Path) -> ExitStack:
    with ExitStack() as stack:
        file = stack.enter_context(path.open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"another TrackLayer is running on {what}", code="data_dir_in_use") from error
        return stack.pop_all()
