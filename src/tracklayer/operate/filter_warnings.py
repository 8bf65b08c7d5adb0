"""What a person should know about a filter that was saved: it works, but surely not as it was meant."""

from __future__ import annotations

from collections.abc import Mapping

from tracklayer.model.event import Json
from tracklayer.pipeline.contradiction import contradiction, event_names, read_filter, wanted_of_lists
from tracklayer.pipeline.event_names import canonical_name


def filter_warnings(
    spec: Mapping[str, Json], aliases: Mapping[str, str | None], *, called: str = "filter"
) -> list[str]:
    """The warnings of a filter that compiles; `aliases` are the workspace's (`WorkspaceRules.names_by_key`).

    Names count in any part of it: one that waits for an alias waits in vain, and one that excludes it excludes nothing,
    for events have their canonical names by then.
    """
    reading = read_filter(spec)
    canonical = {name: canonical_name(name.strip(), aliases) for name in sorted(event_names(reading))}
    found = [
        f"the {called} names event_name {name!r}, which no event has: such events are called {other}"
        for name, other in canonical.items()
        if other != name
    ]
    why = contradiction(reading)
    if why is not None:
        return [*found, f"the {called} never matches: {why}"]
    return found + [
        f"the {called} only matches where {path} is a list: no single value is {expected}"
        for path, expected in wanted_of_lists(reading).items()
    ]
