"""What an event gets beside what its sender says: known traits, campaign, device, place, audiences.

What the event says stands; only what is absent, or null, is filled in. Each enricher that added something is listed in
`context.enriched` as `{"by", "paths"}`, one that failed as `{"by", "error"}`: that neither holds up the event nor loses
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.facts import Facts, Group
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.audience import Audiences, rule_fields
from tracklayer.pipeline.campaign import page_query, read_origin
from tracklayer.pipeline.changes import free_name
from tracklayer.pipeline.devices import ReadUserAgent
from tracklayer.pipeline.known_user import known_user_data

BUDGET = 0.005  # seconds that one event may take before what is left is skipped
MAX_NOTES = 100
MAX_PATHS = 100  # of one note
LONGEST_ERROR = 200  # characters

ReadPlace = Callable[[str], dict[str, Json]]
"""IP address → the fields of `context.geo` that are known of it, not to be changed."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What enriching needs from outside."""

    user_agent: ReadUserAgent
    geo: ReadPlace | None  # None: there is no database
    monotonic: Callable[[], float]  # seconds, and never back
    failed: Callable[[str, str], None]  # is told which enricher failed, or was skipped, and why
    budget: float = BUDGET


def enrich(event: Event, facts: Facts, rules: WorkspaceRules, *, audiences: Audiences, tools: Tools) -> Event:
    """`event` with what `rules` want added; the very same where there is nothing to add. What is given is not changed.

    Once the budget is spent, the rest of campaign, user agent and geo is skipped. Traits and audiences never are:
    where an event goes must not depend on how busy the machine was.
    """
    draft, switches = _Draft(event, facts, rules, audiences, tools), rules.enrichment
    deadline = tools.monotonic() + tools.budget
    for by, may_be_skipped, add in _ENRICHERS:
        if not getattr(switches, by):
            continue
        if may_be_skipped and tools.monotonic() > deadline:
            draft.fail(by, f"skipped: the budget of {tools.budget * 1000:g} ms was spent")
            continue
        try:
            add(draft)
        except Exception as error:
            draft.fail(by, f"{type(error).__name__}: {error}")
    return draft.enriched()


class _Draft:
    """An event to which something is being added, and out of what."""

    __slots__ = ("_notes", "audiences", "context", "event", "facts", "rules", "segment", "tools", "user_data")

    def __init__(self, event: Event, facts: Facts, rules: WorkspaceRules, audiences: Audiences, tools: Tools) -> None:
        self.event = event
        self.facts = facts
        self.rules = rules
        self.audiences = audiences
        self.tools = tools
        self.context = dict(event.context)
        self.segment = event.segment
        self.user_data = event.user_data
        self._notes: list[dict[str, Json]] = []

    def fill(self, found: Mapping[str, dict[str, Json]]) -> Sequence[str]:
        """Fill in what the context lacks of `found`, by name, and answer the paths of what it did.

        The values are not to be changed from then on.
        """
        if self.context.keys().isdisjoint(found):  # as it mostly is
            self.context.update(found)
            return _paths("context", tuple(found))
        return _filled(self.context, found, "context")

    def fill_user(self, found: Mapping[str, str]) -> Sequence[str]:
        """Add fields that `user_data` lacks; answers their paths."""
        self.user_data = {**self.user_data, **found}
        return _paths("user_data", tuple(found))

    def fill_group(self, traits: dict[str, Json]) -> Sequence[str]:
        """Fill in what `context.group` lacks of `traits`; answers the paths."""
        group = self.context["group"] = dict(self.context["group"])
        return _filled(group, {"traits": traits}, "context.group")

    def join(self, by: str, segment: list[str]) -> None:
        """Set the segment, in which everything is that was sent."""
        sent = self.event.segment
        added = [name for name in segment if name not in sent] if sent else segment
        self.segment = segment
        if added:
            self._notes.append({"by": by, "paths": _SEGMENT, "names": added})

    def sign(self, by: str, paths: Sequence[str]) -> None:
        """Note what one enricher has filled in."""
        if paths:
            self._notes.append({"by": by, "paths": paths if len(paths) <= MAX_PATHS else paths[:MAX_PATHS]})

    def fail(self, by: str, error: str) -> None:
        """Note why there is nothing of one enricher."""
        text = error[:LONGEST_ERROR].encode(errors="replace").decode()
        self._notes.append({"by": by, "error": text})
        self.tools.failed(by, text)

    def enriched(self) -> Event:
        """The event with what was added. A list of that name which is not ours moves to the next free one."""
        known = self.context.get("enriched")
        is_ours = known is None or _is_list_of_notes(known)
        if not is_ours:
            self.context[free_name(self.context, "enriched")] = known
            del self.context["enriched"]
            known = None
        if self._notes:
            listed = [*known, *(note for note in self._notes if note not in known)] if known else self._notes
            self.context["enriched"] = listed if len(listed) <= MAX_NOTES else listed[:MAX_NOTES]
        elif is_ours and self.segment == self.event.segment:
            return self.event
        return msgspec.structs.replace(self.event, segment=self.segment, user_data=self.user_data, context=self.context)


