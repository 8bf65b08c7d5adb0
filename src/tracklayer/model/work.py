"""What passes between the flow (ingest, engine) and the store: what is accepted, claimed and settled."""

from __future__ import annotations

import math

import msgspec

from tracklayer.model.delivery import DeliveryState, Timings
from tracklayer.model.event import Event

SUCCESS_RULE = "success_rule"  # the cause of a 2xx that was not taken for a success


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is to be stored together with its event."""

    id: str
    destination_id: str
    version: int
    state: DeliveryState = DeliveryState.PENDING  # or suppressed, with the reason
    reason: str | None = None
    lease_until: float | None = None  # set: this process takes it straight into memory
    order_key: str | None = None  # set: it waits for the earlier ones of the same destination and key


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A clean event that wants to be stored. Where it goes is decided in the transaction that stores it."""

    workspace_id: str
    pk: str
    event: Event
    received_at: float  # unix seconds
    gpc: bool = False  # the request came with the header `Sec-GPC: 1`
    test: bool = False
    size: int = 0  # about how many bytes it takes while it waits


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """One event to be stored with its deliveries, all or nothing."""

    workspace_id: str
    pk: str
    event: Event
    body: bytes  # the event as JSON, encoded once
    received_at: float  # unix seconds
    deliveries: tuple[NewDelivery, ...]
    test: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """What became of an `Acceptance`: stored, or the same `event_id` was there within the dedup window."""

    duplicate: bool
    received_at: float  # the first one's, for a duplicate


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one attempt beside its verdict. Holds no secret."""

    timings: Timings = Timings()
    headers: tuple[tuple[str, str], ...] = ()  # the answer's
    body: str = ""  # the answer's, as text, up to a limit
    truncated: bool = False
    waited: float = 0.0  # seconds between due and sent: the rate limit, the queue


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request made for a delivery (or one that could not even be made), and what it meant."""

    number: int
    version: int
    started_at: float
    action: str  # "delivered" | "retry" | "dead"
    rule: str
    status_code: int | None = None
    error_kind: str | None = None
    error: str | None = None
    record: AttemptRecord = AttemptRecord()

    @property
    def cause(self) -> str | None:
        """What its failure is grouped under: the `FailureKind`, or the answer's status; None when it delivered.

        A 2xx that a rule of the destination refused is `success_rule`.
        """
        if self.action == "delivered":
            return None
        if self.status_code is None:
            return self.error_kind
        return SUCCESS_RULE if 200 <= self.status_code < 300 else str(self.status_code)


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a failed, dead or test delivery as it was sent, secrets masked."""

    version: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    sealed: bytes | None = None  # the exact body, encrypted, where `body` shows secrets masked


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process holds the lease of, with all that an attempt needs."""

    delivery_id: str
    destination_id: str
    event: Event
    size: int  # bytes of the event's JSON: what it costs in memory, about
    attempts: int = 0
    retries: int = 0
    created_at: float = 0.0
    kept: KeptRequest | None = None  # set: a replay that sends this kept body instead of rendering anew
    test: bool = False
    lease_until: float = math.inf  # unix seconds; from then on another worker may take it


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one lease: the delivery's new state, and the attempt that led to it (None: a rule stopped it)."""

    delivery_id: str
    state: DeliveryState
    version: int
    attempts: int
    retries: int
    now: float
    due_at: float
    reason: str | None = None
    attempt: Attempt | None = None
    kept: KeptRequest | None = None
