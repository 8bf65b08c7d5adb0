"""The retry policy on a line of time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.destination import Retry
from tracklayer.web.console.pages.retry_timeline import CHARACTER, END, START, Mark, timeline

GUIDE = Retry(attempts=5, backoff="2s, 10s, 30s, 2m, 10m")


def test_the_guides_policy_sends_six_times_and_gives_up_after_12_m_42_s() -> None:
    line = timeline(GUIDE)
    assert line is not None
    assert [mark.number for mark in line.marks] == [1, 2, 3, 4, 5, 6]
    assert line.gives_up == 762
    assert line.longest == 762 * 1.1
    assert line.marks[0].place == f"{START:.2f}%"
    assert line.marks[-1].place == f"{END:.2f}%"
    assert all(mark.label for mark in line.marks)


def test_no_retry_is_one_mark() -> None:
    line = timeline(Retry(attempts=0))
    assert line is not None
    assert [mark.label for mark in line.marks] == ["at once"]


def test_an_impossible_policy_has_no_line() -> None:
    assert timeline(Retry(backoff="later")) is None


@given(st.lists(st.integers(0, 86_400), min_size=1, max_size=100))
def test_labels_never_stand_on_each_other_and_the_first_and_last_are_there(delays: list[int]) -> None:
    line = timeline(Retry(attempts=len(delays), backoff=[f"{delay}s" for delay in delays]))
    assert line is not None
    assert line.marks[0].label
    assert line.marks[-1].label
    for row in (0, 1):
        spans = [span(mark) for mark in line.marks if mark.label and mark.row == row]
        assert all(left[1] <= right[0] + 0.02 for left, right in pairwise(spans))


def span(mark: Mark) -> tuple[float, float]:
    """From where to where a label stands, in percent."""
    place, width = float(mark.place.rstrip("%")), CHARACTER * len(mark.label)
    left = {"start": place, "middle": place - width / 2, "end": place - width}[mark.anchor]
    return left, left + width