def _add_traits(draft: _Draft) -> None:
    facts = draft.facts
    paths: list[str] = []
    if facts.traits:
        paths += draft.fill({"traits": dict(facts.traits)})
        paths += draft.fill_user(known_user_data(draft.user_data, facts.traits, draft.rules.default_region))
    if facts.group is not None:
        paths += _add_group(draft, facts.group)
    draft.sign("traits", paths)


def _add_group(draft: _Draft, group: Group) -> Sequence[str]:
    named = draft.context.get("group")
    if named is None:
        return draft.fill({"group": {"id": group.id, "traits": group.traits} if group.traits else {"id": group.id}})
    if type(named) is dict and named.get("id") in (None, group.id):
        return [*draft.fill({"group": {"id": group.id}}), *draft.fill_group(group.traits)]
    return ()


def _add_campaign(draft: _Draft) -> None:
    query = page_query(draft.context, draft.event.properties)
    if query:
        draft.sign("campaign", draft.fill(read_origin(query)))


def _add_device(draft: _Draft) -> None:
    text = draft.context.get("user_agent")
    if type(text) is str and text:
        draft.sign("user_agent", draft.fill(draft.tools.user_agent(text)))


def _add_place(draft: _Draft) -> None:
    address = draft.context.get("ip")
    if draft.tools.geo is not None and type(address) is str and address:
        place = draft.tools.geo(address)
        if place:
            draft.sign("geo", draft.fill({"geo": place}))


def _add_audiences(draft: _Draft) -> None:
    event, facts, audiences = draft.event, draft.facts, draft.audiences
    if audiences.rules or facts.audiences or len(event.segment) > 1:
        so_far = event_fields(event)
        so_far["user_data"], so_far["context"] = draft.user_data, draft.context
        draft.join("audiences", audiences.segment(rule_fields(so_far, facts), facts.audiences))


def _filled(holder: dict[str, Json], found: Mapping[str, dict[str, Json]], path: str) -> list[str]:
    """Fill in what `holder`, which stands at `path`, lacks of the objects `found`; answers the paths of that."""
    paths: list[str] = []
    for name, whole in found.items():
        given = holder.get(name)
        if given is None and whole:
            holder[name] = whole
            paths.append(f"{path}.{name}")
        elif type(given) is dict:
            missing = {key: value for key, value in whole.items() if value is not None and given.get(key) is None}
            if missing:
                holder[name] = {**given, **missing}
                paths += [f"{path}.{name}.{key}" for key in missing]
    return paths


# The same for event after event, and nobody changes them.
_SEGMENT = ["segment"]


@lru_cache(maxsize=1_024)
def _paths(holder: str, names: tuple[str, ...]) -> list[str]:
    return [f"{holder}.{name}" for name in names]


def _is_list_of_notes(value: Json) -> bool:
    return type(value) is list and all(type(each) is dict and type(each.get("by")) is str for each in value)


# By the names of the switches in `Enrichment`; whether it may be skipped. The last sees what the others added.
_ENRICHERS: tuple[tuple[str, bool, Callable[[_Draft], None]], ...] = (
    ("traits", False, _add_traits),
    ("campaign", True, _add_campaign),
    ("user_agent", True, _add_device),
    ("geo", True, _add_place),
    ("audiences", False, _add_audiences),
)
