"""Which database a URL names."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url

from tracklayer.errors import Unavailable
from tracklayer.store.database import Database
from tracklayer.store.postgresql import CONNECTIONS, PostgresDatabase
from tracklayer.store.schema import SchemaState, schema_state
from tracklayer.store.sqlite import SqliteDatabase, schema_of_file


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


async def schema_of(url: str) -> SchemaState:
    """Where the schema of the database at `url` stands; changes nothing, and makes no file. Raises `Unavailable`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return schema_of_file(Path(parsed.database or ""))
    database = open_database(url)
    try:
        return await database.read(schema_state)
    finally:
        await database.close()
