"""A workspace's newest events, at hand for an editor that asks about them with every keystroke."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from tracklayer.catalog import Catalog
from tracklayer.errors import Invalid, at
from tracklayer.model.event import Event, Json, encode_json, event_fields, event_to_json
from tracklayer.pipeline.filter import MAX_PATH, compile_filter
from tracklayer.ports import Clock
from tracklayer.store import History
from tracklayer.store.history import StoredEvent

KEPT = 500  # events
KEPT_FOR = 2.0  # seconds
KEPT_BYTES = 8 * 1024 * 1024  # of their JSON: large events are fewer
PAGE = 100
LOOKED_AT_FOR_PATHS = 200
MOST_PATHS = 1_000
DEEPEST = 8  # names in a path
EXAMPLE = 60  # characters
SAMPLES = 10  # ids of matching events
TOP_VALUES = 20

_CANONICAL = (
    *Event.__struct_fields__,
    *(f"user_data.{name}" for name in ("external_id", "anonymous_id", "email", "email_hash", "phone", "phone_hash")),
)
_CHIPS = ("event_name", "platform", "segment")
_PLAIN_NAME = re.compile(r"(?!this\Z)[\w$-]+")  # what a filter and a template both read without brackets


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the newest events a filter matches, and the newest of those."""

    matched: int
    looked_at: int
    sample_ids: list[str]  # event ids, newest first


class FieldPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path that a filter or a template can use. Of a list the first item stands for all: `properties.items.0.id`."""

    path: str
    kind: str | None  # "text", "number", "boolean", "list", "object"; None where no event has it
    example: str | None  # of the newest event that has it, at most 60 characters
    share: float  # of the events, 0 to 1


class ValueCount(msgspec.Struct, frozen=True):
    """A value, and how many of the newest events have it."""

    value: str
    count: int


class _Newest(NamedTuple):
    """The newest events of a workspace, and when they were read."""

    events: list[StoredEvent]
    read_at: float


class Recent:
    """Answers from the newest events of live traffic, which are read once in two seconds at the most."""

    def __init__(self, catalog: Catalog, history: History, clock: Clock) -> None:
        self._catalog = catalog
        self._history = history
        self._clock = clock
        self._known: dict[str, _Newest] = {}
        self._reading = asyncio.Lock()

    async def events(self, workspace_id: str, n: int = KEPT) -> list[StoredEvent]:
        """The newest `n` events (at most 500), newest first; tests left out."""
        return (await self._newest(workspace_id))[:n]

    async def matches(self, workspace_id: str, wanted: dict[str, Json]) -> Matches:
        """How many of the newest events a filter matches. Raises `Invalid` with a pointer below `/filter`."""
        with at("filter"):
            matches = compile_filter(wanted, max_depth=self._catalog.limits.filter_depth).matches
        events = [stored.event for stored in await self._newest(workspace_id)]
        found = [event.event_id for event in events if matches(event_fields(event))]
        return Matches(matched=len(found), looked_at=len(events), sample_ids=found[:SAMPLES])

    async def paths(self, workspace_id: str) -> list[FieldPath]:
        """Every path that the newest 200 events have, and those of the canonical event, in the order of the alphabet.

        A path is left out where its names cannot be written plainly (`a.b`, `a name`) or it is too deep.
        """
        events = (await self._newest(workspace_id))[:LOOKED_AT_FOR_PATHS]
        counts: Counter[str] = Counter()
        newest: dict[str, Json] = {}
        for stored in events:
            for path, value in _walk(event_fields(stored.event)):
                if path in newest or len(newest) < MOST_PATHS:
                    counts[path] += 1
                    newest.setdefault(path, value)
        return [
            FieldPath(
                path=path,
                kind=_kind(newest[path]) if path in newest else None,
                example=_example(newest[path]) if path in newest else None,
                share=counts[path] / len(events) if events else 0.0,
            )
            for path in sorted({*_CANONICAL, *newest})
        ]

    async def values(self, workspace_id: str, path: str) -> list[ValueCount]:
        """The values of `event_name`, `platform` or `segment` that most of the newest events have; at most 20."""
        if path not in _CHIPS:
            raise Invalid(f"{path!r} has no list of values: expected {', '.join(_CHIPS)}", pointer="/path")
        counts: Counter[str] = Counter()
        for stored in await self._newest(workspace_id):
            value = event_fields(stored.event)[path]
            counts.update(set(value) if isinstance(value, list) else [value] if value is not None else [])
        return [ValueCount(*each) for each in sorted(counts.items(), key=_most_first)[:TOP_VALUES]]

    async def _newest(self, workspace_id: str) -> list[StoredEvent]:
        async with self._reading:  # whoever comes while it is read takes what was read
            now = self._clock.now()
            self._known = {name: each for name, each in self._known.items() if now < each.read_at + KEPT_FOR}
            if workspace_id not in self._known:
                self._known[workspace_id] = _Newest(await self._read(workspace_id), now)
            return self._known[workspace_id].events

    async def _read(self, workspace_id: str) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        before, size = None, 0
        for _ in range(KEPT // PAGE):
            page = await self._history.events(workspace_id, limit=PAGE, before=before)
            for stored in page:
                size += len(event_to_json(stored.event))
                if size > KEPT_BYTES:
                    return found
                if not stored.test:
                    found.append(stored)
            if len(page) < PAGE:
                break
            before = page[-1].pk
            await self._clock.sleep(0)  # large events must not hold deliveries up
        return found


def _walk(value: Json, parent: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, Json]]:
    """Every path below `value` that leads to something, with what it leads to."""
    if isinstance(value, Mapping):
        children = [(name, each) for name, each in value.items() if _PLAIN_NAME.fullmatch(name)]
    else:
        children = [("0", value[0])] if isinstance(value, list) and value else []
    for name, child in children:
        path = f"{parent}.{name}" if parent else name
        if child is not None and len(path) <= MAX_PATH and depth:
            yield path, child
            yield from _walk(child, path, depth - 1)


def _most_first(counted: tuple[str, int]) -> tuple[int, str]:
    value, count = counted
    return -count, value


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else "number"


def _example(value: Json) -> str:
    """A text as it is, anything else as JSON; cut where it is too long."""
    text = value if isinstance(value, str) else encode_json(value).decode()
    return text if len(text) <= EXAMPLE else text[: EXAMPLE - 1] + "…"
