"""From a clean event to a durable one: route → accept; the caller is answered after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

import msgspec

from tracklayer.catalog import Catalog
from tracklayer.errors import Unavailable
from tracklayer.flow.completing import Completing
from tracklayer.flow.counting import Counting
from tracklayer.flow.engine import Engine
from tracklayer.flow.report import report_suppressed
from tracklayer.flow.routing import route, user_of
from tracklayer.flow.tail import Tail
from tracklayer.identity import IdFactory
from tracklayer.metrics import Metrics
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import Event, event_to_json
from tracklayer.model.work import Acceptance, Accepted, Candidate, NewDelivery, Work
from tracklayer.ports import Clock
from tracklayer.store import GroupCommit, Queue
from tracklayer.store.facts import Memory


class IngestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much may wait for a commit before callers are told to come again later."""

    waiting_events: int = 10_000
    waiting_bytes: int = 64 * 1024 * 1024
    largest_commit: int = 1000  # events; a request with more is one commit all the same
    patience: float = 5.0  # seconds that a caller waits for its commit, which goes on without it


class Ingest:
    """Takes events in: never more than it can store, never answered before they are stored."""

    def __init__(
        self,
        catalog: Catalog,
        completing: Completing,
        queue: Queue,
        engine: Engine,
        clock: Clock,
        ids: IdFactory,
        metrics: Metrics,
        counting: Counting,
        tail: Tail,
        options: IngestOptions,
    ) -> None:
        self._catalog = catalog
        self._completing = completing
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._metrics = metrics
        self._counting = counting
        self._tail = tail
        self._options = options
        self._queue = queue
        self._commits: GroupCommit[list[Candidate], list[Accepted]] = GroupCommit(
            self._commit, largest=options.largest_commit
        )
        self._waiting_bytes = 0

    async def accept(
        self, workspace_id: str, events: Sequence[Event], *, now: float, size: int | None = None, gpc: bool = False
    ) -> list[Accepted]:
        """Store events with their deliveries and hand those over to the engine; answers in order.

        `now` is when they were received, the same moment that their `received_at` tells; `size` is about how many
        bytes they take, None where the caller does not know; `gpc`: the request came with the header `Sec-GPC: 1`.

        Raises `Unavailable` when the store cannot commit, takes too long, or too much waits already: then the caller
        may send the same events again, which the dedup window makes safe.
        """
        if not events:
            return []
        if self._commits.waiting and self._commits.waiting + len(events) > self._options.waiting_events:
            raise Unavailable("too many events wait to be stored; try again shortly", code="too_busy")
        if size is None:
            size = sum(len(event_to_json(event)) for event in events)
        if self._waiting_bytes and self._waiting_bytes + size > self._options.waiting_bytes:
            raise Unavailable("too many bytes wait to be stored; try again shortly", code="too_busy")
        share = size // len(events)
        items = [
            Candidate(
                workspace_id=workspace_id,
                pk=self._ids.new("evt"),
                event=event,
                received_at=now,
                gpc=gpc,
                size=share,
            )
            for event in events
        ]
        self._waiting_bytes += share * len(items)
        committed = self._commits.submit(items, weight=len(items))
        # `asyncio.timeout` does the same for four times as much, a hundredth of what an event costs.
        patience = asyncio.get_running_loop().call_later(self._options.patience, self._give_up, committed)
        try:
            answers = await committed
        finally:
            patience.cancel()
        self._metrics.commit_seconds.observe(max(0.0, self._clock.now() - now))
        return answers

    def _give_up(self, committed: asyncio.Future[list[Accepted]]) -> None:
        """Answer a caller who has waited for long enough."""
        if not committed.done():
            patience = f"{self._options.patience:g} seconds"
            committed.set_exception(Unavailable(f"not stored within {patience}; try again shortly"))

    async def _commit(self, requests: list[list[Candidate]]) -> list[list[Accepted]]:
        """One transaction; what is new goes on to the engine, whether or not its caller is still there."""
        items = [item for request in requests for item in request]
        try:
            answers = iter(await self._take_in(items))
        finally:
            self._waiting_bytes -= sum(item.size for item in items)
        return [list(islice(answers, len(request))) for request in requests]

    async def _take_in(self, items: list[Candidate]) -> list[Accepted]:
        made: list[Acceptance] = []

        def complete(new: list[Candidate], memory: Memory) -> list[Acceptance]:
            for item in made:  # the database asks for the transaction once more
                self._unreserve(item)
            made.clear()
            self._completing.complete(new, memory, lambda item, event: made.append(self._acceptance(item, event)))
            return made

        try:
            answers = await self._queue.take_in(items, complete)
        except Exception:
            for item in made:
                self._abandon(item)
            raise
        for answer in answers:
            self._metrics.events["duplicate" if answer.duplicate else "accepted"] += 1
        for item in made:
            self._hand_over(item)
        return answers

    def _unreserve(self, item: Acceptance) -> None:
        for delivery in item.deliveries:
            if delivery.lease_until is not None:
                self._engine.unreserve(delivery.destination_id, len(item.body))

    def _abandon(self, item: Acceptance) -> None:
        """A commit that failed may be durable all the same: then the engine finds what it holds."""
        self._unreserve(item)
        for delivery in item.deliveries:
            self._engine.notice(delivery.destination_id, delivery.lease_until or item.received_at)

    def _acceptance(self, item: Candidate, event: Event) -> Acceptance:
        """A new event, whole by now, with its destinations."""
        body = event_to_json(event)
        deliveries = []
        for routed in route(self._catalog.tenant(item.workspace_id), event, item.received_at):
            destination, suppressed = routed.destination, routed.suppressed
            order_key = user_of(event) if destination.keeps_order else None
            waits = suppressed is not None or order_key is not None  # its turn is known to the store alone
            deliveries.append(
                NewDelivery(
                    id=self._ids.new("dlv"),
                    destination_id=destination.id,
                    version=destination.record.version,
                    state=DeliveryState.SUPPRESSED if suppressed else DeliveryState.PENDING,
                    reason=suppressed,
                    lease_until=None if waits else self._engine.reserve(destination.id, len(body)),
                    order_key=None if suppressed else order_key,
                )
            )
        return Acceptance(
            workspace_id=item.workspace_id,
            pk=item.pk,
            event=event,
            body=body,
            received_at=item.received_at,
            deliveries=tuple(deliveries),
        )

    def _hand_over(self, item: Acceptance) -> None:
        for delivery in item.deliveries:
            self._metrics.of(delivery.destination_id).accepted += 1
            if self._tail.watched:
                self._tail.accepted(item, delivery)
            if delivery.state is DeliveryState.SUPPRESSED:
                report_suppressed(self._metrics, self._counting, delivery.destination_id, item.received_at)
            elif delivery.lease_until is None:
                self._engine.notice(delivery.destination_id, item.received_at)
            else:
                self._engine.hand_over(
                    Work(
                        delivery_id=delivery.id,
                        destination_id=delivery.destination_id,
                        event=item.event,
                        size=len(item.body),
                        created_at=item.received_at,
                        lease_until=delivery.lease_until,
                    )
                )
