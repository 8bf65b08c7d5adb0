"""The schema's revisions: what the code brings, what the database has, and whether the two go together.

Migrations go forward only, and each leaves what the release before it works with: a new table, a column that may be
empty. So processes of two releases work side by side while one replaces the other. A migration that older code could
not live with says so in `schema_needs`: the oldest code (its newest revision) that may still work on the database.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select

from tracklayer.errors import Conflict
from tracklayer.store.tables import schema_needs

MIGRATIONS = Path(__file__).parent / "migrations"


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
    scripts = ScriptDirectory.from_config(_config(migrations))
    known = scripts.get_current_head() or ""
    found = MigrationContext.configure(connection).get_current_revision()
    ours = [script.revision for script in scripts.walk_revisions()]
    newer = found is not None and found not in ours
    pending = [] if newer else list(scripts.iterate_revisions(known, found or "base"))
    has_needs = inspect(connection).has_table(schema_needs.name)
    needs = connection.execute(select(func.max(schema_needs.c.code_revision))).scalar() if has_needs else None
    return SchemaState(
        found=found,
        known=known,
        pending=tuple(f"{each.revision}: {_title(each.doc)}" for each in reversed(pending)),
        newer=newer,
        needs=needs,
    )


def upgrade(connection: Connection, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations that the database has not seen, on this connection. Raises `Conflict`, see `Database`."""
    state = schema_state(connection, migrations)
    if state.too_new:
        raise Conflict(
            f"the database was made by a newer version of TrackLayer: its schema is at {state.found} and needs code of "
            f"{state.needs or state.found} or later, this version knows {state.known}",
            code="unknown_schema",
        )
    if state.newer:
        return
    config = _config(migrations)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    return config


def _title(doc: str | None) -> str:
    return (doc or "").partition("\n")[0].rstrip(".")
