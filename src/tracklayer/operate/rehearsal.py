"""Rehearsing: preview renders without sending; the synthetic test sends for real, through the real path."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from tracklayer.catalog import Catalog, Destination
from tracklayer.delivery.part import Missing
from tracklayer.delivery.sign import verify
from tracklayer.errors import at
from tracklayer.flow.attempt import Attempted, Attempter, Prepared, Unsendable
from tracklayer.flow.engine import Engine
from tracklayer.flow.foreseeing import Foreseeing
from tracklayer.flow.report import log_attempt
from tracklayer.flow.routing import NOTHING, Admission, ConsentNow, admit, remembered_for
from tracklayer.flow.settlement import settle_test
from tracklayer.identity import IdFactory
from tracklayer.model.delivery import DeliveryState, Failure, Response
from tracklayer.model.event import Event, Json, event_fields, event_to_json
from tracklayer.model.work import Acceptance, KeptRequest, NewDelivery, Work
from tracklayer.operate.destinations import Destinations
from tracklayer.operate.draft import DestinationDraft
from tracklayer.operate.draft_check import DraftCheck, FieldProblem
from tracklayer.pipeline.consent import ConsentVerdict, Remembered
from tracklayer.ports import Clock
from tracklayer.store import Queue

SYNTHETIC_EVENT: dict[str, Json] = {
    "event_name": "purchase",
    "platform": "shopify",
    "segment": ["vip_customers"],
    "user_data": {"email": "qa+destinations@tracklayer.test"},
    "properties": {
        "order_id": "TEST-100045",
        "value": Decimal("149.99"),
        "currency": "USD",
        "items": [{"id": "SKU-1", "name": "Test item", "quantity": 1, "price": Decimal("149.99")}],
    },
    "consent": {
        "ad_storage": "granted",
        "ad_user_data": "granted",
        "ad_personalization": "granted",
        "analytics_storage": "granted",
    },
}


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to an event on its way through one destination; None for the steps it did not reach."""

    event: Event
    delivery_id: str | None = None
    state: DeliveryState | None = None
    filter_reason: str | None = None  # None: matched
    consent: ConsentVerdict | None = None
    suppressed: str | None = None
    prepared: Prepared | None = None
    failure: Failure | None = None  # why there was nothing to send
    missing: tuple[Missing, ...] = ()  # what the event lacks
    shown: KeptRequest | None = None  # the request, secrets masked
    verified: bool | None = None  # the signature, checked as a receiver would; None: not signed
    attempted: Attempted | None = None

    @property
    def result(self) -> Response | Failure | None:
        """The receiver's answer, or why there is none."""
        return self.attempted.result if self.attempted else None


