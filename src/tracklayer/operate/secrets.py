"""Named secrets of a workspace: write-only."""

from __future__ import annotations

import re

from tracklayer.catalog import Catalog, secret_purpose
from tracklayer.delivery.redact import SHORTEST
from tracklayer.delivery.sign import hint
from tracklayer.errors import Conflict, Invalid, NotFound
from tracklayer.flow.engine import Engine
from tracklayer.model.event import Json
from tracklayer.model.records import SealedSecret
from tracklayer.operate.audit import Audit
from tracklayer.ports import Clock
from tracklayer.store import Configuration
from tracklayer.vault import Vault

VALUE_LIMIT = 8192

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")


class Secrets:
    """What templates read as `{{secrets.NAME}}`."""

    def __init__(
        self,
        catalog: Catalog,
        configuration: Configuration,
        engine: Engine,
        vault: Vault,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._configuration = configuration
        self._engine = engine
        self._vault = vault
        self._audit = audit
        self._clock = clock

    def all(self, workspace_id: str) -> list[SealedSecret]:
        """Every secret, by name; only names, hints and times are for showing."""
        return list(self._catalog.tenant(workspace_id).sealed.values())

    def get(self, workspace_id: str, name: str) -> SealedSecret:
        """One secret. Raises `NotFound`."""
        found = self._catalog.tenant(workspace_id).sealed.get(name)
        if found is None:
            raise NotFound(f"there is no secret {name!r} in this workspace")
        return found

    def users(self, workspace_id: str, name: str) -> list[str]:
        """The ids of the destinations whose templates use a secret."""
        destinations = self._catalog.tenant(workspace_id).destinations.values()
        return [each.id for each in destinations if name in each.plan.renderer.secrets]

    def missing(self, workspace_id: str) -> list[str]:
        """The names that templates read and nobody has set, in order."""
        tenant = self._catalog.tenant(workspace_id)
        wanted = {name for each in tenant.destinations.values() for name in each.plan.renderer.secrets}
        return sorted(wanted - tenant.sealed.keys())

    async def put(self, workspace_id: str, name: str, value: str, *, author: str) -> SealedSecret:
        """Store or replace a secret; what is sent from now on uses it."""
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name!r} is not a name for a secret: expected letters, digits, _ and -, at most 100",
                code="invalid_name",
            )
        if not SHORTEST <= len(value) <= VALUE_LIMIT or "\x00" in value:
            raise Invalid(
                f"a secret has {SHORTEST} to {VALUE_LIMIT} characters, none of them NUL: "
                "a shorter one could not be told from other text, to hide it where a receiver repeats it",
                code="invalid_secret",
                pointer="/value",
            )
        now = self._clock.now()
        known = self._catalog.tenant(workspace_id).sealed.get(name)
        secret = SealedSecret(
            workspace_id=workspace_id,
            name=name,
            sealed=self._vault.seal(value, purpose=secret_purpose(workspace_id, name)),
            hint=hint(value),
            created_at=known.created_at if known else now,
            updated_at=now,
        )
        await self._configuration.put_secret(secret)
        await self._reload(workspace_id)
        detail: dict[str, Json] = {"replaced": known is not None}
        await self._audit.record(workspace_id, actor=author, action="secret.stored", target=name, detail=detail)
        return secret

    async def remove(self, workspace_id: str, name: str, *, author: str) -> None:
        """Forget a secret. Refused while a destination uses it."""
        self.get(workspace_id, name)
        users = self.users(workspace_id, name)
        if users:
            raise Conflict(f"the secret {name} is used by {', '.join(users)}", code="secret_in_use")
        await self._configuration.remove_secret(workspace_id, name)
        await self._reload(workspace_id)
        await self._audit.record(workspace_id, actor=author, action="secret.removed", target=name)

    async def _reload(self, workspace_id: str) -> None:
        await self._catalog.reload(workspace_id)
        self._engine.refresh()
