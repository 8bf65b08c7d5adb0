"""A clean event made whole by what is known of its user: remember → facts → enrich → consent → drop what is personal.

An event comes here with its personal data (`WorkspaceRules.before_enriching`): enriching needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tracklayer.catalog import Catalog, Tenant
from tracklayer.flow.enriching import Enriching
from tracklayer.model.event import Event
from tracklayer.model.facts import NO_FACTS, Facts, fact_keys
from tracklayer.model.profile import ProfileUpdate, consent_keys, is_news
from tracklayer.model.work import Candidate
from tracklayer.pipeline.consent import with_consent
from tracklayer.pipeline.personal import drop_personal
from tracklayer.pipeline.remember import profile_updates, tells_of_user
from tracklayer.store.facts import Memory


class Completing:
    """Completes the events of one transaction, in their order."""

    def __init__(self, catalog: Catalog, enriching: Enriching) -> None:
        self._catalog = catalog
        self._enriching = enriching

    def complete(self, items: Sequence[Candidate], memory: Memory, then: Callable[[Candidate, Event], None]) -> None:
        """Hand the events of `items` on to `then` as they are stored, each as soon as it is whole: a moment later the
        processor would have to fetch it from memory again.

        What they say of their users is remembered first. So an event knows what an `identify` in the same request
        says, also one that comes behind it.
        """
        tenants = {workspace_id: self._catalog.tenant(workspace_id) for workspace_id in {i.workspace_id for i in items}}
        telling = [item for item in items if tells_of_user(item.event)]
        self._remember(memory, ((item, profile_updates(self._kept(item), item.received_at)) for item in telling))
        said = []
        for item, known in zip(items, _facts(items, tenants, memory), strict=True):
            tenant = tenants[item.workspace_id]
            rules = tenant.rules
            enriched = self._enriching.enrich(tenant, item.event, known)
            consented = with_consent(enriched, known.consent, rules.consent_defaults, gpc=item.gpc)
            then(item, drop_personal(consented.event) if rules.drop_pii else consented.event)
            if is_news(known.consent, consented.to_remember, consented.at):
                updates = [
                    ProfileUpdate(user_key=key, consent=dict(consented.to_remember), at=consented.at)
                    for key in consent_keys(item.event.user_data)
                ]
                said.append((item, updates))
        self._remember(memory, said)

    def _kept(self, item: Candidate) -> Event:
        """What may be kept of an event, as it came."""
        drops = self._catalog.tenant(item.workspace_id).rules.drop_pii
        return drop_personal(item.event) if drops else item.event

    def _remember(self, memory: Memory, said: Iterable[tuple[Candidate, list[ProfileUpdate]]]) -> None:
        updates: dict[str, list[ProfileUpdate]] = {}
        for item, each in said:
            if each:
                updates.setdefault(item.workspace_id, []).extend(each)
        if updates:
            memory.remember(updates)


def _facts(items: Sequence[Candidate], tenants: Mapping[str, Tenant], memory: Memory) -> list[Facts]:
    """The facts of their users, in order."""
    facts = [NO_FACTS] * len(items)
    for workspace_id, tenant in tenants.items():
        members = bool(tenant.audiences.static)
        keys = {
            place: fact_keys(item.event, members=members)
            for place, item in enumerate(items)
            if item.workspace_id == workspace_id
        }
        for place, known in zip(keys, memory.facts(workspace_id, list(keys.values())), strict=True):
            facts[place] = known
    return facts
