"""Dead letters by cause, as pages show them: whose, what it means, since when, the first lines of the newest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

import msgspec

from tracklayer.catalog import Destination
from tracklayer.errors import Conflict, NotFound
from tracklayer.operate.dead_letters import DeadLetter
from tracklayer.service import Service
from tracklayer.store.causes import Cause
from tracklayer.web.console.causes import Meaning, meaning

DETAILED = 12  # causes that show the first lines of their newest request and answer
FIRST_LINE = 160  # characters


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One cause as it is shown."""

    cause: Cause
    meaning: Meaning
    destination: Destination | None  # None: deleted
    host: str
    query: str  # of the page that shows this group
    hours: list[tuple[int, int]]  # for the sparkline
    body_line: str = ""
    answer_line: str = ""


async def groups_of(service: Service, workspace_id: str, causes: Sequence[Cause]) -> list[Group]:
    """Every cause as a group, in the same order."""
    destinations = {each.id: each for each in service.destinations.all(workspace_id)}
    letters = await service.dead_letters.some(workspace_id, [each.example for each in causes[:DETAILED]])
    return [
        await _group(service, workspace_id, each, destinations, letters.get(each.example), detailed=place < DETAILED)
        for place, each in enumerate(causes)
    ]


def query_of(values: Mapping[str, str]) -> str:
    """The page of the dead letters that these values select."""
    return "/dead-letters?" + urlencode({name: value for name, value in values.items() if value})


async def _group(
    service: Service,
    workspace_id: str,
    cause: Cause,
    destinations: Mapping[str, Destination],
    letter: DeadLetter | None,
    *,
    detailed: bool,
) -> Group:
    destination = destinations.get(cause.destination_id)
    hours = await service.dead_letters.sparkline(workspace_id, cause.destination_id, cause.cause) if detailed else []
    group = Group(
        cause=cause,
        meaning=meaning(cause.cause),
        destination=destination,
        host=urlsplit(destination.plan.config.transport.url).netloc if destination else "a deleted destination",
        query=query_of({"destination_id": cause.destination_id, "cause": cause.cause}),
        hours=[(0, count) for count in hours],
    )
    if letter is None:
        return group
    body = letter.request.body if letter.request else None
    answer = letter.last.record.body or letter.last.error or "" if letter.last else ""
    return msgspec.structs.replace(group, body_line=_line(body), answer_line=_line(answer.encode()))


async def newest_letter(service: Service, workspace_id: str, cause: Cause) -> DeadLetter | None:
    """The newest of a group; None where it was replayed or discarded meanwhile."""
    try:
        return await service.dead_letters.get(workspace_id, cause.example)
    except (NotFound, Conflict):
        return None


def _line(text: bytes | None) -> str:
    """The beginning, on one line."""
    return " ".join((text or b"")[: FIRST_LINE * 4].decode(errors="replace").split())[:FIRST_LINE]
