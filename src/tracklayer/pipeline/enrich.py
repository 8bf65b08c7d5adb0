"""What an event gets beside what its sender says: known traits, campaign, device, place, audiences.

What the event says stands; only what is absent, or null, is filled in. Each enricher that added something is listed in
`context.enriched` as `{"by", "paths"}`, one that failed as `{"by", "error"}`: that neither holds up the event nor loses
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec

from tracklayer.model.event import Event, Json, event_fields
from tracklayer.model.facts import Facts, Group, Traits
from tracklayer.model.rules import Enrichment, WorkspaceRules
from tracklayer.pipeline.audience import Audiences, rule_fields
from tracklayer.pipeline.campaign import page_query, read_origin
from tracklayer.pipeline.changes import free_name
from tracklayer.pipeline.devices import LONGEST as LONGEST_AGENT
from tracklayer.pipeline.devices import ReadUserAgent
from tracklayer.pipeline.known_user import known_user_data, named_by_ids

BUDGET = 0.005  # seconds that one event may take before what is slow is skipped
REMEMBERED = 4_096  # visitors
MAX_NOTES = 100
MAX_PATHS = 100  # of one note
LONGEST_ERROR = 200  # characters
LONGEST_ADDRESS = 45  # characters, of an IPv6 address with an IPv4 one in it: with a longer text nobody is remembered

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


class Enricher:
    """Adds to events what `tools` know. Most visitors come again: what was found of one is remembered."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._of_visitor = lru_cache(maxsize=REMEMBERED)(self._find)

    def enrich(self, event: Event, facts: Facts, rules: WorkspaceRules) -> Event:
        """`event` with what `rules` want added, but for audiences; the very same where there is nothing to add. What is
        given is not changed.

        Once the budget is spent, the user agent is not read: that alone may take long. Nothing else is ever skipped,
        the place least of all: by it defaults of consent are chosen.
        """
        draft = _Draft(event, facts, rules, self._tools)
        if not self._recall(draft):
            self._add_of_visitor(draft)
        if rules.enrichment.campaign:
            _try("campaign", _add_campaign, draft)
        return draft.enriched()

    def join_audiences(self, event: Event, facts: Facts, rules: WorkspaceRules, audiences: Audiences) -> Event:
        """`event`, which is whole but for this, in the audiences of its user; the very same where that changes nothing.

        It is never skipped: where an event goes must not depend on how busy the machine was.
        """
        sent = event.segment
        if not rules.enrichment.audiences or not (audiences.rules or facts.audiences or len(sent) > 1):
            return event
        note: dict[str, Json] | None = None
        try:
            segment = audiences.segment(rule_fields(event_fields(event), facts), facts.audiences)
        except Exception as error:
            segment, note = sent, _failure("audiences", _told(error), self._tools)
        else:
            added = [name for name in segment if name not in sent] if sent else segment
            if added:
                note = {"by": "audiences", "paths": _SEGMENT, "names": added}
        context = event.context
        if note is not None:
            context = {**context, "enriched": _listed(context.get("enriched"), [note])}
        elif segment == sent:
            return event
        return msgspec.structs.replace(event, segment=segment, context=context)

    def _add_of_visitor(self, draft: _Draft) -> bool:
        """Whether all of it could be added."""
        tools, switches = self._tools, draft.rules.enrichment
        deadline, whole = tools.monotonic() + tools.budget, True
        for by, may_be_skipped, add in _OF_VISITOR:
            if not getattr(switches, by):
                continue
            if may_be_skipped and tools.monotonic() > deadline:
                draft.fail(by, f"skipped: the budget of {tools.budget * 1000:g} ms was spent")
                whole = False
            else:
                whole = _try(by, add, draft) and whole
        return whole

    def _recall(self, draft: _Draft) -> bool:
        """Add what `_OF_VISITOR` would, in one step; False where that is not the same, and nothing is added."""
        traits, context, rules = draft.facts.traits, draft.context, draft.rules
        user_agent, ip = context.get("user_agent"), context.get("ip")
        if type(traits) is not Traits or draft.facts.group is not None or not named_by_ids(draft.user_data):
            return False
        if type(user_agent) is not str or len(user_agent) > LONGEST_AGENT:
            return False
        if type(ip) is not str or len(ip) > LONGEST_ADDRESS or not _OF_VISITOR_NAMES.isdisjoint(context):
            return False
        try:
            found = self._of_visitor(traits, user_agent, ip, rules.default_region, rules.enrichment)
        except _InPart as in_part:  # which is not remembered
            found = in_part.found
        draft.recall(found)
        return True

    def _find(self, traits: Traits, user_agent: str, ip: str, region: str, switches: Enrichment) -> _Found:
        said: dict[str, Json] = {"user_agent": user_agent, "ip": ip}
        nothing = Event(event_id="", event_name="", occurred_at="", received_at="", context=said)
        rules = WorkspaceRules(default_region=region, enrichment=switches)
        draft = _Draft(nothing, Facts(traits=traits), rules, self._tools)
        if not self._add_of_visitor(draft):
            raise _InPart(draft.found())
        return draft.found()


