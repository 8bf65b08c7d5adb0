"""What would be stored if an event came in now: for previews, tests and explanations, which must see what live traffic
would see. Nothing is stored or remembered."""

from __future__ import annotations

from collections.abc import Callable

from tracklayer.catalog import Catalog
from tracklayer.flow.enriching import Enriching
from tracklayer.model.event import Event, Json
from tracklayer.model.facts import fact_keys
from tracklayer.pipeline.normalize import normalize
from tracklayer.pipeline.personal import drop_personal
from tracklayer.ports import Clock
from tracklayer.store.facts import FactsReader


class Foreseeing:
    """Makes events whole as `Completing` does, beside the way that they go."""

    def __init__(self, catalog: Catalog, facts: FactsReader, enriching: Enriching, clock: Clock) -> None:
        self._catalog = catalog
        self._facts = facts
        self._enriching = enriching
        self._clock = clock

    async def event(self, workspace_id: str, fields: Json, *, new_id: Callable[[], str]) -> Event:
        """The canonical event of `fields`, with what is known of its user. Raises `Invalid`, and `Unavailable`."""
        tenant = self._catalog.tenant(workspace_id)
        event = normalize(fields, now=self._clock.now(), new_id=new_id, rules=tenant.rules.before_enriching)
        keys = fact_keys(event, members=bool(tenant.audiences.static))
        facts = await self._facts.of(workspace_id, keys)
        whole = self._enriching.make_whole(tenant, event, facts, facts.consent).event
        return drop_personal(whole) if tenant.rules.drop_pii else whole
