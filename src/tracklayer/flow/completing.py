"""A clean event made whole by what is known of its user: remember → facts → enrich → consent → audiences →
drop what is personal.

An event comes here with its personal data (`WorkspaceRules.before_enriching`): enriching needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tracklayer.catalog import Catalog, Tenant
from tracklayer.flow.enriching import Enriching
from tracklayer.model.event import Event
from tracklayer.model.facts import NO_FACTS, Facts, fact_keys
from tracklayer.model.profile import ProfileUpdate, is_news, joined_consent, merge_consent
from tracklayer.model.work import Candidate
from tracklayer.pipeline.consent import Consented
from tracklayer.pipeline.known_user import with_hashes
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

        The traits that they tell are remembered first. So an event knows what an `identify` in the same request says,
        also one that comes behind it. What they say of consent holds from the event on that says it.
        """
        tenants = {workspace_id: self._catalog.tenant(workspace_id) for workspace_id in {i.workspace_id for i in items}}
        telling = [item for item in items if tells_of_user(item.event)]
        self._remember(memory, ((item, profile_updates(self._kept(item), item.received_at)) for item in telling))
        spoken = _Spoken(memory)
        for item, (users, known) in zip(items, _facts(items, tenants, memory), strict=True):
            tenant = tenants[item.workspace_id]
            rules = tenant.rules
            remembered = spoken.by_now(item.workspace_id, users, known.consent)
            consented = self._enriching.make_whole(tenant, item.event, known, remembered, gpc=item.gpc)
            then(item, drop_personal(consented.event) if rules.drop_pii else consented.event)
            if is_news(remembered, consented.to_remember, consented.at):
                spoken.hear(item, users, consented)
        self._remember(memory, spoken.said)

    def _kept(self, item: Candidate) -> Event:
        """What may be kept of an event, as it came."""
        event, rules = item.event, self._catalog.tenant(item.workspace_id).rules
        if not rules.drop_pii:
            return event
        traits = event.context.get("traits")
        if isinstance(traits, dict):
            context = {**event.context, "traits": with_hashes(traits, rules.default_region)}
            event = msgspec.structs.replace(event, context=context)
        return drop_personal(event)

    def _remember(self, memory: Memory, said: Iterable[tuple[Candidate, list[ProfileUpdate]]]) -> None:
        updates: dict[str, list[ProfileUpdate]] = {}
        for item, each in said:
            if each:
                updates.setdefault(item.workspace_id, []).extend(each)
        if updates:
            memory.remember(updates)


class _Spoken:
    """What the events of one transaction have said of consent so far, one after the other."""

    def __init__(self, memory: Memory) -> None:
        self.said: list[tuple[Candidate, list[ProfileUpdate]]] = []  # to be remembered, in order
        self._memory = memory
        self._by_now: dict[tuple[str, str], dict[str, tuple[str, float]]] = {}  # workspace id, key of a profile

    def by_now(
        self, workspace_id: str, users: Sequence[str], known: dict[str, tuple[str, float]]
    ) -> dict[str, tuple[str, float]]:
        """The consent of whom `users` name; `known` is what it was before this transaction."""
        if not any((workspace_id, key) in self._by_now for key in users):
            return known
        return joined_consent([self._of(workspace_id, key) for key in users])

    def hear(self, item: Candidate, users: Sequence[str], consented: Consented) -> None:
        """Take in what an event says."""
        said: dict[str, str] = {**consented.to_remember}
        for key in users:
            before = self._of(item.workspace_id, key)
            self._by_now[item.workspace_id, key] = merge_consent(before, said, consented.at)
        self.said.append((item, [ProfileUpdate(user_key=key, consent=said, at=consented.at) for key in users]))

    def _of(self, workspace_id: str, key: str) -> dict[str, tuple[str, float]]:
        said = self._by_now.get((workspace_id, key))
        return self._memory.consent(workspace_id, key) if said is None else said


def _facts(
    items: Sequence[Candidate], tenants: Mapping[str, Tenant], memory: Memory
) -> list[tuple[tuple[str, ...], Facts]]:
    """The keys of their users' profiles and the facts of those users, in order."""
    facts: list[tuple[tuple[str, ...], Facts]] = [((), NO_FACTS)] * len(items)
    for workspace_id, tenant in tenants.items():
        members = bool(tenant.audiences.static)
        keys = {
            place: fact_keys(item.event, members=members)
            for place, item in enumerate(items)
            if item.workspace_id == workspace_id
        }
        found = memory.facts(workspace_id, list(keys.values()))
        for (place, each), known in zip(keys.items(), found, strict=True):
            facts[place] = (each.users, known)
    return facts
