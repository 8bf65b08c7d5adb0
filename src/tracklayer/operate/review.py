"""Looking at a configuration before it goes live: what it warns of, and what it would change for real events."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

import msgspec

from tracklayer.catalog import Catalog, Destination
from tracklayer.flow.attempt import Attempter, Prepared, Unsendable
from tracklayer.flow.engine import Engine
from tracklayer.flow.routing import Admission, admit
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.moment import rfc3339
from tracklayer.model.work import KeptRequest, Work
from tracklayer.operate.body_diff import body_diff, line_diff
from tracklayer.operate.destinations import Destinations
from tracklayer.operate.draft import DestinationDraft
from tracklayer.operate.filter_warnings import filter_warnings
from tracklayer.operate.rehearsal import SYNTHETIC_EVENT
from tracklayer.pipeline.normalize import normalize
from tracklayer.ports import Clock
from tracklayer.store import History

COMPARED = 100  # matching events that are rendered …
PATIENCE = 1.0  # seconds … while that takes no longer in all
RECENT = 2_000  # of the newest events of the workspace are looked through for them
PAGE = 200
DIFFS = 20  # of the events that change, how many are shown whole
FAILURES = 5  # kinds of failure that are warned of
UNTOLD = "the scope events:read shows why"

_SET_ON_SENDING = ("x-tracklayer-", "webhook-", "idempotency-key")


class BodyChange(msgspec.Struct, frozen=True, kw_only=True):
    """One event's body under the standing and the new configuration, secrets masked.

    A body is null where the event does not match, is suppressed or cannot be rendered. `diff` shows the method, the URL
    and the headers, too, where they differ; it is empty where only a secret differs.
    """

    event_id: str
    before: str | None
    after: str | None
    error_before: str | None  # why the standing one cannot be sent
    error: str | None  # why the new one cannot be sent
    suppressed_before: str | None  # the rule that keeps the event back under the standing one
    suppressed: str | None  # and under the new one
    diff: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a new configuration would change, over the newest events that either one matches."""

    compared: int
    changed: int
    failing: int  # that the new configuration could not send
    diffs: list[BodyChange]


class _Outcome(NamedTuple):
    """What a configuration makes of an event: nothing at all where it does not match or keeps it back."""

    exact: tuple[object, ...] | None = None  # what counts of the request; never shown
    shown: KeptRequest | None = None  # the request, secrets masked
    error: str | None = None
    suppressed: str | None = None  # the rule that keeps it back

    @property
    def body(self) -> str | None:
        """The body as text."""
        return None if self.shown is None or self.shown.body is None else self.shown.body.decode(errors="replace")

    @property
    def head(self) -> list[str]:
        """The request line and the headers that the configuration sets."""
        if self.shown is None:
            return []
        headers = [f"{name}: {value}" for name, value in self.shown.headers if _is_configured(name)]
        return [f"{self.shown.method} {self.shown.url}", *headers]


