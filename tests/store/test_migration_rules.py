"""What a migration after 0004 must not do, for a release before it works on the same tables meanwhile.

It makes no table anew, reads no table of the traffic through under a lock, and takes nothing away that older code
needs. A revision that has to do otherwise says in `schema_needs` which code may still work on the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, text

from tests.releases import release
from tracklayer.store import open_database
from tracklayer.store.schema import MIGRATIONS
from tracklayer.store.tables import PARTITIONED

_TABLES = "n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'"
_OF = "JOIN pg_class c ON c.oid = {} JOIN pg_namespace n ON n.oid = c.relnamespace"


class Shape(NamedTuple):
    """A schema, as far as the rules ask."""

    files: dict[str, int]  # table → the file that its rows are in
    indexes: dict[str, str]  # index → its table
    columns: dict[tuple[str, str], tuple[str, bool, bool]]  # type, NOT NULL, whether it has a default
    constraints: dict[str, str]  # check or foreign key → its table

    @classmethod
    def of(cls, connection: Connection) -> Shape:
        """Look."""

        def rows(query: str) -> list[Any]:
            return [tuple(row) for row in connection.execute(text(f"{query} WHERE {_TABLES}"))]

        files = rows(
            "SELECT c.relname, pg_relation_filenode(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
        )
        indexes = rows(f"SELECT i.indexrelid::regclass::text, c.relname FROM pg_index i {_OF.format('i.indrelid')}")
        columns = rows(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef"
            f" FROM pg_attribute a {_OF.format('a.attrelid AND a.attnum > 0 AND NOT a.attisdropped')}"
        )
        constraints = rows(
            "SELECT k.conname, c.relname FROM pg_constraint k "
            + _OF.format("k.conrelid AND k.contype IN ('c', 'f') AND k.convalidated")
        )
        return cls(
            files=dict(files),
            indexes=dict(indexes),
            columns={(table, name): (kind, filled, default) for table, name, kind, filled, default in columns},
            constraints=dict(constraints),
        )


def harm(before: Shape, after: Shape) -> set[str]:
    """What a migration did that it must not."""
    found = {f"makes {table} anew" for table, file in before.files.items() if after.files.get(table, file) != file}
    found |= {f"takes {table} away" for table in before.files.keys() - after.files.keys()}
    found |= {
        f"takes {table}.{column} away"
        for table, column in before.columns.keys() - after.columns.keys()
        if table in after.files
    }
    for (table, column), (kind, filled, default) in after.columns.items():
        known = before.columns.get((table, column))
        if known is not None and known[0] != kind:
            found.add(f"changes the type of {table}.{column}")
        if table in before.files and filled and (not known[1] if known else not default):
            found.add(f"makes {table}.{column} NOT NULL")
    big = {table for table in before.files if table.removesuffix("_default") in PARTITIONED}
    found |= {f"builds an index on {t}" for i, t in after.indexes.items() if i not in before.indexes and t in big}
    found |= {
        f"checks every row of {t}" for k, t in after.constraints.items() if k not in before.constraints and t in big
    }
    return found


async def harm_of(url: str, earlier: Path, later: Path) -> set[str]:
    """What the migrations of `later` do to a database with the schema of `earlier`."""
    database = open_database(url)
    try:
        await database.migrate(earlier)
        before = await database.read(Shape.of)
        await database.migrate(later)
        return harm(before, await database.read(Shape.of))
    finally:
        await database.close()


async def test_no_migration_stands_in_the_way_of_the_release_before(tmp_path: Path, empty_postgres: str) -> None:
    assert await harm_of(empty_postgres, release(tmp_path / "0004", upto="0004"), MIGRATIONS) == set()


@pytest.mark.parametrize(
    "body, found",
    [
        ('op.add_column("events", sa.Column("more", sa.String(), nullable=True))', set()),
        ('op.create_table("more", sa.Column("id", sa.String(), primary_key=True))', set()),
        ('op.create_index("ix_more", "people", ["created_at"])', set()),
        (
            'op.alter_column("attempts", "number", type_=sa.BigInteger())',
            {"makes attempts_default anew", "changes the type of attempts"},
        ),
        ('op.execute("ALTER TABLE people ADD COLUMN drawn double precision DEFAULT random()")', {"makes people anew"}),
        ('op.create_index("ix_more", "deliveries", ["updated_at"])', {"builds an index on deliveries"}),
        ('op.alter_column("deliveries", "reason", nullable=False)', {"makes deliveries.reason NOT NULL"}),
        ('op.add_column("people", sa.Column("more", sa.String(), nullable=False))', {"makes people.more NOT NULL"}),
        ('op.create_check_constraint("some", "events", "received_at > 0")', {"checks every row of events"}),
        ('op.drop_column("sources", "hint")', {"takes sources.hint away"}),
        ('op.drop_table("webhook_ids")', {"takes webhook_ids away"}),
        ('op.rename_table("webhook_ids", "webhooks")', {"takes webhook_ids away"}),
    ],
)
async def test_the_rules_notice(tmp_path: Path, empty_postgres: str, body: str, found: set[str]) -> None:
    noticed = await harm_of(empty_postgres, MIGRATIONS, release(tmp_path / "next", body))
    assert all(any(each.startswith(expected) for each in noticed) for expected in found), noticed
    assert bool(noticed) == bool(found), noticed
