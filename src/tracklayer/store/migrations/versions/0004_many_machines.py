"""What many processes on one database need: an order of events, shared paces; on PostgreSQL, partitions.

No release before this one ran on PostgreSQL, so there every table is empty still and may be made anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

PARTITIONED = {
    "events": ("pk", ("workspace_id", "pk")),
    "event_users": ("event_pk", ("workspace_id", "user_key", "event_pk")),
    "deliveries": ("id", ("id",)),
    "attempts": ("delivery_id", ("delivery_id", "number")),
    "kept_requests": ("delivery_id", ("delivery_id",)),
}


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("order_key", sa.String(), nullable=True))
    op.add_column("deliveries", sa.Column("position", sa.BigInteger(), nullable=True))
    ordered = sa.text("state = 'pending' AND order_key IS NOT NULL")
    op.create_index(
        "ix_deliveries_order",
        "deliveries",
        ["destination_id", "order_key", "position"],
        sqlite_where=ordered,
        postgresql_where=ordered,
    )
    op.create_table(
        "paces",
        sa.Column("destination_id", sa.String(), nullable=False),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("refilled_at", sa.Double(), nullable=False),
        sa.Column("hold_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("destination_id", name=op.f("pk_paces")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "key_checks",
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_key_checks")),
    )
    needs = op.create_table(
        "schema_needs",
        sa.Column("code_revision", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("code_revision", name=op.f("pk_schema_needs")),
    )
    op.bulk_insert(needs, [{"code_revision": "0004"}])
    if op.get_bind().dialect.name == "postgresql":
        _compare_bytes()
        for table, (by, primary_key) in PARTITIONED.items():
            _partition(table, by, primary_key)
        op.execute("CREATE SEQUENCE delivery_positions")
        _announce_changes()


def _compare_bytes() -> None:
    """Ids are ordered by time as text, byte by byte, whatever the locale of the database."""
    columns = sa.text(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        " AND data_type = 'character varying' AND table_name <> 'alembic_version'"
    )
    changes: dict[str, list[str]] = {}
    for table, column in op.get_bind().execute(columns):
        changes.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE varchar COLLATE "C"')
    for table, actions in changes.items():
        op.execute(f'ALTER TABLE "{table}" {", ".join(actions)}')


def _partition(table: str, by: str, primary_key: tuple[str, ...]) -> None:
    """Make `table` anew, partitioned by ranges of `by`; its default partition takes what no other one does."""
    indexes = sa.text("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = :of")
    made = [text for (text,) in op.get_bind().execute(indexes, {"of": table}) if not text.startswith("CREATE UNIQUE")]
    op.execute(
        f"CREATE TABLE {table}_new (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE ({by})"
    )
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({', '.join(primary_key)})")
    for text in made:
        op.execute(text)
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def _announce_changes() -> None:
    """Whoever changes the configuration tells every process, in the transaction that does it."""
    op.execute(
        """
        CREATE FUNCTION tracklayer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE changed record;
        BEGIN
          IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
          PERFORM pg_notify('tracklayer', TG_ARGV[0] || ' ' || changed.workspace_id);
          RETURN NULL;
        END $$
        """
    )
    configured = ("destinations", "secrets", "suppressions", "workspace_rules", "audiences")
    for table, topic in {
        **dict.fromkeys(configured, "configuration"),
        "api_keys": "keys",
        "sources": "sources",
    }.items():
        op.execute(
            f"CREATE TRIGGER {table}_changed AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION tracklayer_changed('{topic}')"
        )
