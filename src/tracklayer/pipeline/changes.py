"""What normalization changed on an event, so that a person can see why a value differs from what was sent.

It stands on the event at `context.normalized`: a list of `{"path", "from", "why"}`. Where nothing was changed, and
`why` says what could not be understood, and where the value was personal and is dropped, there is no `from`.
"""

from __future__ import annotations

from typing import TypeAlias

from tracklayer.model.event import Json
from tracklayer.pipeline.bounds import Place

MAX_CHANGES = 50  # on one event; the last one says how many there were beyond
LONGEST_FROM = 200  # characters of a text that is kept as `from`

Changes: TypeAlias = list[dict[str, Json]]


def note(changes: Changes, place: Place, why: str) -> None:
    """Add what is to be known of a value that stays, or that is gone and must not be shown."""
    changes.append({"path": ".".join(map(str, place)), "why": why})


def note_change(changes: Changes, place: Place, sent: Json, why: str) -> None:
    """Add that the value at `place` was `sent` as another one."""
    kept = f"{sent[:LONGEST_FROM]}…" if type(sent) is str and len(sent) > LONGEST_FROM else sent
    changes.append({"path": ".".join(map(str, place)), "from": kept, "why": why})


def with_changes(context: dict[str, Json], changes: Changes) -> dict[str, Json]:
    """`context` with `changes` added to those that it holds, each path and reason once.

    A `normalized` of the caller's that is no such list is kept under the next free name, `normalized_2`.
    """
    known: Changes = []
    if "normalized" in context:
        if _is_list_of_changes(context["normalized"]):
            known = context["normalized"]
        else:
            other = free_name(context, "normalized")
            context = {other if name == "normalized" else name: value for name, value in context.items()}
    if not changes or len(known) >= MAX_CHANGES:
        return context
    told = {(each["path"], each["why"]) for each in known}
    listed = [*known, *(each for each in changes if (each["path"], each["why"]) not in told)]
    if len(listed) > MAX_CHANGES:
        rest = f"{len(listed) - MAX_CHANGES + 1} more changes are not listed"
        listed = [*listed[: MAX_CHANGES - 1], {"path": "", "why": rest}]
    return {**context, "normalized": listed} if listed else context


def free_name(taken: dict[str, Json], name: str) -> str:
    """`name`, or the first of `name_2`, `name_3` … that is not taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _is_list_of_changes(value: Json) -> bool:
    return (
        type(value) is list
        and len(value) <= MAX_CHANGES
        and all(type(each) is dict and type(each.get("path")) is str and type(each.get("why")) is str for each in value)
    )
