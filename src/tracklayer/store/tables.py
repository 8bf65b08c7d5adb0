"""The schema. Times are unix seconds; JSON is kept as bytes, as it was written.

`deliveries.available_at` is when any worker may claim the row: its due time, or the end of the lease that a worker
holds. So one index serves both "due" and "lease expired", and a claim only pushes that one column.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),  # SHA-256 of the key; the key itself is never kept
    Column("hint", String, nullable=False),
    Column("scopes", String, nullable=False),  # space separated
    Column("created_at", Double, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("hint", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("version", Integer, nullable=False),
    # The signing secret belongs to the destination, not to a version: restoring a version never revives an old secret.
    Column("signing_sealed", LargeBinary),
    Column("previous_sealed", LargeBinary),
    Column("previous_until", Double),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("deleted_at", Double),
    Index(None, "workspace_id", "id"),
)

destination_versions = Table(
    "destination_versions",
    metadata,
    Column("destination_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("config", LargeBinary, nullable=False),  # DestinationConfig as JSON
    Column("author", String, nullable=False),
    Column("note", String),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("destination_id", "version"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False),
    Column("destination_id", String, nullable=False, index=True),
    Column("filter", LargeBinary, nullable=False),  # JSON; {} is every event
    Column("reason", String, nullable=False),
    Column("author", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("until", Double),
)

events = Table(
    "events",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("pk", String, nullable=False),  # ours, ordered by time; one event_id may come again after the dedup window
    Column("event_id", String, nullable=False),
    Column("event_name", String, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the canonical event as JSON
    PrimaryKeyConstraint("workspace_id", "pk"),
)

event_keys = Table(
    "event_keys",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("event_pk", String, nullable=False),  # the newest event of that id
    Column("accepted_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace_id", "event_id"),
    sqlite_with_rowid=False,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False),
    Column("destination_id", String, nullable=False),
    Column("event_pk", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("event_name", String, nullable=False),
    Column("state", String, nullable=False),  # DeliveryState, never "sending"
    Column("reason", Text),  # why it is suppressed, dead or discarded
    Column("test", Boolean, nullable=False),
    Column("as_sent", Boolean, nullable=False),  # a replay that sends the kept body instead of rendering anew
    Column("version", Integer, nullable=False),  # of the destination, at the last attempt (before it: at accept)
    Column("attempts", Integer, nullable=False),  # all, over every replay
    Column("retries", Integer, nullable=False),  # spent of the retry policy since accept or the last replay
    Column("status_code", Integer),  # the last answer's
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("lease_owner", String),
    sqlite_with_rowid=False,
)

PENDING = text("state = 'pending'")
DEAD = text("state = 'dead'")

Index(
    "ix_deliveries_pending",
    deliveries.c.destination_id,
    deliveries.c.available_at,
    sqlite_where=PENDING,
    postgresql_where=PENDING,
)
Index(
    "ix_deliveries_dead",
    deliveries.c.workspace_id,
    deliveries.c.id,
    sqlite_where=DEAD,
    postgresql_where=DEAD,
)
Index("ix_deliveries_destination", deliveries.c.destination_id, deliveries.c.id)
Index("ix_deliveries_event", deliveries.c.event_pk)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("action", String, nullable=False),  # Verdict.action
    Column("rule", Text, nullable=False),
    Column("status_code", Integer),
    Column("error_kind", String),
    Column("error", Text),
    Column("record", LargeBinary, nullable=False),  # AttemptRecord as JSON: timings, the answer
    PrimaryKeyConstraint("delivery_id", "number"),
    sqlite_with_rowid=False,
)

kept_requests = Table(
    "kept_requests",
    metadata,
    Column("delivery_id", String, primary_key=True),  # failed, dead and test deliveries only
    Column("version", Integer, nullable=False),
    Column("method", String, nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),  # JSON list of pairs
    Column("body", LargeBinary),
    Column("sealed", LargeBinary),  # the exact body, encrypted, where secrets stand masked in `body`
)