class _InPart(Exception):
    """Not all of a visitor could be found: with what could, and the notes on what could not."""

    def __init__(self, found: _Found) -> None:
        super().__init__()
        self.found = found


class _Found(NamedTuple):
    """What is to be added to every event of a visitor. Not to be changed."""

    context: dict[str, Json]
    user_data: dict[str, Json]
    notes: list[dict[str, Json]]


class _Draft:
    """An event to which something is being added, and out of what."""

    __slots__ = ("_notes", "context", "event", "facts", "rules", "tools", "user_data")

    def __init__(self, event: Event, facts: Facts, rules: WorkspaceRules, tools: Tools) -> None:
        self.event = event
        self.facts = facts
        self.rules = rules
        self.tools = tools
        self.context = dict(event.context)
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

    def recall(self, found: _Found) -> None:
        """Add what was found of the same visitor before."""
        self.context.update(found.context)
        if found.user_data:
            self.user_data = {**self.user_data, **found.user_data}
        self._notes += found.notes

    def found(self) -> _Found:
        """What was added so far."""
        said = self.event.context
        return _Found({name: it for name, it in self.context.items() if name not in said}, self.user_data, self._notes)

    def sign(self, by: str, paths: Sequence[str]) -> None:
        """Note what one enricher has filled in."""
        if paths:
            self._notes.append({"by": by, "paths": paths if len(paths) <= MAX_PATHS else paths[:MAX_PATHS]})

    def fail(self, by: str, error: str) -> None:
        """Note why there is nothing of one enricher."""
        self._notes.append(_failure(by, error, self.tools))

    def enriched(self) -> Event:
        """The event with what was added. A list of that name which is not ours moves to the next free one."""
        known = self.context.get("enriched")
        is_ours = known is None or _is_list_of_notes(known)
        if not is_ours:
            self.context[free_name(self.context, "enriched")] = known
            del self.context["enriched"]
            known = None
        if self._notes:
            self.context["enriched"] = _listed(known, self._notes)
        elif is_ours:
            return self.event
        return msgspec.structs.replace(self.event, user_data=self.user_data, context=self.context)


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


def _try(by: str, add: Callable[[_Draft], None], draft: _Draft) -> bool:
    """Whether an enricher did not fail."""
    try:
        add(draft)
    except Exception as error:
        draft.fail(by, _told(error))
        return False
    return True


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _failure(by: str, error: str, tools: Tools) -> dict[str, Json]:
    """The note on an enricher that failed, which `tools` are told of."""
    text = error[:LONGEST_ERROR].encode(errors="replace").decode()
    tools.failed(by, text)
    return {"by": by, "error": text}


def _listed(known: list[Json] | None, notes: list[dict[str, Json]]) -> list[Json]:
    """`notes` behind those that are `known`, each once, as many as are kept."""
    listed = [*known, *(note for note in notes if note not in known)] if known else notes
    return listed if len(listed) <= MAX_NOTES else listed[:MAX_NOTES]


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


# By the names of the switches in `Enrichment`; whether it may take long, and so may be skipped.
_Part: TypeAlias = tuple[str, bool, Callable[[_Draft], None]]
_OF_VISITOR: tuple[_Part, ...] = (
    ("traits", False, _add_traits),
    ("user_agent", True, _add_device),
    ("geo", False, _add_place),
)
_OF_VISITOR_NAMES = frozenset(("traits", "group", "device", "os", "browser", "geo"))  # what they add to the context
