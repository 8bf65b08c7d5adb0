"""The form of the workspace's rules, and the rules that it stands for: each is made of the other."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar.datastructures import FormMultiDict

from tracklayer.errors import at
from tracklayer.model.event import Json
from tracklayer.model.rules import WorkspaceRules
from tracklayer.web.console.pages.forms import read_object
from tracklayer.web.console.words import pretty

ENRICHERS = (
    ("user_agent", "Device", "Browser, system and device, out of the user agent."),
    ("campaign", "Campaign", "UTM parameters and click ids, out of the page's address."),
    ("traits", "Traits", "What identify and group said of the user."),
    ("audiences", "Audiences", "The segment, by rules and lists."),
    ("geo", "Place", "Country, region and city of the address, where the server has a database of places."),
)
"""Switch of `Enrichment`, its name, and what it adds."""


class RulesForm(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the form."""

    default_region: str
    drop_pii: bool
    clock_skew: bool
    enrichment: frozenset[str]
    event_names: str
    consent_defaults: str


def form_of(rules: WorkspaceRules) -> RulesForm:
    """The form that shows `rules`."""
    return RulesForm(
        default_region=rules.default_region,
        drop_pii=rules.drop_pii,
        clock_skew=rules.clock_skew,
        enrichment=frozenset(name for name, _, _ in ENRICHERS if getattr(rules.enrichment, name)),
        event_names=_text(rules.event_names),
        consent_defaults=_text(rules.consent_defaults),
    )


def typed_form(form: FormMultiDict) -> RulesForm:
    """The form as it was sent."""
    return RulesForm(
        default_region=str(form.get("default_region", "")),
        drop_pii=form.get("drop_pii") == "yes",
        clock_skew=form.get("clock_skew") == "yes",
        enrichment=frozenset(str(name) for name in form.getall("enrichment", [])),
        event_names=str(form.get("event_names", "")),
        consent_defaults=str(form.get("consent_defaults", "")),
    )


def rules_of(form: RulesForm) -> dict[str, Json]:
    """The rules that the form says, as JSON. Raises `Invalid` with a pointer for what is no JSON."""
    with at("event_names"):
        names = read_object(form.event_names, 'aliases are an object, such as {"Order Placed": "purchase"}')
    with at("consent_defaults"):
        defaults = read_object(
            form.consent_defaults, 'defaults are an object, such as {"EEA": {"ad_storage": "denied"}}'
        )
    return {
        "default_region": form.default_region.strip().upper(),
        "drop_pii": form.drop_pii,
        "clock_skew": form.clock_skew,
        "enrichment": {name: name in form.enrichment for name, _, _ in ENRICHERS},
        "event_names": names,
        "consent_defaults": defaults,
    }


def _text(value: Mapping[str, Json] | Mapping[str, str | None]) -> str:
    return pretty(dict(value)) if value else ""
