"""What the console needs: people, an audit trail, counts by time, dead letters by cause, events by name and user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_person_id"), "sessions", ["person_id"])
    op.create_table(
        "invitations",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_invitations")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_workspace_id_id"), "audit_entries", ["workspace_id", "id"])
    op.create_table(
        "attempt_counts",
        sa.Column("destination_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "destination_id", "step", "slot", "action", "outcome", "bucket", name=op.f("pk_attempt_counts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_users",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("user_key", sa.String(), nullable=False),
        sa.Column("event_pk", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_key", "event_pk", name=op.f("pk_event_users")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_events_workspace_id_event_name_pk"), "events", ["workspace_id", "event_name", "pk"])
    op.add_column("deliveries", sa.Column("cause", sa.String(), nullable=True))
    dead = sa.text("state = 'dead'")
    op.create_index(
        "ix_deliveries_cause",
        "deliveries",
        ["workspace_id", "test", "destination_id", "cause", "id", "state"],
        sqlite_where=dead,
        postgresql_where=dead,
    )
    op.drop_index("ix_deliveries_pending", "deliveries")
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["destination_id", "available_at", "id", "state"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    for state in ("suppressed", "discarded"):
        where = sa.text(f"state = '{state}'")
        op.create_index(
            f"ix_deliveries_{state}", "deliveries", ["workspace_id", "id"], sqlite_where=where, postgresql_where=where
        )
