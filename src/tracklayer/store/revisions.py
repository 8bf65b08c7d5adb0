"""Alembic: what a folder of migrations brings, and running it. `store.schema` asks for this only where it must."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def known_revisions(migrations: Path) -> dict[str, str]:
    """Every revision of that folder, in their order, with its title."""
    scripts = ScriptDirectory.from_config(_config(migrations))
    newest_first = [(script.revision, _title(script.doc)) for script in scripts.walk_revisions()]
    return dict(reversed(newest_first))


def run_migrations(connection: Connection, migrations: Path) -> None:
    """Run those that the database has not seen."""
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
