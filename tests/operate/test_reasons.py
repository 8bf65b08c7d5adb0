"""What is kept of why somebody did something."""

from __future__ import annotations

import pytest

from tracklayer.errors import Invalid
from tracklayer.operate.reasons import LONGEST, checked_reason

ASKED = "a suppression needs a reason"


def test_blanks_around_a_reason_are_an_accident() -> None:
    assert checked_reason("  test orders\n", ASKED) == "test orders"


@pytest.mark.parametrize("reason", ["", " \t\n"])
def test_without_a_reason_it_says_what_was_asked(reason: str) -> None:
    with pytest.raises(Invalid, match=ASKED) as refused:
        checked_reason(reason, ASKED)
    assert (refused.value.code, refused.value.pointer) == ("missing_field", "/reason")


def test_a_reason_has_an_end() -> None:
    assert len(checked_reason("x" * LONGEST, ASKED)) == LONGEST
    with pytest.raises(Invalid, match="501 characters: expected at most 500") as refused:
        checked_reason("x" * (LONGEST + 1), ASKED)
    assert (refused.value.code, refused.value.pointer) == ("invalid_reason", "/reason")
