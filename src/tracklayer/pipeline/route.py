"""Which destinations an event goes to, at the cost of those that could match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

from tracklayer.model.event import Json
from tracklayer.pipeline.filter import Filter

REMEMBERED = 1_024  # names of events whose candidates need not be put in order again

T = TypeVar("T")


class Candidate(NamedTuple, Generic[T]):
    """A destination that could match an event by its name alone."""

    position: int  # in the order in which the table was given
    filter: Filter
    destination: T


class RouteTable(Generic[T]):
    """Destinations with their filters, indexed by the event names that the filters can match.

    Immutable: a change of configuration makes a new table.
    """

    def __init__(self, entries: Iterable[tuple[Filter, T]]) -> None:
        by_name: dict[str, list[Candidate[T]]] = {}
        any_name: list[Candidate[T]] = []
        for position, (matcher, destination) in enumerate(entries):
            candidate = Candidate(position, matcher, destination)
            if matcher.event_names is None:
                any_name.append(candidate)
            else:
                for name in matcher.event_names:
                    by_name.setdefault(name, []).append(candidate)
        self._any_name = tuple(any_name)
        self._by_name = {name: tuple(candidates) for name, candidates in by_name.items()}
        self.candidates = lru_cache(maxsize=REMEMBERED)(self._candidates)

    def _candidates(self, event_name: str) -> Sequence[Candidate[T]]:
        """The destinations whose filter may match an event of this name, in the table's order."""
        named = self._by_name.get(event_name, ())
        if not named or not self._any_name:
            return named or self._any_name
        return sorted(named + self._any_name, key=attrgetter("position"))

    def route(self, fields: Mapping[str, Json]) -> list[T]:
        """The destinations that want the event with these `fields` (see `event_fields`), in the table's order."""
        return [each.destination for each in self.candidates(fields["event_name"]) if each.filter.matches(fields)]
