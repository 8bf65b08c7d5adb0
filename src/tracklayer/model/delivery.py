"""A delivery (one event for one destination) and its attempts, as the pure steps and the engine pass them on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec


class DeliveryState(StrEnum):
    """pending → sending → delivered | back to pending with a due time | dead; and suppressed, discarded."""

    PENDING = "pending"
    SENDING = "sending"  # an attempt is on its way; never stored, so a crash leaves it pending
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPPRESSED = "suppressed"  # a rule (consent, an operator's suppression) kept it from being sent
    DISCARDED = "discarded"  # an operator let it go


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, ready to be sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]  # in the order in which they are sent
    body: bytes | None  # None: no body at all (GET)
    timeout: float  # seconds, the whole attempt
    connect_timeout: float  # seconds
    read_timeout: float | None = None  # seconds of silence


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of an attempt went, in milliseconds; None where it is not known."""

    resolve_ms: float | None = None  # looking the name up and checking the addresses
    first_byte_ms: float | None = None  # from the start to the answer's headers
    total_ms: float = 0.0


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver answered; the body is read up to a limit."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()  # names in lower case
    body: bytes = b""
    truncated: bool = False  # the receiver had more to say than we read
    timings: Timings = Timings()


FailureKind = Literal[
    "dns", "connect", "tls", "timeout", "reset", "protocol", "refused_address", "render", "validate", "internal"
]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt has no answer."""

    kind: FailureKind
    detail: str  # a sentence for people: names the thing, the value, what was expected; holds no secret
    timings: Timings = Timings()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt means for its delivery."""

    action: Literal["delivered", "retry", "dead"]
    rule: str  # why, for people: "503 is retried (default rule)"
    retry_after: float | None = None  # seconds that the receiver asked for
    throttles: bool = False  # 429 or 503 with Retry-After: the whole destination waits
