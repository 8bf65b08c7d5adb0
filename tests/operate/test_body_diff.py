from __future__ import annotations

import pytest

from tracklayer.operate.body_diff import MOST_LINES, body_diff

NAMES = ("before", "after")


def changed(before: str | None, after: str | None) -> list[str]:
    """The lines that go and come."""
    lines = body_diff(before, after, names=NAMES).split("\n")[3:]
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("body", ['{"a": 1}', "not json", "", None])
def test_nothing_differs(body: str | None) -> None:
    assert body_diff(body, body, names=NAMES) == ""


def test_it_is_a_unified_diff_of_indented_json() -> None:
    assert body_diff('{"a":1,"b":[2]}', '{"a":1,"b":[3]}', names=NAMES) == (
        '--- before\n+++ after\n@@ -1,6 +1,6 @@\n {\n   "a": 1,\n   "b": [\n-    2\n+    3\n   ]\n }'
    )


def test_white_space_between_values_is_no_difference() -> None:
    assert body_diff('{"a":1}', '{ "a" : 1 }', names=NAMES) == ""


@pytest.mark.parametrize(
    "before, after",
    [("149.99", '"149.99"'), ("1.0", "1.00"), ("1", "1.0"), ("0.1", "0.10000000000000001"), ('"é"', '"\\u00e9"')],
)
def test_numbers_and_texts_are_shown_as_they_stand(before: str, after: str) -> None:
    assert changed(f'{{"v":{before}}}', f'{{"v":{after}}}') == [f'-  "v": {before}', f'+  "v": {after}']


def test_a_body_that_is_no_json_is_compared_by_its_lines() -> None:
    assert changed("a=1\nb=2", "a=1\nb=3") == ["-b=2", "+b=3"]
    assert changed('{"broken', '{"a":1}') == ['-{"broken', "+{", '+  "a": 1', "+}"]


def test_a_body_that_comes_or_goes() -> None:
    assert changed(None, "1") == ["+1"]
    assert changed("1", None) == ["-1"]


def test_a_line_separator_in_a_text_is_no_line() -> None:
    assert changed('{"a":"x\u2028y"}', '{"a":"x\u2028z"}') == ['-  "a": "x\u2028y"', '+  "a": "x\u2028z"']


def test_only_so_many_lines_are_compared_and_it_says_so() -> None:
    long = "\n".join(map(str, range(2 * MOST_LINES)))
    diff = body_diff(long, f"new\n{long}x", names=NAMES).splitlines()
    assert "+new" in diff
    assert diff[-1] == f"… only the first {MOST_LINES} lines are compared"
    assert len(diff) < 20
