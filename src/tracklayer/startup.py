"""What can keep a service from starting, said in one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tracklayer.errors import TrackLayerError, Unavailable
from tracklayer.settings import MIB, Settings


class StartError(TrackLayerError):
    """It cannot start; `detail` is the one sentence that says why."""

    code = "cannot_start"


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """What keeps a service from starting, as `StartError`: the data directory, the database, the keys."""
    try:
        yield
    except StartError:
        raise
    except Unavailable as error:  # of the store, which does not say which database it is
        raise StartError(
            f"{error.detail} ({shown_url(settings.database_url)}{_room(settings.database_url)})"
        ) from error
    except TrackLayerError as error:
        raise StartError(error.detail) from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise StartError(f"the database {shown_url(settings.database_url)} cannot be used: {reason}") from error
    except OSError as error:
        place = error.filename or settings.data_dir
        said = "it is no directory" if isinstance(error, FileExistsError) else error.strerror
        reason = f"{place} cannot be used: {said}; TRACKLAYER_DATA_DIR and TRACKLAYER_DATABASE_URL say where"
        raise StartError(reason) from error


def shown_url(database_url: str) -> str:
    """A database's URL as people write it, without its password."""
    url = make_url(database_url)
    plain = url.set(drivername=url.get_backend_name()).difference_update_query(["password"])
    return plain.render_as_string(hide_password=True)


def _room(database_url: str) -> str:
    """Of a file system that is full, SQLite often says no more than that something went wrong with the disk."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return ""
    try:
        free = shutil.disk_usage(Path(url.database).parent).free
    except OSError:
        return ""
    return f": {free} bytes are free on its disk" if free < MIB else ""
