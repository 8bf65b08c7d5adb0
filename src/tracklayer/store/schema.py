"""The schema's revisions: what the code brings, what the database has, and whether the two go together.

Migrations go forward only, and each leaves what the release before it works with: a new table, a column that may be
empty. So processes of two releases work side by side while one replaces the other. A migration that older code could
not live with says so in `schema_needs`: the oldest code (its newest revision) that may still work on the database.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy import Column, Connection, MetaData, String, Table, func, inspect, select

from tracklayer.errors import Conflict
from tracklayer.store.tables import schema_needs

MIGRATIONS = Path(__file__).parent / "migrations"

_version = Table("alembic_version", MetaData(), Column("version_num", String))  # Alembic's own


class SchemaState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database stands."""

    found: str | None  # its revision; None: it has no schema yet
    known: str  # the newest revision that this code brings
    pending: tuple[str, ...]  # what a migration would do, in order: "0004: many machines"
    newer: bool  # a newer TrackLayer has migrated it
    needs: str | None  # the oldest code that may work on it

    @property
    def too_new(self) -> bool:
        """Whether this code may not work on it."""
        return self.newer and (self.needs is None or self.needs > self.known)


def schema_state(connection: Connection, migrations: Path = MIGRATIONS) -> SchemaState:
    """Look, and change nothing."""
    from tracklayer.store.revisions import known_revisions  # noqa: PLC0415 (see `upgrade`)

    titles = known_revisions(migrations)
    ours = list(titles)
    found = _revision(connection)
    newer = found is not None and found not in titles
    pending = [] if newer else ours[ours.index(found) + 1 :] if found else ours
    has_needs = inspect(connection).has_table(schema_needs.name)
    needs = connection.execute(select(func.max(schema_needs.c.code_revision))).scalar() if has_needs else None
    return SchemaState(
        found=found,
        known=ours[-1] if ours else "",
        pending=tuple(f"{each}: {titles[each]}" for each in pending),
        newer=newer,
        needs=needs,
    )


def upgrade(connection: Connection, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations that the database has not seen, on this connection. Raises `Conflict`, see `Database`.

    Most starts find nothing to do. To see that, the names of the migrations will do: to import Alembic took a tenth of
    the time to start.
    """
    if _revision(connection) == _newest(migrations):
        return
    from tracklayer.store.revisions import run_migrations  # noqa: PLC0415

    state = schema_state(connection, migrations)
    if state.too_new:
        raise Conflict(
            f"the database was made by a newer version of TrackLayer: its schema is at {state.found} and needs code of "
            f"{state.needs or state.found} or later, this version knows {state.known}",
            code="unknown_schema",
        )
    if not state.newer:
        run_migrations(connection, migrations)


def _revision(connection: Connection) -> str | None:
    """The database's; None where it has no schema yet."""
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _newest(migrations: Path) -> str:
    """The newest revision of a folder: a file is called by its revision and its title."""
    return max((each.name.partition("_")[0] for each in (migrations / "versions").glob("0*.py")), default="")
