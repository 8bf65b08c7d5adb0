"""Looking at a configuration before it goes live: what it warns of, and what it would change for real events."""

from __future__ import annotations

import msgspec

from tracklayer.catalog import Catalog, Destination
from tracklayer.flow.attempt import Attempter, Prepared, Unsendable
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.work import Work
from tracklayer.operate.body_diff import body_diff
from tracklayer.operate.destinations import Destinations
from tracklayer.operate.rehearsal import SYNTHETIC_EVENT
from tracklayer.pipeline.normalize import normalize
from tracklayer.ports import Clock
from tracklayer.store import History

RECENT = 500  # events that are looked through
COMPARED = 100  # matched events that are rendered with the old and the new configuration
DIFFS = 20  # of those that change, how many are shown whole


class BodyChange(msgspec.Struct, frozen=True, kw_only=True):
    """One event's body under the standing and the new configuration, secrets masked; null: it does not match."""

    event_id: str
    before: str | None
    after: str | None
    error: str | None  # why the new one cannot be sent
    diff: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a new configuration would change, over the newest events that either one matches."""

    compared: int
    changed: int
    failing: int  # that the new configuration could not send
    diffs: list[BodyChange]


class Reviews:
    """Holds configurations against what has really come in."""

    def __init__(
        self, catalog: Catalog, destinations: Destinations, history: History, attempter: Attempter, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._destinations = destinations
        self._history = history
        self._attempter = attempter
        self._clock = clock

    async def warnings(self, destination: Destination) -> list[str]:
        """What a person should know about a destination that was just saved; it works all the same."""
        tenant = self._catalog.tenant(destination.record.workspace_id)
        renderer = destination.plan.renderer
        found = [
            f"the secret {name} does not exist yet: deliveries fail until it does"
            for name in sorted(renderer.secrets - tenant.secrets.keys())
        ]
        if not found:
            found += self._synthetic_warning(destination)
        events = [event for event in await self._recent(destination) if destination.plan.filter.matches(event)]
        for use in {use.path: use for use in renderer.paths}.values():
            lacking = sum(not use.is_in(event) for event in events)
            if lacking:
                found.append(f"{lacking} of the last {len(events)} matching events have no {use.path}")
        return found

    async def compare(self, workspace_id: str, destination_id: str, overrides: dict[str, Json]) -> Comparison:
        """Render the newest matched events with the configuration that stands and with an overridden one."""
        standing = self._destinations.get(workspace_id, destination_id)
        proposed = self._destinations.overridden(workspace_id, destination_id, overrides)
        changes = []
        for stored in await self._history.events(workspace_id, limit=RECENT):
            fields = event_fields(stored.event)
            if standing.plan.filter.matches(fields) or proposed.plan.filter.matches(fields):
                changes.append(self._change(standing, proposed, stored.event))
            if len(changes) == COMPARED:
                break
        changed = [each for each in changes if each.before != each.after]
        return Comparison(
            compared=len(changes),
            changed=len(changed),
            failing=sum(each.error is not None for each in changes),
            diffs=changed[:DIFFS],
        )

    def _change(self, standing: Destination, proposed: Destination, event: Event) -> BodyChange:
        before, _ = self._body(standing, event)
        after, error = self._body(proposed, event)
        diff = body_diff(before, after, names=("before", "after"))
        return BodyChange(event_id=event.event_id, before=before, after=after, error=error, diff=diff)

    def _body(self, destination: Destination, event: Event) -> tuple[str | None, str | None]:
        """The body that would be sent, secrets masked, and why it would not be."""
        if not destination.plan.filter.matches(event_fields(event)):
            return None, None
        work = Work(delivery_id="dlv_review", destination_id=destination.id, event=event, size=0)
        secrets = self._catalog.tenant(destination.record.workspace_id).secrets
        now = self._clock.now()
        prepared = self._attempter.prepare(destination, work, secrets, now=now)
        ready = prepared if isinstance(prepared, Prepared) else prepared.prepared
        error = prepared.failure.detail if isinstance(prepared, Unsendable) else None
        body = self._attempter.keep(ready, now).body if ready else None
        return None if body is None else body.decode(errors="replace"), error

    def _synthetic_warning(self, destination: Destination) -> list[str]:
        event = normalize(SYNTHETIC_EVENT, now=self._clock.now(), new_id=lambda: "test_synthetic")
        if not destination.plan.filter.matches(event_fields(event)):
            return []
        _, error = self._body(destination, event)
        return [f"the synthetic event could not be sent: {error}"] if error else []

    async def _recent(self, destination: Destination) -> list[dict[str, Json]]:
        stored = await self._history.events(destination.record.workspace_id, limit=RECENT)
        return [event_fields(each.event) for each in stored if not each.test]
