"""What an event gets beside what its sender says: known traits, campaign, device, place, audiences.

What the event says stands; only what is absent, or null, is filled in. Each addition is listed in `context.enriched` as
`{"path", "by"}`, an enricher that failed as `{"by", "error"}`: that neither holds up the event nor loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tracklayer.model.event import Event, Json
from tracklayer.model.facts import Facts, Group
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.audience import Audiences, rule_fields
from tracklayer.pipeline.campaign import page_query, read_origin
from tracklayer.pipeline.changes import free_name
from tracklayer.pipeline.devices import ReadUserAgent
from tracklayer.pipeline.known_user import known_user_data

BUDGET = 0.005  # seconds that one event may take before what is left is skipped
MAX_NOTES = 100
LONGEST_ERROR = 200  # characters

ReadPlace = Callable[[str], Mapping[str, str]]
"""IP address → the fields of `context.geo` that are known of it."""


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
    draft, given = _Draft(event), _Given(event, facts, rules, audiences, tools)
    deadline = tools.monotonic() + tools.budget
    for by, may_be_skipped, add in _ENRICHERS:
        if not getattr(rules.enrichment, by):
            continue
        if may_be_skipped and tools.monotonic() > deadline:
            draft.fail(by, f"skipped: the budget of {tools.budget * 1000:g} ms was spent", tools)
            continue
        try:
            add(draft, given)
        except Exception as error:
            draft.fail(by, f"{type(error).__name__}: {error}", tools)
    return draft.event()


class _Given(NamedTuple):
    event: Event
    facts: Facts
    rules: WorkspaceRules
    audiences: Audiences
    tools: Tools


class _Draft:
    """An event to which something is being added."""

    __slots__ = ("_event", "_notes", "context", "segment", "user_data")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._notes: list[dict[str, Json]] = []
        self.context = dict(event.context)
        self.segment = event.segment
        self.user_data = event.user_data

    def fill(self, by: str, found: Mapping[str, Json], name: str, inner: str | None = None) -> None:
        """Fill in what `context.name`, or the object `inner` of that, lacks of `found`."""
        if not found:
            return
        if inner is None:
            holder, path, last = self.context, "context", name
        else:
            holder = self.context[name] = dict(self.context[name])
            path, last = f"context.{name}", inner
        given = holder.get(last)
        if given is None:
            holder[last] = dict(found)
            self._notes.append(_signed(f"{path}.{last}", by))
        elif type(given) is dict:
            missing = {key: value for key, value in found.items() if value is not None and given.get(key) is None}
            if missing:
                holder[last] = {**given, **missing}
                self._notes += [_signed(f"{path}.{last}.{key}", by) for key in missing]

    def fill_user(self, by: str, found: Mapping[str, str]) -> None:
        """Add fields that `user_data` lacks."""
        if found:
            self.user_data = {**self.user_data, **found}
            self._notes += _signed_fields(by, tuple(found))

    def join(self, by: str, segment: list[str]) -> None:
        """Set the segment, in which everything is that was sent."""
        added = [name for name in segment if name not in self._event.segment]
        self.segment = segment
        if added:
            self._notes.append({"path": "segment", "by": by, "names": added})

    def fail(self, by: str, error: str, tools: Tools) -> None:
        """Note why there is nothing of one enricher."""
        text = error[:LONGEST_ERROR].encode(errors="replace").decode()
        self._notes.append({"by": by, "error": text})
        tools.failed(by, text)

    def event(self) -> Event:
        """The event with what was added. A list of that name which is not ours moves to the next free one."""
        known = self.context.get("enriched")
        is_ours = known is None or _is_list_of_notes(known)
        if not is_ours:
            self.context[free_name(self.context, "enriched")] = known
            del self.context["enriched"]
            known = None
        if self._notes:
            fresh = [note for note in self._notes if note not in known] if known else self._notes
            self.context["enriched"] = [*(known or ()), *fresh][:MAX_NOTES]
        elif is_ours and self.segment == self._event.segment:
            return self._event
        return msgspec.structs.replace(
            self._event, segment=self.segment, user_data=self.user_data, context=self.context
        )


def _add_traits(draft: _Draft, given: _Given) -> None:
    facts = given.facts
    if facts.traits:
        draft.fill("traits", facts.traits, "traits")
        draft.fill_user("traits", known_user_data(draft.user_data, facts.traits, given.rules.default_region))
    if facts.group is not None:
        _add_group(draft, facts.group)


def _add_group(draft: _Draft, group: Group) -> None:
    named = draft.context.get("group")
    if named is None:
        draft.fill("traits", {"id": group.id, "traits": group.traits} if group.traits else {"id": group.id}, "group")
    elif type(named) is dict and named.get("id") in (None, group.id):
        draft.fill("traits", {"id": group.id}, "group")
        draft.fill("traits", group.traits, "group", "traits")


def _add_campaign(draft: _Draft, given: _Given) -> None:
    query = page_query(given.event.context, given.event.properties)
    if query:
        origin = read_origin(query)
        draft.fill("campaign", origin.campaign, "campaign")
        draft.fill("campaign", origin.click_ids, "click_ids")


def _add_device(draft: _Draft, given: _Given) -> None:
    text = given.event.context.get("user_agent")
    if type(text) is str and text:
        found = given.tools.user_agent(text)
        draft.fill("user_agent", found.device, "device")
        draft.fill("user_agent", found.os, "os")
        draft.fill("user_agent", found.browser, "browser")


def _add_place(draft: _Draft, given: _Given) -> None:
    address = given.event.context.get("ip")
    if given.tools.geo is not None and type(address) is str and address:
        draft.fill("geo", given.tools.geo(address), "geo")


def _add_audiences(draft: _Draft, given: _Given) -> None:
    event, facts, audiences = given.event, given.facts, given.audiences
    if audiences.rules or facts.audiences or len(event.segment) > 1:
        so_far = msgspec.structs.replace(event, user_data=draft.user_data, context=draft.context)
        draft.join("audiences", audiences.segment(rule_fields(so_far, facts), facts.audiences))


# Notes are the same for event after event, and nobody changes them.
@lru_cache(maxsize=2_048)
def _signed(path: str, by: str) -> dict[str, Json]:
    return {"path": path, "by": by}


@lru_cache(maxsize=1_024)
def _signed_fields(by: str, names: tuple[str, ...]) -> list[dict[str, Json]]:
    return [_signed(f"user_data.{name}", by) for name in names]


def _is_list_of_notes(value: Json) -> bool:
    return type(value) is list and all(type(each) is dict and type(each.get("by")) is str for each in value)


# By the names of the switches in `Enrichment`; whether it may be skipped. The last sees what the others added.
_ENRICHERS: tuple[tuple[str, bool, Callable[[_Draft, _Given], None]], ...] = (
    ("traits", False, _add_traits),
    ("campaign", True, _add_campaign),
    ("user_agent", True, _add_device),
    ("geo", True, _add_place),
    ("audiences", False, _add_audiences),
)
