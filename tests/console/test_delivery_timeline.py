"""The attempts on a line of time, and the time of one attempt in its parts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.delivery import Timings
from tracklayer.model.work import Attempt, AttemptRecord
from tracklayer.web.console.pages.delivery_timeline import END, START, line_of, parts_of

NOW = 1_770_000_000.0


def attempt(number: int, at: float, took: float = 0.05, action: str = "retry") -> Attempt:
    timings = Timings(total_ms=took * 1000)
    record = AttemptRecord(timings=timings)
    return Attempt(number=number, version=1, started_at=NOW + at, action=action, rule="", record=record)


def place(text: str) -> float:
    return float(text.removesuffix("%"))


def test_nothing_that_was_sent_is_no_line() -> None:
    assert line_of(NOW, [], NOW + 10) is None


def test_a_short_line_is_to_scale() -> None:
    line = line_of(NOW, [attempt(1, 0.05, 0.05, "delivered")], None)
    assert line is not None
    assert not line.is_logarithmic
    accepted, sent = line.marks
    assert (place(accepted.place), place(line.done)) == (START, END)
    assert place(sent.place) == pytest.approx((START + END) / 2)
    assert place(sent.width) == pytest.approx((END - START) / 2)
    assert line.waited == sent.place


def test_a_long_line_is_logarithmic_and_ends_where_the_next_attempt_is_due() -> None:
    line = line_of(NOW, [attempt(1, 0), attempt(2, 2), attempt(3, 40)], NOW + 700)
    assert line is not None
    assert line.is_logarithmic
    assert [mark.kind for mark in line.marks] == ["accepted", "retrying", "retrying", "retrying", "due"]
    assert place(line.marks[-1].place) == END
    assert place(line.done) < END
    assert line.marks[-1].label == "11\u202fm 40\u202fs"


def test_every_attempt_of_the_guides_policy_says_when_it_was_sent() -> None:
    times = (0.001, 2.1, 12.5, 44, 172, 782)
    line = line_of(NOW, [attempt(number, at) for number, at in enumerate(times, 1)], None)
    assert line is not None
    assert [mark.label for mark in line.marks[:2]] == ["accepted", ""]  # the first stands where it was accepted
    assert all(mark.label for mark in line.marks[2:])


def test_a_clock_that_was_set_back_draws_nothing_before_the_beginning() -> None:
    line = line_of(NOW, [attempt(1, -5), attempt(2, -3, action="delivered")], None)
    assert line is not None
    assert all(START <= place(mark.place) <= END for mark in line.marks)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 60)), min_size=1, max_size=12),
    st.none() | st.floats(0, 1e6),
)
def test_marks_stay_on_the_line_and_labels_apart(steps: list[tuple[float, float]], due: float | None) -> None:
    attempts, at = [], 0.0
    for number, (gap, took) in enumerate(steps, 1):
        attempts.append(attempt(number, at + gap, took))
        at += gap + took
    line = line_of(NOW, attempts, None if due is None else NOW + at + due)
    assert line is not None
    assert all(START <= place(mark.place) <= END for mark in line.marks)
    assert [place(mark.place) for mark in line.marks] == sorted(place(mark.place) for mark in line.marks)
    for row in range(line.rows):
        labels = [place(mark.place) for mark in line.marks[:-1] if mark.label and mark.row == row]
        assert all(right - left >= 20 for left, right in pairwise(labels))
    assert line.marks[-1].label


def test_the_parts_of_an_attempt_are_as_long_as_they_took() -> None:
    lookup, wait, read = parts_of(Timings(resolve_ms=10, first_byte_ms=60, total_ms=100))
    assert [(each.kind, each.width, each.took) for each in (lookup, wait, read)] == [
        ("lookup", "10.00%", "10\u202fms"),
        ("wait", "50.00%", "50\u202fms"),
        ("read", "40.00%", "40\u202fms"),
    ]
    assert (lookup.place, wait.place, read.place) == ("0.00%", "10.00%", "60.00%")


def test_what_had_no_answer_was_lost_after_the_lookup() -> None:
    assert [each.kind for each in parts_of(Timings(resolve_ms=1, total_ms=10_000))] == ["lookup", "lost"]
    assert parts_of(Timings()) == []


@given(st.none() | st.floats(0, 1e5), st.none() | st.floats(0, 1e5), st.floats(0.001, 1e5))
def test_the_parts_never_leave_the_bar(resolve: float | None, answered: float | None, total: float) -> None:
    for part in parts_of(Timings(resolve_ms=resolve, first_byte_ms=answered, total_ms=total)):
        assert place(part.width) >= 0
        assert place(part.place) + place(part.width) <= 100.02
