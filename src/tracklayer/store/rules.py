"""The rules of workspaces, one row each; none where nobody has saved any."""

from __future__ import annotations

import msgspec
import structlog
from sqlalchemy import Connection, select

from tracklayer.model.event import encode_json
from tracklayer.model.rules import WorkspaceRules
from tracklayer.store.database import Database
from tracklayer.store.newer import read_known
from tracklayer.store.tables import workspace_rules

_RULES = msgspec.json.Decoder(WorkspaceRules)

log = structlog.get_logger("tracklayer.store")


class RulesStore:
    """Each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, workspace_id: str) -> WorkspaceRules:
        """A workspace's rules."""
        statement = select(workspace_rules.c.rules).where(workspace_rules.c.workspace_id == workspace_id)
        found = await self._database.read(lambda connection: connection.execute(statement).scalar())
        if found is None:
            return WorkspaceRules()
        rules, too_new = read_known(_RULES, found)
        if too_new is not None:
            log.warning("rules_of_a_newer_version", workspace_id=workspace_id, unknown=too_new)
        return rules

    async def put(
        self, workspace_id: str, rules: WorkspaceRules, *, now: float, seen: WorkspaceRules | None = None
    ) -> bool:
        """Store a workspace's rules, replacing what it had; given `seen`, only those: False where it has others."""
        of_workspace = select(workspace_rules.c.rules).where(workspace_rules.c.workspace_id == workspace_id)
        statement = self._database.insert(workspace_rules).values(
            workspace_id=workspace_id, rules=encode_json(rules), updated_at=now
        )
        changed = {name: statement.excluded[name] for name in ("rules", "updated_at")}

        def replace(connection: Connection) -> bool:
            standing = connection.execute(of_workspace).scalar()
            if seen is not None and seen != (WorkspaceRules() if standing is None else read_known(_RULES, standing)[0]):
                return False
            same = None if seen is None else workspace_rules.c.rules == standing  # others may write between the two
            replacing = statement.on_conflict_do_update(index_elements=["workspace_id"], set_=changed, where=same)
            return connection.execute(replacing.returning(workspace_rules.c.workspace_id)).first() is not None

        return await self._database.write(replace)
