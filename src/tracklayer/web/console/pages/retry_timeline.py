"""A retry policy drawn on a line of time: where each attempt stands, and which of them have room for their words."""

from __future__ import annotations

from math import log1p

import msgspec

from tracklayer.delivery.retry import Schedule, compile_policy, schedule
from tracklayer.errors import Invalid
from tracklayer.model.destination import Retry
from tracklayer.web.console.words import duration

CHARACTER = 2.1  # percent of the width that one of a label needs, on a phone
GAP = 2.0  # percent between labels
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
    total, last = planned.attempts[-1], len(planned.attempts) - 1
    # Without any wait they would all stand in one place: then their order is what can be shown.
    shares = [log1p(at) / log1p(total) if total else index / max(1, last) for index, at in enumerate(planned.attempts)]
    places = [START + (END - START) * share for share in shares]
    labels = [duration(at) if at else "at once" for at in planned.attempts]
    taken = [START, START]  # by row: where the labels that stand there end
    marks = []
    for index, (place, label) in enumerate(zip(places, labels, strict=True)):
        width = CHARACTER * len(label)
        left = START if index == 0 else END - width if index == last else place - width / 2
        # The last label stands in the first row, whatever comes before it.
        bound = [END if index == last else END - CHARACTER * len(labels[last]) - GAP, END]
        free = [row for row in (0, 1) if left >= taken[row] and (index == 0 or left + width <= bound[row])]
        row = 0 if index == last else free[0] if free else None
        if row is not None:
            taken[row] = left + width + GAP
        marks.append(
            Mark(
                number=index + 1,
                place=f"{place:.2f}%",
                label="" if row is None else label,
                row=row or 0,
                anchor="start" if index == 0 else "end" if index == last else "middle",
                said=f"Attempt {index + 1}: {label}" + ("" if index == 0 else " after the first"),
            )
        )
    return marks
