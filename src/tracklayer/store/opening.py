"""Which database a URL names."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from tracklayer.errors import Unavailable
from tracklayer.store.database import Database
from tracklayer.store.postgresql import CONNECTIONS, PostgresDatabase
from tracklayer.store.sqlite import SqliteDatabase


def open_database(url: str, *, connections: int = CONNECTIONS) -> Database:
    """The database at `url` (SQLAlchemy's); no connection is made yet. Raises `Unavailable` for one we cannot use.

    `connections` bounds those to PostgreSQL.
    """
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return SqliteDatabase(url)
    if backend == "postgresql":
        return PostgresDatabase(url, connections=connections)
    raise Unavailable(f"{backend} is not supported: expected sqlite:///… or postgresql://…")
