"""The segment of an event: what was sent, the lists, the rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.pipeline.audience import MAX_SEGMENTS, Audiences, compile_audiences, compile_rule


def fields(*sent: str, **more: Any) -> dict[str, Any]:
    return {"event_name": "purchase", "segment": list(sent), **more}


def test_what_was_sent_lists_and_rules_come_together_in_order_and_once() -> None:
    audiences = compile_audiences({"vip": None, "big": {"properties.value": {"$gte": 100}}, "lead": {"traits.x": 1}})
    found = audiences.segment(fields("vip", "mine", "mine", properties={"value": 100}), {"vip"})
    assert found == ["big", "mine", "vip"]


def test_a_rule_asks_for_what_is_known_of_the_user() -> None:
    audiences = compile_audiences({"pros": {"traits.plan": "pro"}})
    assert audiences.segment(fields(traits={"plan": "pro"}), ()) == ["pros"]
    assert audiences.segment(fields(traits={"plan": "free"}), ()) == []
    assert audiences.segment(fields(), ()) == []


def test_a_list_of_an_audience_that_is_gone_counts_for_nothing() -> None:
    assert compile_audiences({"now_a_rule": {"platform": "web"}}).segment(fields(), {"gone", "now_a_rule"}) == []


def test_rules_see_the_lists_and_never_each_other() -> None:
    audiences = compile_audiences({"vip": None, "a": {"segment": "vip"}, "b": {"segment": "a"}})
    assert audiences.segment(fields(), {"vip"}) == ["a", "vip"]


def test_a_rule_for_another_event_does_not_match() -> None:
    assert compile_audiences({"leads": {"event_name": "lead"}}).segment(fields(), ()) == []


@pytest.mark.parametrize(
    "rule, pointer",
    [
        ({}, ""),
        ({"event_name": []}, ""),
        ({"trait.plan": "pro"}, "/trait.plan"),
        ({"$or": [{"traits.plan": {"$near": 1}}]}, "/$or/0/traits.plan/$near"),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused_with_its_place(rule: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_rule(rule)
    assert (refusal.value.code, refusal.value.pointer) == ("invalid_filter", pointer)


NAMES = st.lists(st.sampled_from([f"s{number}" for number in range(130)]), max_size=130)


@given(NAMES, NAMES)
def test_a_segment_is_bounded_sorted_and_holds_what_was_sent_first(sent: list[str], listed: list[str]) -> None:
    audiences = Audiences(static=frozenset(listed))
    found = audiences.segment(fields(*sent), frozenset(listed))
    assert found == sorted(set(found))
    assert len(found) == min(MAX_SEGMENTS, len({*sent, *listed}))
    assert set(list(dict.fromkeys(sent))[:MAX_SEGMENTS]) <= set(found)
    assert audiences.segment(fields(*found), frozenset(listed)) == found
