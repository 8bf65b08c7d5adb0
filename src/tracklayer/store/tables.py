"""The schema. Times are unix seconds; JSON is kept as bytes, as it was written.

`deliveries.available_at` is when any worker may claim the row: its due time, or the end of the lease that a worker
holds. So one index serves both "due" and "lease expired", and a claim only pushes that one column.

On PostgreSQL the tables that grow with the traffic (`PARTITIONED`) are partitioned by ranges of their ids, which are
ranges of time (`store.partitions`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy import String as AnyString

# Compared byte by byte on every database, whatever its locale: ids are ordered by time as text.
String = AnyString().with_variant(AnyString(collation="C"), "postgresql")

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

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False),
    Column("email", String, nullable=False, unique=True),  # in lower case
    Column("password_hash", String, nullable=False),  # Argon2id, with its salt and parameters
    Column("created_at", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),  # SHA-256 of the cookie's token; the token itself is never kept
    Column("person_id", String, nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("address", String, nullable=False),
    Column("user_agent", String, nullable=False),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("key", String, primary_key=True),  # SHA-256 of an e-mail or an address, of strangers too
    Column("times", LargeBinary, nullable=False),  # JSON: when it failed, oldest first
    Column("until", Double, nullable=False, index=True),  # when none of them counts any more
)

invitations = Table(
    "invitations",
    metadata,
    Column("hash", String, primary_key=True),  # SHA-256 of the one-time link's token
    Column("workspace_id", String, nullable=False),
    Column("email", String),  # None: whoever has the link says it (the first person)
    Column("author", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", String, primary_key=True),  # ordered by time
    Column("workspace_id", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("actor", String, nullable=False),  # a person's e-mail, or the name of an API key
    Column("action", String, nullable=False),  # "destination.paused"
    Column("target", String, nullable=False),  # the id, or the name, of what it was done to
    Column("detail", LargeBinary, nullable=False),  # JSON; never a secret
    Index(None, "workspace_id", "id"),
)

# Attempts counted by the minute and by the hour, so that a page never counts rows of the log.
attempt_counts = Table(
    "attempt_counts",
    metadata,
    Column("destination_id", String, nullable=False),
    Column("step", Integer, nullable=False),  # seconds that a slot spans: 60 or 3600
    Column("slot", Integer, nullable=False),  # unix seconds of its beginning
    Column("action", String, nullable=False),  # Verdict.action
    Column("outcome", String, nullable=False),  # "2xx" … "5xx", or Failure.kind
    Column("bucket", Integer, nullable=False),  # of the latency histogram
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("destination_id", "step", "slot", "action", "outcome", "bucket"),
    sqlite_with_rowid=False,
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
    Index(None, "workspace_id", "event_name", "pk"),
)

event_users = Table(
    "event_users",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("user_key", String, nullable=False),  # see `store.search.user_keys`
    Column("event_pk", String, nullable=False),
    PrimaryKeyConstraint("workspace_id", "user_key", "event_pk"),
    sqlite_with_rowid=False,
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

workspace_rules = Table(
    "workspace_rules",
    metadata,
    Column("workspace_id", String, primary_key=True),
    Column("rules", LargeBinary, nullable=False),  # WorkspaceRules as JSON
    Column("updated_at", Double, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, nullable=False, index=True),
    Column("type", String, nullable=False),  # segment, segment_webhook, shopify
    Column("name", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("key_hash", String, unique=True),  # SHA-256 of a write key; None where a shared secret signs
    Column("sealed", LargeBinary),  # the shared secret
    Column("hint", String, nullable=False),
    Column("settings", LargeBinary, nullable=False),  # JSON; never a secret
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

source_counts = Table(
    "source_counts",
    metadata,
    Column("source_id", String, nullable=False),
    Column("day", Integer, nullable=False),  # since 1970, UTC
    Column("status", String, nullable=False),  # accepted, duplicate, rejected
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("source_id", "day", "status"),
    sqlite_with_rowid=False,
)

webhook_ids = Table(
    "webhook_ids",
    metadata,
    Column("source_id", String, nullable=False),
    Column("webhook_id", String, nullable=False),
    Column("received_at", Double, nullable=False, index=True),
    PrimaryKeyConstraint("source_id", "webhook_id"),
    sqlite_with_rowid=False,
)

rejected_payloads = Table(
    "rejected_payloads",
    metadata,
    Column("id", String, primary_key=True),  # ordered by time
    Column("workspace_id", String, nullable=False),
    Column("source_id", String),  # None: the native API
    Column("received_at", Double, nullable=False),
    Column("code", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("pointer", Text),
    Column("about", LargeBinary, nullable=False),  # JSON: what the mapping needs beside the payload, such as its topic
    Column("payload", LargeBinary, nullable=False),
    Index(None, "workspace_id", "id"),
)

profiles = Table(
    "profiles",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("user_key", String, nullable=False),  # see `model.profile.profile_keys` and `group_key`
    Column("traits", LargeBinary),  # JSON
    Column("consent", LargeBinary),  # JSON: category → [state, unix seconds]
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace_id", "user_key"),
    sqlite_with_rowid=False,
)

audiences = Table(
    "audiences",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("rule", LargeBinary),  # a filter as JSON; None: a static list
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace_id", "name"),
)

audience_members = Table(
    "audience_members",
    metadata,
    Column("workspace_id", String, nullable=False),
    Column("member", String, nullable=False),  # "id:" and an external_id, or "email:" and an e-mail's hash
    Column("audience", String, nullable=False),
    Column("added_at", Double, nullable=False),
    PrimaryKeyConstraint("workspace_id", "member", "audience"),
    Index(None, "workspace_id", "audience", "member"),
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
    Column("cause", String),  # of the last attempt's failure: its status code, or Failure.kind
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("available_at", Double, nullable=False),
    Column("lease_owner", String),
    Column("order_key", String),  # set where the destination keeps the order of this user's events
    Column("position", BigInteger),  # … and which of them came first
    sqlite_with_rowid=False,
)

PENDING = text("state = 'pending'")
ORDERED = text("state = 'pending' AND order_key IS NOT NULL")
DEAD = text("state = 'dead'")
SUPPRESSED = text("state = 'suppressed'")
DISCARDED = text("state = 'discarded'")

# What waits and what is dead is counted in the index alone, so that must hold `state`, too: SQLite reads it although
# the index implies it.
Index(
    "ix_deliveries_pending",
    deliveries.c.destination_id,
    deliveries.c.available_at,
    deliveries.c.id,  # claims take them in this order
    deliveries.c.state,
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
Index(
    "ix_deliveries_cause",
    deliveries.c.workspace_id,
    deliveries.c.test,
    deliveries.c.destination_id,
    deliveries.c.cause,
    deliveries.c.id,
    deliveries.c.state,
    sqlite_where=DEAD,
    postgresql_where=DEAD,
)
Index(
    "ix_deliveries_suppressed",
    deliveries.c.workspace_id,
    deliveries.c.id,
    sqlite_where=SUPPRESSED,
    postgresql_where=SUPPRESSED,
)
Index(
    "ix_deliveries_discarded",
    deliveries.c.workspace_id,
    deliveries.c.id,
    sqlite_where=DISCARDED,
    postgresql_where=DISCARDED,
)
Index(
    "ix_deliveries_order",
    deliveries.c.destination_id,
    deliveries.c.order_key,
    deliveries.c.position,
    sqlite_where=ORDERED,
    postgresql_where=ORDERED,
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

# What a destination may still be sent now, over all processes: see `delivery.limits.TokenBucket`.
paces = Table(
    "paces",
    metadata,
    Column("destination_id", String, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("refilled_at", Double, nullable=False),
    Column("hold_until", Double, nullable=False),  # the receiver asked everybody to wait (Retry-After)
    sqlite_with_rowid=False,
)

# Something sealed with the master key, so that a process with another key is told so before it does harm.
key_checks = Table(
    "key_checks",
    metadata,
    Column("purpose", String, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

# One row: the oldest code that may work on this schema. See `store.schema`.
schema_needs = Table(
    "schema_needs",
    metadata,
    Column("code_revision", String, primary_key=True),
)

PARTITIONED = {
    "events": "pk",
    "event_users": "event_pk",
    "deliveries": "id",
    "attempts": "delivery_id",
    "kept_requests": "delivery_id",
}
"""Table → the id whose ranges its partitions are."""
