"""The audiences of a workspace: static lists by name, and rules over an event and the known traits of its user.

A rule is a filter (`pipeline.filter`) whose paths may also begin with `traits`: what is known of the user, and over it
what the event itself says in `context.traits`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.model.facts import Facts
from tracklayer.pipeline.filter import MAX_DEPTH, ROOTS, Filter, compile_filter
from tracklayer.pipeline.route import RouteTable

MAX_SEGMENTS = 100  # names on one event

_ROOTS = (*ROOTS, "traits")


@dataclass(frozen=True, slots=True)
class Audiences:
    """The audiences of one workspace, compiled; made by `compile_audiences`."""

    static: frozenset[str] = frozenset()
    rules: Mapping[str, Filter] = field(default_factory=dict)
    table: RouteTable[str] = field(default_factory=lambda: RouteTable(()))

    def segment(self, fields: Mapping[str, Json], listed: Collection[str]) -> list[str]:
        """All that the event's user belongs to: what was sent, the static lists, the rules that match; in order.

        `fields` are the event's, with `traits` beside them; `listed` are the lists that name the user. Rules see as
        `segment` what was sent and the lists. Where there are more than `MAX_SEGMENTS`, what was sent stays.
        """
        names = fields["segment"]
        if listed or len(names) > 1:
            names = list(dict.fromkeys((*names, *sorted(self.static.intersection(listed)))))
            fields = {**fields, "segment": names}
        matching = self.table.route(fields)
        if matching:
            names = list(dict.fromkeys((*names, *matching)))
        return sorted(names[:MAX_SEGMENTS])


def compile_audiences(rules: Mapping[str, Mapping[str, Json] | None], *, max_depth: int = MAX_DEPTH) -> Audiences:
    """Compile audiences by name: a rule, or None for a static list. Raises `Invalid` as `compile_rule` does."""
    compiled = {name: compile_rule(rule, max_depth=max_depth) for name, rule in rules.items() if rule is not None}
    return Audiences(
        static=frozenset(rules) - compiled.keys(),
        rules=compiled,
        table=RouteTable((rule, name) for name, rule in compiled.items()),
    )


def compile_rule(rule: Mapping[str, Json], *, max_depth: int = MAX_DEPTH) -> Filter:
    """Compile one rule. Raises `Invalid` with a pointer relative to it; a rule without a condition is refused, too."""
    compiled = compile_filter(rule, max_depth=max_depth, roots=_ROOTS)
    if not compiled.explain({}):
        raise Invalid("the rule has no condition: every event would match it", code="invalid_filter", pointer="")
    return compiled


def rule_fields(fields: dict[str, Json], facts: Facts) -> dict[str, Json]:
    """What rules see: an event's `fields` (see `event_fields`), which gets `traits` beside them."""
    said = fields["context"].get("traits")
    if isinstance(said, dict):
        # Where enriching has filled them in, all that is known is among them.
        fields["traits"] = said if facts.traits.keys() <= said.keys() else {**facts.traits, **said}
    else:
        fields["traits"] = facts.traits
    return fields