class Reviews:
    """Holds configurations against what has really come in."""

    def __init__(
        self,
        catalog: Catalog,
        destinations: Destinations,
        history: History,
        engine: Engine,
        attempter: Attempter,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._engine = engine
        self._destinations = destinations
        self._history = history
        self._attempter = attempter
        self._clock = clock

    async def warnings(self, destination: Destination, *, quoting: bool = True) -> list[str]:
        """What a person should know about a destination that was saved; it works all the same.

        Why a real event could not be sent quotes what is in it: without `quoting` it is only counted.
        """
        if destination.unusable is not None:
            return [f"it cannot be used by this version, or settings, and its deliveries wait: {destination.unusable}"]
        secrets = self._secrets(destination)
        absent = sorted(destination.plan.renderer.secrets - secrets.keys())
        found = [f"the secret {name} does not exist yet: deliveries fail until it does" for name in absent]
        if not absent:
            found += self._synthetic_warning(destination)
        aliases = self._catalog.tenant(destination.record.workspace_id).rules.names_by_key
        found += filter_warnings(destination.plan.config.filter, aliases)
        held_until = self._engine.held_until(destination.id)
        if held_until is not None:
            found.append(f"the receiver asked to wait: nothing is sent before {rfc3339(held_until)}, or until a resume")
        return found + await self._recent_warnings(
            destination, dict.fromkeys(absent, "") | secrets, not absent, quoting
        )

    async def compare(
        self, workspace_id: str, destination_id: str, overrides: dict[str, Json], version: int | None = None
    ) -> Comparison:
        """Render the newest matching events with the configuration that stands and with a proposed one.

        That is the one which a save of `overrides` or restoring `version` would make.
        """
        standing = self._destinations.get(workspace_id, destination_id)
        proposed = await self._destinations.proposed(workspace_id, destination_id, overrides, version)
        return await self._comparison(standing, proposed)

    async def compare_draft(self, workspace_id: str, destination_id: str, draft: DestinationDraft) -> Comparison:
        """The same, for the configuration that a save of `draft` would make. Raises what that save would."""
        standing = self._destinations.get(workspace_id, destination_id)
        proposed = self._destinations.drafted(workspace_id, draft, standing_id=destination_id)
        return await self._comparison(standing, proposed)

    async def _comparison(self, standing: Destination, proposed: Destination) -> Comparison:
        compared = changed = failing = 0
        diffs: list[BodyChange] = []
        async for event in self._in_turn(await self._matching(standing.record.workspace_id, standing, proposed)):
            before, after = self._outcome(standing, event), self._outcome(proposed, event)
            compared += 1
            failing += after.error is not None
            if (before.exact, before.error) != (after.exact, after.error):
                changed += 1
                diffs += [_change(event, before, after)] if changed <= DIFFS else []
        return Comparison(compared=compared, changed=changed, failing=failing, diffs=diffs)

    def _synthetic_warning(self, destination: Destination) -> list[str]:
        rules = self._catalog.tenant(destination.record.workspace_id).rules
        event = normalize(SYNTHETIC_EVENT, now=self._clock.now(), new_id=lambda: "test_synthetic", rules=rules)
        if not destination.plan.filter.matches(event_fields(event)):
            return []
        prepared = self._prepare(destination, self._admitted(destination, event).event, self._secrets(destination))
        if not isinstance(prepared, Unsendable):
            return []
        return [f"the synthetic event could not be sent: {prepared.failure.detail}"]

    async def _recent_warnings(
        self, destination: Destination, secrets: Mapping[str, str], counts_failures: bool, quoting: bool
    ) -> list[str]:
        """What the newest matching events lack, and why some of them could not be sent."""
        lacking: Counter[str] = Counter()
        failing: Counter[str] = Counter()
        looked_at = 0
        async for event in self._in_turn(await self._matching(destination.record.workspace_id, destination)):
            looked_at += 1
            prepared = self._prepare(destination, self._admitted(destination, event).event, secrets)
            lacking.update({each.path for each in prepared.missing})
            if isinstance(prepared, Unsendable) and counts_failures:
                failing[prepared.failure.detail if quoting else UNTOLD] += 1
        of = f"of the last {looked_at} matching events"
        return [
            *(f"{count} {of} have no {path}" for path, count in lacking.most_common()),
            *(f"{count} {of} could not be sent: {error}" for error, count in failing.most_common(FAILURES)),
        ]

    async def _in_turn(self, events: Iterable[Event]) -> AsyncIterator[Event]:
        """The events one by one, deliveries in between; no more of them once what is done with them takes too long."""
        spent = 0.0
        for event in events:
            await self._clock.sleep(0)
            began = self._clock.now()
            yield event
            spent += self._clock.now() - began
            if spent > PATIENCE:
                return

    async def _matching(self, workspace_id: str, *destinations: Destination) -> list[Event]:
        """The newest events, tests left out, that the filter of one of the destinations matches."""
        found: list[Event] = []
        before, looked_at = None, 0
        while looked_at < RECENT and len(found) < COMPARED:
            page = await self._history.events(workspace_id, limit=PAGE, before=before)
            for stored in page:
                fields = event_fields(stored.event)
                if not stored.test and any(each.plan.filter.matches(fields) for each in destinations):
                    found.append(stored.event)
            if len(page) < PAGE:
                break
            before, looked_at = page[-1].pk, looked_at + PAGE
        return found[:COMPARED]

    def _outcome(self, destination: Destination, event: Event) -> _Outcome:
        if not destination.plan.filter.matches(event_fields(event)):
            return _Outcome()
        admission = self._admitted(destination, event)
        if admission.stopped is not None:
            return _Outcome(suppressed=admission.stopped)
        prepared = self._prepare(destination, admission.event, self._secrets(destination))
        ready = prepared if isinstance(prepared, Prepared) else prepared.prepared
        error = prepared.failure.detail if isinstance(prepared, Unsendable) else None
        if ready is None:
            return _Outcome(error=error)
        rendered = ready.rendered
        exact = (rendered.method, rendered.url, rendered.headers, rendered.body)
        return _Outcome(exact, self._attempter.keep(ready, self._clock.now()), error)

    def _admitted(self, destination: Destination, event: Event) -> Admission:
        """What the destination may have of an event, by the consent that it came with."""
        return admit(destination, event, self._clock.now())

    def _prepare(self, destination: Destination, event: Event, secrets: Mapping[str, str]) -> Prepared | Unsendable:
        work = Work(delivery_id="dlv_review", destination_id=destination.id, event=event, size=0)
        return self._attempter.prepare(destination, work, secrets, now=self._clock.now())

    def _secrets(self, destination: Destination) -> dict[str, str]:
        return self._catalog.tenant(destination.record.workspace_id).secrets


def _change(event: Event, before: _Outcome, after: _Outcome) -> BodyChange:
    heads = line_diff(before.head, after.head, names=("request before", "request after")) if before.shown else ""
    bodies = body_diff(before.body, after.body, names=("before", "after"))
    return BodyChange(
        event_id=event.event_id,
        before=before.body,
        after=after.body,
        error_before=before.error,
        error=after.error,
        suppressed_before=before.suppressed,
        suppressed=after.suppressed,
        diff="\n".join(part for part in (heads if after.shown else "", bodies) if part),
    )


def _is_configured(header: str) -> bool:
    return not header.lower().startswith(_SET_ON_SENDING)
