"""A destination's configuration, exactly as product.md shapes it on the API.

Values are kept as the user gave them ("2s, 10s" stays a text), so that what is read back is what was saved;
`catalog` compiles them once per version. Unknown fields are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from tracklayer.model.event import Json


class DestinationStatus(StrEnum):
    """Whether live traffic flows."""

    DRAFT = "draft"  # not yet exposed: events are not routed to it
    ACTIVE = "active"
    PAUSED = "paused"  # events are routed and wait as pending deliveries


Method = Literal["POST", "PUT", "PATCH", "DELETE", "GET"]
OnMissing = Literal["empty", "null", "omit", "fail"]
Duration = str | int | float  # "10s", or seconds


class Transport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where and how to send. `url` and the header values are templates; the URL's scheme and host are literal."""

    url: str
    method: Method = "POST"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    timeout: Duration = "10s"  # the whole attempt: connecting, sending, and the last byte of the answer
    connect_timeout: Duration = "5s"
    read_timeout: Duration | None = None  # the longest silence; None: only the whole counts


class Signing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests are signed. The secret itself never stands in a version; it lives encrypted with the destination."""

    scheme: Literal["tracklayer", "standard-webhooks"] = "tracklayer"


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One first attempt, then up to `attempts` retries, the i-th after `backoff[i]`; a short list repeats its last."""

    attempts: int = 5
    backoff: str | list[Duration] = "2s, 10s, 30s, 2m, 10m"
    jitter: int | float = 0.1  # the largest share of a delay that is added to it at random
    statuses: dict[str, Literal["retry", "dead"]] = msgspec.field(default_factory=dict)  # "409" or "5xx" → what to do


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The most events per second. `burst` may go at once (default: one second's worth, at least 1)."""

    events_per_second: int | float | None = None
    burst: int | float | None = None
    profile: Literal["chatops", "internal", "warehouse"] | None = None


class Consent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Categories that must be granted before this destination gets an event, or all of it."""

    requires: list[str] = msgspec.field(default_factory=list)
    when_unknown: Literal["allow", "deny"] = "deny"  # "deny": as if it were denied
    when_denied: Literal["suppress", "redact"] | UnsetType = UNSET  # "redact": it goes without the fields of `redact`
    redact: list[str] | UnsetType = UNSET  # dotted paths into the event


class Success(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a 2xx answer must also show to count as delivered. Several conditions must all hold."""

    body_equals: str | None = None
    body_contains: str | None = None
    json: dict[str, Json] | None = None  # dotted path → the value it must have
    otherwise: Literal["dead", "retry"] = "dead"


class DestinationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a destination version snapshots."""

    name: str
    type: Literal["http"] = "http"
    transport: Transport
    signing: Signing | None = None  # None: not signed
    filter: dict[str, Json] = msgspec.field(default_factory=dict)
    template: str | None = None  # None: the canonical event as JSON
    on_missing: OnMissing = "empty"  # what a path becomes that the event does not have
    body_schema: dict[str, Json] | None = None  # JSON Schema 2020-12 that every rendered body must meet
    retry: Retry = msgspec.field(default_factory=Retry)
    success: Success | None = None
    rate_limit: RateLimit | None = None
    consent: Consent | None = None
    ordering: Literal["per_user"] | None = None  # a user's events go one after the other, as they came
