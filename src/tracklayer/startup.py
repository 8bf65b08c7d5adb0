"""What can keep a service from starting, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tracklayer.errors import TrackLayerError, Unavailable
from tracklayer.settings import Settings


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
        raise StartError(f"{error.detail} ({shown(settings.database_url)})") from error
    except TrackLayerError as error:
        raise StartError(error.detail) from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise StartError(f"the database {shown(settings.database_url)} cannot be used: {reason}") from error
    except OSError as error:
        place = error.filename or settings.data_dir
        reason = f"{place} cannot be used: {error.strerror}; TRACKLAYER_DATA_DIR and TRACKLAYER_DATABASE_URL say where"
        raise StartError(reason) from error


def shown(database_url: str) -> str:
    """A database's URL, without its password."""
    return make_url(database_url).difference_update_query(["password"]).render_as_string(hide_password=True)
