"""What a workspace decides about its events: how they are normalized, what is added, what stands for consent."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

ConsentState = Literal["granted", "denied"]


class Enrichment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is added to events, each on or off."""

    user_agent: bool = True
    campaign: bool = True  # UTM and click ids of the page's URL
    traits: bool = True  # what identify and group said of the user
    audiences: bool = True
    geo: bool = True  # where a database is there


class WorkspaceRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The rules of one workspace; as they are here where nobody has said otherwise."""

    default_region: str = "US"  # ISO 3166-1 alpha-2: where a phone number without a country code is at home
    event_names: dict[str, str | None] = {}  # alias → name, over the built-in table; null switches an alias off
    drop_pii: bool = False  # raw e-mail, phone, names, address, birth date and ip go before the event is stored
    enrichment: Enrichment = Enrichment()
    # A region ("DE", "US-CA", "EEA", or "*" for any) → category → state, where nothing is known of the user.
    consent_defaults: dict[str, dict[str, ConsentState]] = {}
    clock_skew: bool = True  # correct occurred_at by the sender's `sent_at`

    @cached_property
    def before_enriching(self) -> WorkspaceRules:
        """The same for an event that is still to be enriched, which needs its ip: `drop_pii` comes after that."""
        return msgspec.structs.replace(self, drop_pii=False) if self.drop_pii else self

    @cached_property
    def names_by_key(self) -> dict[str, str | None]:
        """`event_names`, by the keys under which `pipeline.event_names` looks them up."""
        return {name_key(alias): name for alias, name in self.event_names.items()}


DEFAULT_RULES = WorkspaceRules()


def name_key(name: str) -> str:
    """What spellings of an event's name have in common: case is ignored, and space, `_` and `-` are the same."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
