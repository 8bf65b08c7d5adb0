"""A workspace and the rules by which its events are normalized, enriched and consented to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from tracklayer.catalog import Catalog
from tracklayer.decoding import decode_as
from tracklayer.errors import Invalid, PreconditionFailed, at, pointer
from tracklayer.model.event import Json, encode_json
from tracklayer.model.phone import is_region
from tracklayer.model.records import Workspace
from tracklayer.model.rules import WorkspaceRules, name_key
from tracklayer.operate.audit import Audit
from tracklayer.pipeline.bounds import text_of
from tracklayer.pipeline.codes import COUNTRIES
from tracklayer.pipeline.consent_signals import category_of
from tracklayer.pipeline.event_names import is_endless
from tracklayer.ports import Clock
from tracklayer.store import RulesStore

MOST_NAMES = 1_000  # aliases of one workspace
MOST_REGIONS = 300  # with consent defaults, and of each as many categories

_SUBDIVISION = re.compile("([A-Z]{2})-[A-Z0-9]{1,3}")  # ISO 3166-2: "US-CA"


class Workspaces:
    """What a workspace is called, and what it has decided."""

    def __init__(self, catalog: Catalog, store: RulesStore, audit: Audit, clock: Clock) -> None:
        self._catalog = catalog
        self._store = store
        self._audit = audit
        self._clock = clock

    def workspace(self, workspace_id: str) -> Workspace:
        """The workspace itself."""
        return self._catalog.tenant(workspace_id).workspace

    def rules(self, workspace_id: str) -> WorkspaceRules:
        """The rules in force."""
        return self._catalog.tenant(workspace_id).rules

    async def save_rules(
        self, workspace_id: str, rules: Mapping[str, Json], author: str, *, seen: str | None = None
    ) -> WorkspaceRules:
        """Replace all rules by `rules`, the JSON of a `WorkspaceRules`; what it leaves out is as from the start.

        They hold for events from now on; what is stored stays as it is. Raises `Invalid`, its pointer into `rules`, and
        `PreconditionFailed` where others are in force than those whose mark (`mark_of`) is `seen`.
        """
        saved = read_rules(rules)
        before = self.rules(workspace_id)
        is_seen = seen in (None, mark_of(before)) and await self._store.put(
            workspace_id, saved, now=self._clock.now(), seen=None if seen is None else before
        )
        tenant = await self._catalog.reload(workspace_id)
        if not is_seen:
            raise PreconditionFailed("somebody else saved the rules meanwhile")
        changed: list[Json] = [
            name for name in saved.__struct_fields__ if getattr(saved, name) != getattr(before, name)
        ]
        await self._audit.record(
            workspace_id,
            actor=author,
            action="workspace.rules_saved",
            target=tenant.workspace.name,
            detail={"changed": changed},
        )
        return tenant.rules


def mark_of(rules: WorkspaceRules) -> str:
    """What tells these rules from others."""
    return hashlib.sha256(encode_json(rules)).hexdigest()


def read_rules(rules: Mapping[str, Json]) -> WorkspaceRules:
    """The rules that a JSON object says. Raises `Invalid` with a pointer into it."""
    found = decode_as(encode_json(rules), WorkspaceRules)
    if not is_region(found.default_region):
        raise Invalid(
            f"{found.default_region[:40]!r} has no phone numbers: expected an ISO 3166-1 alpha-2 code such as US",
            code="invalid_region",
            pointer="/default_region",
        )
    with at("event_names"):
        _check_names(found)
    with at("consent_defaults"):
        _check_defaults(found.consent_defaults)
    return found


def _check_names(rules: WorkspaceRules) -> None:
    if len(rules.event_names) > MOST_NAMES:
        raise Invalid(f"{len(rules.event_names)} names: expected at most {MOST_NAMES}", code="too_many", pointer="")
    known: dict[str, str] = {}
    for alias, name in rules.event_names.items():
        place = pointer(alias)
        text_of(alias, place)
        key = name_key(alias)
        if not key or key in known:
            other = f"is the same as {known[key]!r}" if key else "says nothing"
            detail = f"{alias!r} {other}: case is ignored, and space, _ and - are the same"
            raise Invalid(detail, code="ambiguous_name", pointer=place)
        known[key] = alias
        if name is not None and text_of(name, place) != name.strip():
            raise Invalid(f"{name!r} begins or ends with a space", code="invalid_name", pointer=place)
        if is_endless(alias, rules.names_by_key):
            detail = f"{alias!r} leads in a circle by way of {name!r}: null switches that one's alias off"
            raise Invalid(detail, code="circle", pointer=place)


def _check_defaults(defaults: Mapping[str, Mapping[str, str]]) -> None:
    if len(defaults) > MOST_REGIONS:
        raise Invalid(f"{len(defaults)} regions: expected at most {MOST_REGIONS}", code="too_many", pointer="")
    for region, states in defaults.items():
        subdivision = _SUBDIVISION.fullmatch(region)
        country = subdivision[1] if subdivision else region
        if country not in COUNTRIES and region not in ("EEA", "*"):
            raise Invalid(
                f"{region[:40]!r} is no region: expected an ISO 3166 code such as DE or US-CA, EEA, or *",
                code="invalid_region",
                pointer=pointer(region),
            )
        if len(states) > MOST_REGIONS:
            raise Invalid(f"{len(states)} categories: too many", code="too_many", pointer=pointer(region))
        known: dict[str, str] = {}
        for said in states:
            place = pointer(region, said)
            category = category_of(text_of(said, place))
            if category in known:
                detail = f"{said!r} is the same category as {known[category]!r}: name it once"
                raise Invalid(detail, code="ambiguous_name", pointer=place)
            known[category] = said
