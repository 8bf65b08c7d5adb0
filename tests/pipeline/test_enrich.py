"""Enriching: what is added, what stands, what is noted, and what happens when a part of it fails or is late."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.event import Event, event_fields, event_from_json, event_to_json
from tracklayer.model.facts import NO_FACTS, Facts, Group, Traits
from tracklayer.model.rules import Enrichment, WorkspaceRules
from tracklayer.pipeline.audience import Audiences, compile_audiences
from tracklayer.pipeline.enrich import LONGEST_ERROR, MAX_PATHS, Enricher, Tools

DEVICE = {"device": {"family": "iPhone", "type": "mobile"}, "os": {"family": "iOS", "version": "17.2"}}
PLACE = {"country": "GB", "city": "London"}
FULL = Facts(traits={"plan": "pro"}, group=Group(id="acme", traits={"size": 9}), audiences=frozenset({"vip"}))
AUDIENCES = compile_audiences({"vip": None, "pros": {"traits.plan": "pro"}, "british": {"context.geo.country": "GB"}})
URL = "https://shop.example.com/?utm_source=google&gclid=Ab9"


def event(**fields: Any) -> Event:
    times = {"occurred_at": "2026-05-05T10:30:00Z", "received_at": "2026-05-05T10:30:00Z"}
    return Event(**{"event_id": "1", "event_name": "purchase", **times, **fields})


def web(**context: Any) -> Event:
    return event(context={"user_agent": "iPhone", "ip": "81.2.69.142", "page": {"url": URL}, **context})


class Ticking:
    """A clock of which every look takes `step` seconds."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def tools(**changed: Any) -> Tools:
    given = {"user_agent": lambda _: DEVICE, "geo": lambda _: PLACE, "monotonic": Ticking(0), "failed": lambda *_: None}
    return Tools(**{**given, **changed})


def enriched(
    of: Event,
    facts: Facts = NO_FACTS,
    audiences: Audiences = AUDIENCES,
    rules: WorkspaceRules | None = None,
    **changed: Any,
) -> Event:
    return whole(Enricher(tools(**changed)), of, facts, rules or WorkspaceRules(), audiences)


def whole(
    enricher: Enricher, of: Event, facts: Facts, rules: WorkspaceRules, audiences: Audiences = AUDIENCES
) -> Event:
    return enricher.join_audiences(enricher.enrich(of, facts, rules), facts, rules, audiences)


def notes(of: Event) -> list[tuple[str, str]]:
    return [
        (told, note["by"])
        for note in of.context.get("enriched", [])
        for told in (note["paths"] if "paths" in note else [note["error"]])
    ]


def test_each_enricher_fills_its_place_and_signs_it() -> None:
    found = enriched(web(), FULL)
    assert found.context["campaign"] == {"source": "google"}
    assert found.context["click_ids"] == {"gclid": "Ab9"}
    assert found.context["device"] == DEVICE["device"]
    assert found.context["os"] == DEVICE["os"]
    assert "browser" not in found.context
    assert found.context["geo"] == PLACE
    assert found.context["traits"] == {"plan": "pro"}
    assert found.context["group"] == {"id": "acme", "traits": {"size": 9}}
    assert found.segment == ["british", "pros", "vip"]
    assert notes(found) == [
        ("context.traits", "traits"),
        ("context.group", "traits"),
        ("context.device", "user_agent"),
        ("context.os", "user_agent"),
        ("context.geo", "geo"),
        ("context.campaign", "campaign"),
        ("context.click_ids", "campaign"),
        ("segment", "audiences"),
    ]
    assert found.context["enriched"][-1]["names"] == ["british", "pros", "vip"]


def test_an_event_of_which_nothing_more_is_known_stays_the_very_same() -> None:
    bare = event(segment=["mine"], context={"locale": "de"})
    assert enriched(bare) is bare


@pytest.mark.parametrize("name", Enrichment.__struct_fields__)
def test_each_can_be_switched_off(name: str) -> None:
    off = msgspec.structs.replace(Enrichment(), **{name: False})
    found = enriched(web(), FULL, rules=WorkspaceRules(enrichment=off))
    assert {by for _, by in notes(found)} == {*Enrichment.__struct_fields__} - {name}


def test_a_part_that_the_event_says_stands_and_only_what_it_lacks_is_filled_in() -> None:
    found = enriched(web(os={"family": "Android", "version": None}, geo="Berlin", traits={"plan": "free"}), FULL)
    assert found.context["os"] == {"family": "Android", "version": "17.2"}
    assert found.context["geo"] == "Berlin"
    assert found.context["traits"] == {"plan": "free"}
    assert ("context.os.version", "user_agent") in notes(found)


def test_an_audience_is_asked_with_what_the_event_says_over_what_is_known() -> None:
    assert enriched(event(context={"traits": {"plan": "free"}}), FULL).segment == ["vip"]


