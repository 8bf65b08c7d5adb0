"""A retry policy drawn on a line of time: where each attempt stands, and which of them have room for their words."""

from __future__ import annotations

from math import log1p

import msgspec

from tracklayer.delivery.retry import Schedule, compile_policy, schedule
from tracklayer.errors import Invalid
from tracklayer.model.destination import Retry
from tracklayer.web.console.words import duration

ROOM = 13.0  # percent of the line that a label needs
ROWS = 2
START, END = 2.0, 98.0  # percent of the width at which the line begins and ends


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt on the line."""

    number: int
    place: str  # percent of the width, as SVG writes it
    label: str  # when, after the first; empty where there is no room
    row: int  # of the label, from 0
    anchor: str  # of the label's text
    said: str  # on hover


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The line, and what it comes to."""

    marks: list[Mark]
    gives_up: float  # seconds after the first attempt
    longest: float  # seconds, with the most jitter


def timeline(retry: Retry) -> Timeline | None:
    """The line of a policy, its scale a logarithm of time; None for a policy that is not possible."""
    try:
        planned = schedule(compile_policy(retry))
    except Invalid:
        return None
    return Timeline(marks=_marks(planned), gives_up=planned.attempts[-1], longest=planned.longest)


def _marks(planned: Schedule) -> list[Mark]:
    total = planned.attempts[-1]
    places = [START + (END - START) * log1p(at) / log1p(total) if total else START for at in planned.attempts]
    last = len(places) - 1
    taken = [-ROOM] * ROWS
    marks = []
    for number, (at, place) in enumerate(zip(planned.attempts, places, strict=True)):
        free = END - ROOM if number not in (0, last) else END  # the last label always has its room, in the first row
        rows = [row for row in range(ROWS) if place - taken[row] >= ROOM and (row > 0 or place <= free)]
        row = 0 if number == last else rows[0] if rows else None
        if row is not None:
            taken[row] = place
        when = "at once" if number == 0 else duration(at)
        marks.append(
            Mark(
                number=number + 1,
                place=f"{place:.2f}%",
                label="" if row is None else when,
                row=row or 0,
                anchor="start" if number == 0 else "end" if number == last else "middle",
                said=f"Attempt {number + 1}: {when}" + ("" if number == 0 else " after the first"),
            )
        )
    return marks
