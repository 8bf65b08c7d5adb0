"""A destination as a caller writes it, and how it becomes a configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tracklayer.decoding import decode_as
from tracklayer.delivery.retry import read_backoff
from tracklayer.delivery.sign import hint
from tracklayer.errors import Invalid, at
from tracklayer.model.destination import (
    Consent,
    DestinationConfig,
    DestinationStatus,
    OnMissing,
    RateLimit,
    Retry,
    Signing,
    Success,
    Transport,
)
from tracklayer.model.duration import parse_duration
from tracklayer.model.event import Json, decode_json, encode_json
from tracklayer.operate.names import checked_name
from tracklayer.pipeline.consent_signals import LONGEST_NAME


class SigningDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing as it is written. Without a `secret` the one that is kept stays; `enabled: false` removes it."""

    secret: str | None = None
    scheme: Literal["tracklayer", "standard-webhooks"] = "tracklayer"
    enabled: bool = True
    # What answers carry beside, so that an answer may be sent back as it is:
    hint: str | None = None
    previous_until: str | None = None


class DestinationDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A destination as product.md shapes it. The last block is what answers carry beside: taken and ignored."""

    name: str
    type: Literal["http"] = "http"
    transport: Transport
    signing: SigningDraft | UnsetType | None = UNSET
    filter: dict[str, Json] | None = None
    template: str | None = None
    on_missing: OnMissing = "empty"
    body_schema: dict[str, Json] | None = None
    retry: Retry = msgspec.field(default_factory=Retry)
    success: Success | None = None
    rate_limit: RateLimit | None = None
    consent: Consent | None = None
    ordering: Literal["per_user"] | None = None
    status: DestinationStatus | UnsetType = UNSET
    note: Annotated[str, msgspec.Meta(max_length=500)] | None = None  # why this version was made

    id: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    updated_at: str | UnsetType = UNSET
    warnings: list[Any] | UnsetType = UNSET


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differs between two configurations."""

    path: str
    old: Json
    new: Json


def read_draft(raw: bytes) -> DestinationDraft:
    """A draft from JSON. Raises `Malformed` or `Invalid` with the place."""
    return decode_as(raw, DestinationDraft)


def merge_draft(current: dict[str, Json], patch: dict[str, Json]) -> DestinationDraft:
    """A draft from what stands and a JSON Merge Patch (RFC 7396)."""
    return read_draft(encode_json(_merge(current, patch)))


def draft_config(draft: DestinationDraft, *, signed: bool) -> DestinationConfig:
    """The configuration that a draft asks for; `signed`: a signing secret is, or will be, there.

    Raises `Invalid` for what compiling lets pass, as what is stored already must load: a name that is none, two
    durations that have lost their comma, a category that is none.
    """
    checked_name(draft.name)
    _check_durations(draft)
    _check_categories(draft.consent)
    signing = draft.signing if isinstance(draft.signing, SigningDraft) else None
    return DestinationConfig(
        name=draft.name,
        type=draft.type,
        transport=draft.transport,
        signing=Signing(scheme=signing.scheme if signing else "tracklayer") if signed else None,
        filter=draft.filter or {},
        template=draft.template,
        on_missing=draft.on_missing,
        body_schema=draft.body_schema,
        retry=draft.retry,
        success=draft.success,
        rate_limit=draft.rate_limit,
        consent=draft.consent,
        ordering=draft.ordering,
    )


def _check_durations(draft: DestinationDraft) -> None:
    transport = draft.transport
    for field in ("timeout", "connect_timeout", "read_timeout"):
        value = getattr(transport, field)
        with at("transport", field):
            parse_duration(0 if value is None else value)
    read_backoff(draft.retry.backoff)


def _check_categories(policy: Consent | None) -> None:
    for place, category in enumerate(policy.requires if policy else ()):
        if not 0 < len(category.strip()) <= LONGEST_NAME:
            raise Invalid(
                f"a category has 1 to {LONGEST_NAME} characters, such as ad_storage",
                code="invalid_category",
                pointer=f"/consent/requires/{place}",
            )


def signing_warnings(signing: SigningDraft | UnsetType | None) -> list[str]:
    """What to know of a save that was given `signing`: that switches it off in so many words, as null does not."""
    if not isinstance(signing, SigningDraft) or signing.enabled:
        return []
    lost = "" if signing.secret is None else ", and the secret that was given is not kept"
    return [f"signing is not enabled: requests go out unsigned{lost}"]


def config_json(config: DestinationConfig) -> dict[str, Json]:
    """A configuration as plain JSON values."""
    value = decode_json(encode_json(config))
    if not isinstance(value, dict):
        raise Invalid("a configuration is an object")
    return value


def signing_view(config: DestinationConfig, secret: str | None, previous_until: str | None) -> dict[str, Json] | None:
    """What answers show of signing: never the secret."""
    if config.signing is None or secret is None:
        return None
    shown: dict[str, Json] = {"enabled": True, "hint": hint(secret)}
    if config.signing.scheme != "tracklayer":
        shown["scheme"] = config.signing.scheme
    if previous_until is not None:
        shown["previous_until"] = previous_until
    return shown


def changes(old: Json, new: Json, path: str = "") -> list[Change]:
    """Every field that differs, by dotted path; a whole subtree where one side lacks it."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for name in [*old, *(name for name in new if name not in old)]:
            found += changes(old.get(name), new.get(name), f"{path}.{name}" if path else name)
        return found
    return [] if old == new else [Change(path=path, old=old, new=new)]


def _merge(target: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
