from __future__ import annotations

import pytest

from tracklayer.web.console.words import sentence, size


@pytest.mark.parametrize(
    "amount,text",
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (1 << 41, "2048.0 GiB"),
    ],
)
def test_a_size_is_said_in_the_largest_unit_that_fits(amount: int, text: str) -> None:
    assert size(amount).replace("\N{NARROW NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    "detail,said",
    [
        ("this is the last admin key: make another one first", "This is the last admin key: make another one first."),
        ("webhook_token is used by dst_1", "webhook_token is used by dst_1."),
        ("'x' is not a scope", "'x' is not a scope."),
        ("Choose another one.", "Choose another one."),
        ("a key needs at least one scope (events:write, …)", "A key needs at least one scope (events:write, …)."),
        ("expected one of 'a', 'b'", "Expected one of 'a', 'b'."),
        ("", ""),
    ],
)
def test_a_detail_becomes_a_sentence_and_no_name_gets_a_capital(detail: str, said: str) -> None:
    assert sentence(detail) == said