def test_traits_that_are_not_added_still_count_for_audiences() -> None:
    rules = WorkspaceRules(enrichment=Enrichment(traits=False))
    found = enriched(event(), FULL, rules=rules)
    assert found.segment == ["pros", "vip"]
    assert "traits" not in found.context


def test_a_users_known_email_is_added_with_its_hash_and_signed() -> None:
    found = enriched(event(user_data={"external_id": "u_1"}), Facts(traits={"email": "A@b.example"}))
    assert found.user_data["email"] == "a@b.example"
    assert ("user_data.email_hash", "traits") in notes(found)


def test_the_traits_of_a_group_join_the_event_that_names_it_and_no_other() -> None:
    assert enriched(event(context={"group": {"id": "acme"}}), FULL).context["group"]["traits"] == {"size": 9}
    named = event(context={"group": {"id": "acme", "traits": {"size": 10, "tier": None}}})
    known = Facts(group=Group(id="acme", traits={"size": 9, "tier": "gold"}))
    assert enriched(named, known).context["group"]["traits"] == {"size": 10, "tier": "gold"}
    other = event(context={"group": {"id": "other"}})
    assert enriched(other, Facts(group=FULL.group)) is other


def failing(_text: str) -> Any:
    raise OSError("the file is gone \ud800" + "x" * 500)


def test_an_enricher_that_fails_is_noted_and_the_others_go_on() -> None:
    told: list[tuple[str, str]] = []
    found = enriched(web(), FULL, user_agent=failing, failed=lambda by, why: told.append((by, why)))
    assert "device" not in found.context
    assert found.context["geo"] == PLACE
    note = next(each for each in found.context["enriched"] if "error" in each)
    assert note["by"] == "user_agent"
    assert note["error"].startswith("OSError: the file is gone ?")
    assert len(note["error"]) == LONGEST_ERROR
    assert told == [("user_agent", note["error"])]
    assert event_from_json(event_to_json(found)) == found


def test_when_the_budget_is_spent_the_user_agent_is_not_read_and_nothing_else_is_skipped() -> None:
    found = enriched(web(), FULL, monotonic=Ticking(0.006), budget=0.005)
    errors = [note for note in found.context["enriched"] if "error" in note]
    assert errors == [{"by": "user_agent", "error": "skipped: the budget of 5 ms was spent"}]
    assert found.context["geo"] == PLACE  # by which defaults of consent are chosen
    assert found.context["click_ids"] == {"gclid": "Ab9"}
    assert found.segment == ["british", "pros", "vip"]


def test_a_slow_look_up_that_fails_costs_a_visitor_nothing_else_and_is_made_once() -> None:
    clock, asked = Ticking(0), 0

    def slow(_address: str) -> Any:
        nonlocal asked
        asked += 1
        clock.now += 0.006
        raise ValueError("damaged")

    found = enriched(web(), Facts(traits=Traits(plan="pro")), geo=slow, monotonic=clock, budget=0.005)
    assert [note for note in found.context["enriched"] if "error" in note] == [
        {"by": "geo", "error": "ValueError: damaged"}
    ]
    assert found.context["device"] == DEVICE["device"]
    assert asked == 1


def test_the_budget_also_holds_for_a_visitor_who_is_to_be_remembered_and_the_next_time_it_is_read() -> None:
    clock = Ticking(0.006)
    enricher, known = Enricher(tools(monotonic=clock, budget=0.005)), Facts(traits=Traits(plan="pro"))
    assert "device" not in enricher.enrich(web(), known, WorkspaceRules()).context
    clock.step = 0
    assert enricher.enrich(web(), known, WorkspaceRules()).context["device"] == DEVICE["device"]


@pytest.mark.parametrize("long", [{"user_agent": "iPhone" * 1_000}, {"ip": "81.2.69.142" * 10}])
def test_nobody_is_remembered_by_a_text_that_is_too_long(long: dict[str, str]) -> None:
    enricher, known = Enricher(tools()), Facts(traits=Traits(plan="pro"))
    assert enricher.enrich(web(**long), known, WorkspaceRules()).context["device"] == DEVICE["device"]
    assert enricher._of_visitor.cache_info().currsize == 0


def test_without_a_database_there_is_no_place_and_no_word_of_it() -> None:
    assert "geo" not in {by for _, by in notes(enriched(web(), geo=None))}


def test_a_list_that_is_not_ours_makes_room() -> None:
    found = enriched(web(enriched=["mine"]))
    assert found.context["enriched_2"] == ["mine"]
    assert notes(found)[0] == ("context.device", "user_agent")
    assert enriched(event(context={"enriched": {"by": 1}})).context == {"enriched_2": {"by": 1}}


