"""Sources and what they sent in vain, what is known of users, audiences, the rules of a workspace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "workspace_rules",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("rules", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspace_rules")),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("settings", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("key_hash"),
    )
    op.create_index(op.f("ix_sources_workspace_id"), "sources", ["workspace_id"])
    op.create_table(
        "source_counts",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "day", "status", name=op.f("pk_source_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhook_ids",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "webhook_id", name=op.f("pk_webhook_ids")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_webhook_ids_received_at"), "webhook_ids", ["received_at"])
    op.create_table(
        "rejected_payloads",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=True),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=True),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_payloads")),
    )
    op.create_index(op.f("ix_rejected_payloads_workspace_id_id"), "rejected_payloads", ["workspace_id", "id"])
    op.create_table(
        "profiles",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("user_key", sa.String(), nullable=False),
        sa.Column("traits", sa.LargeBinary(), nullable=True),
        sa.Column("consent", sa.LargeBinary(), nullable=True),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_key", name=op.f("pk_profiles")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audiences",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rule", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "name", name=op.f("pk_audiences")),
    )
    op.create_table(
        "audience_members",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "member", "audience", name=op.f("pk_audience_members")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_audience_members_workspace_id_audience_member"),
        "audience_members",
        ["workspace_id", "audience", "member"],
    )
