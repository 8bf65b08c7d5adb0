from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracklayer.pipeline.filter import compile_filter
from tracklayer.pipeline.route import RouteTable

NAMES = st.sampled_from(["purchase", "refund", "lead"])
SPECS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"event_name": st.lists(NAMES, max_size=2)}),
    st.fixed_dictionaries({"platform": st.sampled_from(["web", "shopify"])}),
    st.fixed_dictionaries({"$not": st.fixed_dictionaries({"event_name": NAMES})}),
)


def table(specs: list[dict[str, Any]]) -> RouteTable[int]:
    return RouteTable([(compile_filter(spec), number) for number, spec in enumerate(specs)])


def test_an_event_goes_to_every_destination_that_matches_in_order() -> None:
    routes = table([{"event_name": ["purchase"]}, {}, {"event_name": ["lead", "purchase"]}, {"platform": "web"}])
    assert routes.route({"event_name": "purchase", "platform": "shopify"}) == [0, 1, 2]
    assert routes.route({"event_name": "page_view", "platform": "web"}) == [1, 3]


def test_only_the_destinations_of_that_name_are_looked_at() -> None:
    routes = table([{"event_name": [f"event_{number}"]} for number in range(1000)] + [{"platform": "web"}])
    assert [each.destination for each in routes.candidates("event_7")] == [7, 1000]
    assert [each.destination for each in routes.candidates("unheard_of")] == [1000]


def test_a_name_that_nothing_asks_for_has_no_candidates() -> None:
    assert list(table([{"event_name": "purchase"}]).candidates("lead")) == []
    assert table([]).route({"event_name": "lead"}) == []


@given(st.lists(SPECS, max_size=8), NAMES, st.sampled_from(["web", "shopify", None]))
def test_the_index_never_loses_a_match(specs: list[dict[str, Any]], name: str, platform: str | None) -> None:
    fields = {"event_name": name, "platform": platform}
    expected = [number for number, spec in enumerate(specs) if compile_filter(spec).matches(fields)]
    assert table(specs).route(fields) == expected
