"""Audiences: lists and rules that give an event its `segment` with no caller's help."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from tracklayer.catalog import Catalog
from tracklayer.errors import Conflict, Invalid, NotFound, PreconditionFailed, at
from tracklayer.flow.enriching import Enriching
from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.facts import fact_keys, member_keys
from tracklayer.model.records import Audience, Member
from tracklayer.operate.audit import Audit
from tracklayer.operate.filter_warnings import filter_warnings
from tracklayer.pipeline.audience import compile_rule, rule_fields
from tracklayer.pipeline.filter import FilterStep
from tracklayer.pipeline.member import member_fields
from tracklayer.pipeline.normalize import normalize
from tracklayer.ports import Clock
from tracklayer.store import AudienceStore
from tracklayer.store.facts import FactsReader

MOST = 200  # audiences of one workspace: every rule costs each event about a microsecond

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a user, or an event, is in an audience, and why."""

    member: bool
    reason: str
    steps: list[FilterStep]  # of the rule; none for a list


class Audiences:
    """What people do with audiences. What they change holds for events from now on."""

    def __init__(
        self,
        catalog: Catalog,
        store: AudienceStore,
        facts: FactsReader,
        enriching: Enriching,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._facts = facts
        self._enriching = enriching
        self._audit = audit
        self._clock = clock

    async def all(self, workspace_id: str) -> list[tuple[Audience, int | None]]:
        """The audiences of a workspace by name, each list with how many members it has."""
        counts = await self._store.counts(workspace_id)
        return [
            (each, counts.get(each.name, 0) if each.rule is None else None)
            for each in await self._store.of(workspace_id)
        ]

    async def get(self, workspace_id: str, name: str) -> tuple[Audience, int | None]:
        """One audience, a list with how many members it has. Raises `NotFound`."""
        found = await self._audience(workspace_id, name)
        return found, await self._store.count(workspace_id, name) if found.rule is None else None

    def warnings(self, audience: Audience) -> list[str]:
        """What a person should know about an audience's rule; it holds all the same."""
        aliases = self._catalog.tenant(audience.workspace_id).rules.names_by_key
        return filter_warnings(audience.rule or {}, aliases, called="rule")

    async def put(
        self,
        workspace_id: str,
        name: str,
        rule: Mapping[str, Json] | None,
        *,
        author: str,
        seen: float | None = None,
    ) -> Audience:
        """Make an audience, or replace its rule; None: it is a list. A rule does not become a list, nor the reverse.

        `seen` is the `updated_at` that the caller started from, None where it does not say; raises `PreconditionFailed`
        where that is no longer it.
        """
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name[:100]!r} is not a name for an audience: expected letters, digits, _ . and -, at most 100",
                code="invalid_name",
            )
        if rule is not None:
            with at("rule"):
                compile_rule(rule, max_depth=self._catalog.limits.filter_depth)
        audiences = await self._store.of(workspace_id)
        before = next((each for each in audiences if each.name == name), None)
        if before is None and len(audiences) >= MOST:
            raise Conflict(f"a workspace has at most {MOST} audiences: delete one first", code="too_many_audiences")
        if before is not None and (before.rule is None) != (rule is None):
            kind = "a list" if before.rule is None else "a rule"
            raise Conflict(f"the audience {name} is {kind}: delete it first to make it the other", code="audience_kind")
        now = self._clock.now()
        saved = Audience(
            workspace_id=workspace_id,
            name=name,
            rule=None if rule is None else dict(rule),
            created_at=before.created_at if before else now,
            updated_at=now,
        )
        if seen is None:
            await self._store.put(saved)
        elif not await self._store.replace_rule(saved, seen=seen):
            raise PreconditionFailed(f"somebody else saved the rule of {name} meanwhile")
        await self._catalog.reload(workspace_id)
        detail: dict[str, Json] = {"kind": "list" if rule is None else "rule", "replaced": before is not None}
        await self._audit.record(workspace_id, actor=author, action="audience.saved", target=name, detail=detail)
        return saved

    def asked_for_by(self, workspace_id: str, name: str) -> list[str]:
        """The names of the destinations whose filter asks for an audience."""
        configs = [each.plan.config for each in self._catalog.tenant(workspace_id).destinations.values()]
        return sorted(each.name for each in configs if name in _segments_of(each.filter))

    async def remove(self, workspace_id: str, name: str, *, author: str) -> None:
        """Forget an audience with its list. Raises `NotFound`."""
        await self._audience(workspace_id, name)
        await self._store.remove(workspace_id, name)
        await self._catalog.reload(workspace_id)
        await self._audit.record(workspace_id, actor=author, action="audience.removed", target=name)

    async def change_members(
        self, workspace_id: str, name: str, *, add: Sequence[str] = (), remove: Sequence[str] = (), author: str
    ) -> tuple[int, int]:
        """Take members (keys of `pipeline.member`) off a list, then put others on it; answers how many came and went.

        Long lists go in steps: where it raises `Unavailable`, some are done, and the same again does the rest.
        """
        await self._list(workspace_id, name)
        gone = await self._store.remove_members(workspace_id, name, remove)
        came = await self._store.add_members(workspace_id, name, add, now=self._clock.now())
        if came or gone:
            detail: dict[str, Json] = {"added": came, "removed": gone}
            await self._audit.record(
                workspace_id, actor=author, action="audience.members_changed", target=name, detail=detail
            )
        return came, gone

    async def members(self, workspace_id: str, name: str, *, limit: int, after: str | None = None) -> list[Member]:
        """A page of a list's members, in the order of their keys. Raises `NotFound`, and `Conflict` for a rule."""
        await self._list(workspace_id, name)
        return await self._store.members(workspace_id, name, limit=limit, after=after)

    async def test_user(self, workspace_id: str, name: str, user: Mapping[str, Json]) -> Belonging:
        """Whether a user (fields as in `user_data`) is in an audience, by the list, or by what is known of the user.

        A rule finds everything absent that only an event tells. Raises `Invalid`, its pointer into `user`.
        """
        try:
            event = self._normalized(workspace_id, {"event_name": "test", "user_data": dict(user)})
        except Invalid as error:
            error.pointer = (error.pointer or "").removeprefix("/user_data")
            raise
        told = {"user_data", "context", "consent", "segment", "traits"}
        return await self._belonging(workspace_id, name, event, told)

    async def test_event(self, workspace_id: str, name: str, event: Mapping[str, Json]) -> Belonging:
        """Whether an event would be in an audience if it came in now. Raises `Invalid`, its pointer into `event`."""
        return await self._belonging(workspace_id, name, self._normalized(workspace_id, event), None)

    async def _belonging(self, workspace_id: str, name: str, event: Event, told: Collection[str] | None) -> Belonging:
        """`told`: the fields that are known; None: all of them."""
        audience = await self._audience(workspace_id, name)
        tenant = self._catalog.tenant(workspace_id)
        facts = await self._facts.of(workspace_id, fact_keys(event))
        whole = self._enriching.make_whole(tenant, event, facts, facts.consent).event
        if name in event.segment:
            return Belonging(member=True, reason="the event itself names it", steps=[])
        if not tenant.rules.enrichment.audiences:
            return Belonging(member=False, reason="the workspace's rules switch audiences off", steps=[])
        if audience.rule is None:
            return _on_list(name in facts.audiences, whole.user_data)
        fields = rule_fields(event_fields(whole), facts)
        fields["segment"] = sorted({*event.segment, *tenant.audiences.static.intersection(facts.audiences)})
        steps = tenant.audiences.rules[name].explain(
            fields if told is None else {field: fields[field] if field in told else None for field in fields}
        )
        failed = next((step for step in steps if not step.matched), None)
        reason = failed.reason if failed else "the rule matches"
        return Belonging(member=failed is None, reason=reason, steps=steps)

    def _normalized(self, workspace_id: str, fields: Mapping[str, Json]) -> Event:
        rules = self._catalog.tenant(workspace_id).rules.before_enriching
        return normalize(fields, now=self._clock.now(), new_id=lambda: "unstored", rules=rules)

    async def _audience(self, workspace_id: str, name: str) -> Audience:
        found = next((each for each in await self._store.of(workspace_id) if each.name == name), None)
        if found is None:
            raise NotFound(f"there is no audience {name[:100]!r} in this workspace")
        return found

    async def _list(self, workspace_id: str, name: str) -> Audience:
        found = await self._audience(workspace_id, name)
        if found.rule is not None:
            raise Conflict(f"the audience {name} is a rule: it has no list of members", code="audience_kind")
        return found


def _segments_of(spec: Json, *, below: bool = False) -> Iterator[str]:
    """The names that a filter looks for in `segment`, however deep; `below`: all texts of `spec` are."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            yield from _segments_of(value, below=below or key.partition(".")[0] == "segment")
    elif isinstance(spec, list):
        for each in spec:
            yield from _segments_of(each, below=below)
    elif below and isinstance(spec, str):
        yield spec


def _on_list(is_listed: bool, user_data: Mapping[str, Json]) -> Belonging:
    keys = member_keys(user_data)
    names = [f"{field} {value!r}" for key in keys for field, value in member_fields(key).items()]
    if is_listed:
        reason = f"the list names this user: {' or '.join(names)}"
    elif names:
        reason = f"the list does not name {' nor '.join(names)}"
    else:
        reason = "there is no external_id and no e-mail address that a list could name"
    return Belonging(member=is_listed, reason=reason, steps=[])
