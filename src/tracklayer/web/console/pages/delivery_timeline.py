"""The attempts of a delivery on a line of time, and where the time of one attempt went: drawn to scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import log1p

import msgspec

from tracklayer.model.delivery import Timings
from tracklayer.model.work import Attempt
from tracklayer.web.console.words import duration, milliseconds

START, END = 2.0, 98.0  # percent of the width at which the line begins and ends
ROOM = 20.0  # percent of the line that a label needs, in a drawer on a phone
LAST_ROOM = 25.0  # … and beside the last one, which ends where the line does
ROWS = 3
LONG = 20.0  # seconds; a longer line is drawn on a logarithmic scale, or its first attempts would be one dot
BESIDE = 3.0  # percent of the line; what was sent this soon needs no label beside that of the acceptance
THINNEST = 0.6  # percent of a bar that is still seen


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something on the line."""

    kind: str  # accepted, delivered, retrying, dead, due
    place: str  # percent of the width, as SVG writes it
    width: str  # percent, from being sent to being answered
    label: str  # when; empty where there is no room
    row: int  # of the label, from 0
    anchor: str  # of the label's text
    said: str  # on hover


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of time from the acceptance on."""

    marks: list[Mark]
    waited: str  # percent of the width until the first attempt
    done: str  # percent of the width at which the past ends
    is_logarithmic: bool

    @property
    def rows(self) -> int:
        """How many rows of labels there are."""
        return 1 + max(mark.row for mark in self.marks)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an attempt's time."""

    kind: str  # lookup, wait, read, lost
    name: str
    took: str
    place: str
    width: str


def line_of(accepted_at: float, attempts: Sequence[Attempt], due_at: float | None) -> Line | None:
    """The line of a delivery; None where nothing was sent and nothing is due."""
    if not attempts:
        return None
    times = [(_after(accepted_at, each.started_at), _after(accepted_at, _ended(each))) for each in attempts]
    due = None if due_at is None else max(_after(accepted_at, due_at), times[-1][1])
    total = max(due or 0.0, times[-1][1], 0.001)
    scale = _Scale(total)
    spots = [("accepted", 0.0, 0.0, "accepted", "Accepted")]
    for each, (sent, answered) in zip(attempts, times, strict=True):
        said = f"Attempt {each.number}: sent after {duration(sent)}, took {milliseconds(each.record.timings.total_ms)}"
        gave_up = due is None and each is attempts[-1] and each.action == "retry"  # every retry was spent
        spots.append(("dead" if gave_up else _KINDS[each.action], sent, answered, duration(sent), said))
    if due is not None:
        spots.append(("due", due, due, duration(due), f"Due after {duration(due)}"))
    return Line(
        marks=_marks(spots, scale),
        waited=_percent(scale.place(times[0][0])),
        done=_percent(scale.place(times[-1][1])),
        is_logarithmic=scale.is_logarithmic,
    )


def parts_of(timings: Timings) -> list[Part]:
    """Where the time of an attempt went, as far as it is known; nothing for one that was never sent."""
    total = timings.total_ms
    if total <= 0:
        return []
    lookup = min(timings.resolve_ms or 0.0, total)
    if timings.first_byte_ms is None:
        found = [("lookup", "name lookup", lookup), ("lost", "until it failed", total - lookup)]
    else:
        answered = min(max(timings.first_byte_ms, lookup), total)
        found = [
            ("lookup", "name lookup", lookup),
            ("wait", "connecting, TLS and waiting", answered - lookup),
            ("read", "reading", total - answered),
        ]
    parts, at = [], 0.0
    for kind, name, took in found:
        share = 100 * took / total
        width = min(max(share, THINNEST), 100 - at)
        parts.append(Part(kind=kind, name=name, took=milliseconds(took), place=_percent(at), width=_percent(width)))
        at = min(at + width, 100.0)
    return parts


class _Scale:
    """Seconds → percent of the width."""

    def __init__(self, total: float) -> None:
        self._total = total
        self.is_logarithmic = total > LONG

    def place(self, seconds: float) -> float:
        share = log1p(seconds) / log1p(self._total) if self.is_logarithmic else seconds / self._total
        return START + (END - START) * share


def _marks(spots: Sequence[tuple[str, float, float, str, str]], scale: _Scale) -> list[Mark]:
    taken = [-ROOM] * ROWS
    last = len(spots) - 1
    marks = []
    for number, (kind, begin, end, label, said) in enumerate(spots):
        place, after = scale.place(begin), scale.place(end)
        free = END - LAST_ROOM if number != last else END  # the first row keeps room for the last label
        rows = [row for row in range(ROWS) if place - taken[row] >= ROOM and (row > 0 or place <= free)]
        row = rows[0] if rows else 0 if number == last else None
        if 0 < number < last and place - START < BESIDE:
            row = None
        if row is not None:
            taken[row] = place
        marks.append(
            Mark(
                kind=kind,
                place=_percent(place),
                width=_percent(max(after - place, THINNEST)),
                label="" if row is None else label,
                row=row or 0,
                anchor="start" if place < ROOM / 2 else "end" if place > END - ROOM / 2 else "middle",
                said=said,
            )
        )
    return marks


_KINDS = {"delivered": "delivered", "retry": "retrying", "dead": "dead"}


def _after(accepted_at: float, moment: float) -> float:
    return max(0.0, moment - accepted_at)  # a clock may have been set back


def _ended(attempt: Attempt) -> float:
    return attempt.started_at + attempt.record.timings.total_ms / 1000


def _percent(number: float) -> str:
    return f"{number:.2f}%"
