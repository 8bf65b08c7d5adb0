"""The store: one implementation on SQLAlchemy Core; each verb is one transaction.

- `database`: what is asked of a database; `sqlite`, `postgresql`: the two there are; `opening`: which one a URL names
- `queue`: the hot verbs (accept, claim, settle) and what an operator does to deliveries
- `configuration`: workspaces, keys, secrets, destinations, versions, suppressions
- `rules`: what a workspace decides about its events
- `history`: reading events, deliveries and attempts back
- `retention`: what may go for its age; `pruning`: removing it; `partitions`: days, on PostgreSQL; `volume`: how much
- `people`: people, sessions, invitations; `failures`: to sign in; `audit`: who changed what
"""

from __future__ import annotations

from tracklayer.store.audiences import AudienceStore
from tracklayer.store.audit import AuditStore
from tracklayer.store.configuration import Configuration
from tracklayer.store.database import Database
from tracklayer.store.group_commit import GroupCommit
from tracklayer.store.history import History
from tracklayer.store.opening import open_database
from tracklayer.store.people import PeopleStore
from tracklayer.store.queue import Queue
from tracklayer.store.rules import RulesStore

__all__ = [
    "AudienceStore",
    "AuditStore",
    "Configuration",
    "Database",
    "GroupCommit",
    "History",
    "PeopleStore",
    "Queue",
    "RulesStore",
    "open_database",
]