class Rehearsals:
    """Tries destinations out."""

    def __init__(
        self,
        catalog: Catalog,
        destinations: Destinations,
        queue: Queue,
        engine: Engine,
        attempter: Attempter,
        foreseeing: Foreseeing,
        consent_now: ConsentNow,
        clock: Clock,
        ids: IdFactory,
    ) -> None:
        self._catalog = catalog
        self._destinations = destinations
        self._queue = queue
        self._engine = engine
        self._attempter = attempter
        self._foreseeing = foreseeing
        self._consent_now = consent_now
        self._clock = clock
        self._ids = ids

    async def preview(
        self,
        workspace_id: str,
        destination_id: str,
        event: Event | None,
        overrides: dict[str, Json],
        version: int | None = None,
    ) -> Rehearsal:
        """What would be sent for `event`, or for the synthetic one. Stores nothing.

        With the destination as it stands, as it was in `version`, or as a save of `overrides` would make it.
        """
        destination = await self._destinations.proposed(workspace_id, destination_id, overrides, version)
        event = event or await self.event(workspace_id, None)
        remembered = await remembered_for(destination, event, self._consent_now)
        return self._previewed(destination, event, remembered=remembered)

    async def rehearse_draft(
        self,
        workspace_id: str,
        draft: DestinationDraft,
        event: Event | None,
        *,
        standing_id: str | None,
        without_secrets: bool = False,
    ) -> Rehearsal:
        """What would be sent for `event`, or for the synthetic one, once `draft` were saved. Stores nothing.

        Saved as a new destination, or as the next version of the standing one, whose signing secret and suppressions
        then count. `without_secrets`: those that do not exist yet do not stop it; masked, they look like the others.
        Raises what that save would.
        """
        destination = self._destinations.drafted(workspace_id, draft, standing_id=standing_id)
        absent = self.absent_secrets(destination) if without_secrets else ()
        event = event or await self.event(workspace_id, None)
        return self._previewed(destination, event, stand_ins=dict.fromkeys(absent, _ABSENT))

    def absent_secrets(self, destination: Destination) -> list[str]:
        """The names of the secrets that a destination uses and its workspace does not have."""
        known = self._catalog.tenant(destination.record.workspace_id).secrets
        return sorted(destination.plan.renderer.secrets - known.keys())

    def checks(
        self, workspace_id: str, draft: dict[str, Json], *, standing_id: str | None = None
    ) -> list[FieldProblem]:
        """Everything for which a save of `draft`, finished or not, would be refused. Raises `NotFound`."""
        if standing_id is not None:
            self._destinations.get(workspace_id, standing_id)
        return DraftCheck(self._destinations, workspace_id, standing_id).problems(draft)

    async def test(self, workspace_id: str, destination_id: str, event: dict[str, Json] | None) -> Rehearsal:
        """Send the synthetic event, or the caller's, as live traffic goes; stored and logged as a test.

        It obeys the rate limit, is made once, and never retried.
        """
        destination = self._destinations.get(workspace_id, destination_id)
        work = self._work(destination, await self.event(workspace_id, event))
        remembered = await remembered_for(destination, work.event, self._consent_now)
        admission = admit(destination, work.event, self._clock.now(), remembered)
        rehearsal = self._gate(destination, work.event, admission)
        rule = _stops(rehearsal)
        if rule is None:
            await self._engine.take_token(destination.id)
        await self._store(destination, work, rule)
        if rule is not None:
            return msgspec.structs.replace(rehearsal, delivery_id=work.delivery_id, state=DeliveryState.SUPPRESSED)
        secrets = self._catalog.tenant(workspace_id).secrets
        work = admission.of(work)
        attempted = await self._attempter.attempt(destination, work, secrets)
        settlement = settle_test(work, destination, attempted, self._attempter, note=admission.redacted)
        await self._engine.settle(settlement)
        log_attempt(work, attempted, settlement)
        shown = self._shown(rehearsal, destination, attempted)
        return msgspec.structs.replace(shown, delivery_id=work.delivery_id, state=settlement.state, attempted=attempted)

    def _previewed(
        self,
        destination: Destination,
        event: Event,
        *,
        remembered: Remembered = NOTHING,
        stand_ins: Mapping[str, str] = MappingProxyType({}),
    ) -> Rehearsal:
        admission = admit(destination, event, self._clock.now(), remembered)
        rehearsal = self._gate(destination, event, admission)
        if rehearsal.consent is None or not rehearsal.consent.allowed:
            return rehearsal
        return self._prepare(destination, self._work(destination, admission.event), rehearsal, stand_ins)

    def _gate(self, destination: Destination, event: Event, admission: Admission) -> Rehearsal:
        """Filter, consent and suppression, as routing does them, each with its reason."""
        fields = event_fields(event)
        refused = [step.reason for step in destination.plan.filter.explain(fields) if not step.matched]
        if not destination.plan.filter.matches(fields):
            return Rehearsal(event=event, filter_reason="; ".join(refused) or "the filter does not match")
        consent = admission.consent
        return Rehearsal(event=event, consent=consent, suppressed=admission.stopped if consent.allowed else None)

    def _prepare(
        self, destination: Destination, work: Work, rehearsal: Rehearsal, stand_ins: Mapping[str, str]
    ) -> Rehearsal:
        now = self._clock.now()
        secrets = {**stand_ins, **self._catalog.tenant(destination.record.workspace_id).secrets}
        prepared = self._attempter.prepare(destination, work, secrets, now=now)
        ready = prepared.prepared if isinstance(prepared, Unsendable) else prepared
        failure = prepared.failure if isinstance(prepared, Unsendable) else None
        rehearsal = msgspec.structs.replace(rehearsal, failure=failure, missing=prepared.missing)
        return self._seen(rehearsal, destination, ready, now)

    def _shown(self, rehearsal: Rehearsal, destination: Destination, attempted: Attempted) -> Rehearsal:
        result = attempted.result
        unsent = isinstance(result, Failure) and result.kind in ("render", "validate")
        failure = result if unsent and isinstance(result, Failure) else None
        rehearsal = msgspec.structs.replace(rehearsal, failure=failure, missing=attempted.missing)
        return self._seen(rehearsal, destination, attempted.prepared, attempted.started_at)

    def _seen(self, rehearsal: Rehearsal, destination: Destination, prepared: Prepared | None, now: float) -> Rehearsal:
        return msgspec.structs.replace(
            rehearsal,
            prepared=prepared,
            shown=self._attempter.keep(prepared, now) if prepared else None,
            verified=_verified(destination, prepared, now) if prepared and prepared.signature else None,
        )

    async def event(self, workspace_id: str, fields: dict[str, Json] | None) -> Event:
        """A caller's event, or the synthetic one, as it would be stored, under an id of its own. Raises `Invalid`."""
        given = SYNTHETIC_EVENT if fields is None else fields
        unique = {"event_id": f"test_{self._ids.event_uuid()}", **given}
        with at("event"):
            return await self._foreseeing.event(workspace_id, unique, new_id=self._ids.event_uuid)

    def _work(self, destination: Destination, event: Event) -> Work:
        return Work(
            delivery_id=self._ids.new("dlv"),
            destination_id=destination.id,
            event=event,
            size=0,
            created_at=self._clock.now(),
            test=True,
        )

    async def _store(self, destination: Destination, work: Work, rule: str | None) -> None:
        """Log the test; under a lease, so that no lane takes it."""
        now = self._clock.now()
        body = event_to_json(work.event)
        delivery = NewDelivery(
            id=work.delivery_id,
            destination_id=destination.id,
            version=destination.record.version,
            state=DeliveryState.PENDING if rule is None else DeliveryState.SUPPRESSED,
            reason=rule,
            lease_until=None if rule else now + _TEST_LEASE,
        )
        item = Acceptance(
            workspace_id=destination.record.workspace_id,
            pk=self._ids.new("evt"),
            event=work.event,
            body=body,
            received_at=now,
            deliveries=(delivery,),
            test=True,
        )
        await self._queue.accept([item])


_TEST_LEASE = 3600.0
_ABSENT = "absent"  # stands for one that does not exist; so short that it is shown as dots alone


def _stops(rehearsal: Rehearsal) -> str | None:
    if rehearsal.filter_reason is not None:
        return f"filter: {rehearsal.filter_reason}"
    if rehearsal.consent is not None and not rehearsal.consent.allowed:
        return f"consent: {rehearsal.consent.reason}"
    return rehearsal.suppressed


def _verified(destination: Destination, prepared: Prepared, now: float) -> bool:
    """Check the signature on the bytes that went out, as a receiver with the secret would."""
    signing = destination.plan.config.signing
    keys = destination.keys(now)
    if signing is None or keys is None:
        return False
    return verify(signing.scheme, keys.current, prepared.request.headers, prepared.request.body or b"")