def test_what_is_noted_is_bounded() -> None:
    many = Facts(traits={f"t{number}": number for number in range(2 * MAX_PATHS)})
    (note,) = enriched(event(context={"traits": {"own": 1}}), many).context["enriched"]
    assert len(note["paths"]) == MAX_PATHS


def test_a_visitor_who_comes_again_is_looked_up_once_and_another_one_anew() -> None:
    asked: list[str] = []

    def place(address: str) -> dict[str, Any]:
        asked.append(address)
        return PLACE

    enricher, known = Enricher(tools(geo=place)), Facts(traits=Traits(plan="pro", email="a@b.example"))
    first, again = (whole(enricher, web(), known, WorkspaceRules()) for _ in range(2))
    assert again == first
    assert first.context["geo"] == PLACE
    assert len(asked) == 1
    elsewhere = whole(enricher, web(ip="::1"), known, WorkspaceRules())
    other = whole(enricher, web(), Facts(traits=Traits(plan="free")), WorkspaceRules())
    off = WorkspaceRules(enrichment=Enrichment(geo=False))
    assert "geo" not in whole(enricher, web(), known, off).context
    assert (elsewhere.segment, other.segment) == (["british", "pros"], ["british"])
    assert len(asked) == 3


def test_what_fails_is_asked_again_for_the_next_event_and_noted_each_time() -> None:
    told: list[str] = []
    enricher = Enricher(tools(geo=failing, failed=lambda by, _: told.append(by)))
    for number in range(1, 3):
        found = whole(enricher, web(), Facts(traits=Traits(plan="pro")), WorkspaceRules())
        assert found.context["device"] == DEVICE["device"]
        assert [note["by"] for note in found.context["enriched"] if "error" in note] == ["geo"]
        assert told == ["geo"] * number


LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.decimals(0, 9, places=2) | st.sampled_from(["pro", URL, ""])
NAMES = st.sampled_from(
    ["url", "id", "traits", "plan", "country", "family", "version", "source", "gclid", "email", "by"]
)
VALUES = st.recursive(LEAF, lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=2))
PARTS = st.sampled_from(
    ["page", "user_agent", "ip", "traits", "group", "campaign", "click_ids", "device", "os", "geo", "enriched"]
)
EVENTS = st.builds(
    event,
    segment=st.lists(st.sampled_from(["vip", "mine", "pros"]), max_size=3),
    context=st.dictionaries(PARTS, VALUES),
    user_data=st.dictionaries(NAMES, VALUES),
    properties=st.dictionaries(NAMES, VALUES),
)
FACTS = st.builds(
    Facts,
    traits=st.dictionaries(NAMES, VALUES),
    group=st.none() | st.builds(Group, id=st.sampled_from(["pro", "acme"]), traits=st.dictionaries(NAMES, VALUES)),
    audiences=st.frozensets(st.sampled_from(["vip", "gone"])),
)
SWITCHES = st.builds(Enrichment, **{name: st.booleans() for name in Enrichment.__struct_fields__})
LOOKUPS: st.SearchStrategy[Callable[[str], Any]] = st.sampled_from([lambda _: PLACE, failing, lambda _: {}])


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Everything that a value says; a list as a whole."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif value is not None:
        yield path, value


@given(EVENTS, FACTS, LOOKUPS)
def test_nothing_is_overridden_or_changed_in_place_and_all_of_it_is_json(
    given_event: Event, facts: Facts, geo: Callable[[str], Any]
) -> None:
    before = copy.deepcopy((given_event, facts))
    found = enriched(given_event, facts, geo=geo)
    assert (given_event, facts) == before
    assert event_from_json(event_to_json(found)) == found
    said, after = dict(leaves(event_fields(given_event))), dict(leaves(event_fields(found)))
    for path, value in said.items():
        if path[:2] != ("context", "enriched") and path != ("segment",):
            assert after[path] == value
    assert set(given_event.segment) <= set(found.segment)


@given(EVENTS, FACTS, LOOKUPS)
def test_enriching_twice_is_enriching_once(given_event: Event, facts: Facts, geo: Callable[[str], Any]) -> None:
    once = enriched(given_event, facts, geo=geo)
    assert enriched(once, facts, geo=geo) == once


@given(EVENTS, FACTS, LOOKUPS, SWITCHES)
def test_what_is_remembered_of_a_visitor_is_what_would_be_found_anew(
    given_event: Event, facts: Facts, geo: Callable[[str], Any], switches: Enrichment
) -> None:
    rules = WorkspaceRules(enrichment=switches)
    context = {"user_agent": "iPhone", "ip": "81.2.69.142", **given_event.context}
    seen = msgspec.structs.replace(given_event, context=context)
    known = msgspec.structs.replace(facts, traits=Traits(facts.traits))
    enricher = Enricher(tools(geo=geo))
    for _ in range(2):
        assert whole(enricher, seen, known, rules) == enriched(seen, facts, rules=rules, geo=geo)
