"""What is kept of a user: newer wins, denied wins, and no more than the limits."""

from __future__ import annotations

import itertools
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.model.event import encode_json
from tracklayer.model.profile import (
    LONGEST_KEY,
    MAX_CATEGORIES,
    MAX_TRAITS,
    RESTATED,
    Profile,
    ProfileUpdate,
    group_key,
    merge_profile,
    profile_keys,
)

NOW = 1_770_000_000.0


def update(at: float = NOW, **said: Any) -> ProfileUpdate:
    return ProfileUpdate(user_key="u_1", at=at, **said)


def merged(*updates: ProfileUpdate) -> Profile:
    profile = Profile()
    for each in updates:
        profile = merge_profile(profile, each)
    return profile


def test_a_newer_trait_wins_also_when_the_older_one_comes_last() -> None:
    old, new = update(traits={"plan": "free", "seats": 3}), update(NOW + 1, traits={"plan": "pro"})
    assert merged(old, new) == merged(new, old)
    assert merged(old, new).traits == {"plan": ("pro", NOW + 1), "seats": (3, NOW)}


def test_a_trait_that_was_taken_away_is_not_brought_back_by_an_older_call() -> None:
    gone = merged(update(NOW + 1, traits={"plan": None}), update(traits={"plan": "free"}))
    assert gone.traits == {"plan": (None, NOW + 1)}


@pytest.mark.parametrize("name", ["email", "phone"])
def test_an_address_ends_the_hash_of_another_one_and_a_hash_the_address(name: str) -> None:
    address, digest = update(traits={name: "old"}), update(NOW + 1, traits={f"{name}_hash": "0" * 64})
    for both in ((address, digest), (digest, address)):
        assert merged(*both).traits == {f"{name}_hash": ("0" * 64, NOW + 1)}
    newer = update(NOW + 2, traits={name: "new"})
    assert merged(address, digest, newer).traits == {name: ("new", NOW + 2)}
    assert merged(digest, update(NOW + 2, traits={name: None})).traits == {name: (None, NOW + 2)}


def test_an_address_stays_beside_its_own_hash() -> None:
    address = update(traits={"email": "Ann@Shop.example"})
    digest = update(NOW + 1, traits={"email_hash": sha256(b"ann@shop.example").hexdigest()})
    assert merged(address, digest).traits.keys() == {"email", "email_hash"}
    assert merged(address, digest) == merged(digest, address)


def test_what_says_nothing_new_leaves_the_very_same_profile() -> None:
    known = merged(update(traits={"plan": "pro"}, consent={"ad_storage": "granted"}, group="g_1"))
    assert merge_profile(known, update(NOW - 1, traits={"plan": "free"}, group="g_0")) is known
    assert merge_profile(known, update(NOW + 60, consent={"ad_storage": "granted"})) is known
    assert merge_profile(known, update()) is known


def test_granted_said_again_is_kept_with_its_time_after_an_hour_and_denied_always() -> None:
    granted = merged(update(consent={"a": "granted"}), update(NOW + RESTATED, consent={"a": "granted"}))
    assert granted.consent == {"a": ("granted", NOW + RESTATED)}
    denied = merged(update(consent={"a": "denied"}), update(NOW + 1, consent={"a": "denied"}))
    assert denied.consent == {"a": ("denied", NOW + 1)}


def test_of_two_states_of_the_same_moment_denied_wins() -> None:
    for first, second in itertools.permutations(("granted", "denied")):
        assert merged(update(consent={"a": first}), update(consent={"a": second})).consent == {"a": ("denied", NOW)}


def test_a_user_is_in_the_group_that_was_named_last() -> None:
    assert merged(update(NOW + 1, group="g_2"), update(group="g_1")).group == ("g_2", NOW + 1)


def test_a_browser_that_somebody_else_is_named_in_forgets_who_was_there_before() -> None:
    ann = update(NOW, traits={"email": "ann@shop.example", "plan": "gold"}, group="g_1", owner="ann")
    ben = update(NOW + 1, traits={"plan": "free"}, owner="ben")
    for both in (merged(ann, ben), merged(ben, ann)):
        assert both == Profile(traits={"plan": ("free", NOW + 1)}, owner=("ben", NOW + 1))
    unnamed = update(NOW - 1, traits={"email": "a@shop.example"}, consent={"sale": "denied"})
    assert merged(unnamed, ann, update(NOW + 1, owner="ben")) == Profile(
        consent={"sale": ("denied", NOW - 1)}, owner=("ben", NOW + 1)
    )


def test_who_is_named_in_a_browser_again_adds_to_what_is_known() -> None:
    first, again = update(traits={"plan": "gold"}, owner="ann"), update(NOW + 1, traits={"seats": 3}, owner="ann")
    for both in (merged(first, again), merged(again, first)):
        assert both.traits == {"plan": ("gold", NOW), "seats": (3, NOW + 1)}
        assert both.owner == ("ann", NOW + 1)


def test_a_trait_that_is_too_large_or_too_deep_is_left_out_alone() -> None:
    deep: Any = "x"
    for _ in range(9):
        deep = [deep]
    assert merged(update(traits={"bio": "x" * 9000, "deep": deep, "plan": "pro"})).traits == {"plan": ("pro", NOW)}


def test_of_too_many_traits_the_oldest_go_and_of_too_many_categories_too() -> None:
    full = merged(*(update(NOW + i, traits={f"t{i}": "x" * 7000}) for i in range(6)))
    assert list(full.traits) == ["t2", "t3", "t4", "t5"]
    many = merged(*(update(NOW + i, consent={f"c{i}": "denied"}) for i in range(MAX_CATEGORIES + 1)))
    assert "c0" not in many.consent
    assert len(many.consent) == MAX_CATEGORIES


def test_a_user_is_known_by_the_external_id_before_the_anonymous_one() -> None:
    assert profile_keys({"external_id": "u_1", "anonymous_id": "a"}) == ("u_1", "anonymous:a")
    assert profile_keys({"external_id": "", "anonymous_id": "a"}) == ("anonymous:a",)
    assert profile_keys({"external_id": "x" * (LONGEST_KEY + 1)}) == ()
    assert profile_keys({"email": "a@b.c"}) == ()
    assert group_key("g_1") == "group:g_1"
    assert group_key(7) is None
    assert group_key("a\0b") is None


NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
) | st.sampled_from(["1", "group:1", "anonymous:1", "user:1", "user:group:1", "user:user:1"])


@given(NAMES, NAMES)
def test_no_two_are_kept_under_one_key(one: str, other: str) -> None:
    (user,) = profile_keys({"external_id": one})
    assert user not in profile_keys({"anonymous_id": other})
    assert user != group_key(other)
    assert (user == profile_keys({"external_id": other})[0]) == (one == other)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
UPDATES = st.lists(
    st.builds(
        update,
        at=st.floats(1e9, 2e9),
        traits=st.none() | st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
        consent=st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from(["granted", "denied"])),
        group=st.none() | st.sampled_from(["g", "h"]),
    ),
    max_size=6,
    unique_by=lambda each: each.at,
)


@given(UPDATES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_trait_and_no_group(updates: list[ProfileUpdate], rng: Any) -> None:
    shuffled = rng.sample(updates, len(updates))
    one, other = merged(*updates), merged(*shuffled)
    assert (one.traits, one.group) == (other.traits, other.group)
    assert len(encode_json(one.traits)) <= MAX_TRAITS


OWNED = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["ann", "ben", "cem"]), st.sets(st.sampled_from("abc"))),
    unique_by=lambda each: each[0],
    max_size=6,
)


@given(OWNED, st.randoms(use_true_random=False))
def test_a_browser_never_knows_traits_of_two_people(told: list[tuple[int, str, set[str]]], rng: Any) -> None:
    updates = [
        update(NOW + at, owner=owner, traits=dict.fromkeys(sorted(names), owner), group=owner)
        for at, owner, names in told
    ]
    known = merged(*rng.sample(updates, len(updates)))
    last = max(told, default=None)
    assert known.owner == (None if last is None else (last[1], NOW + last[0]))
    assert {value for value, _ in known.traits.values()} <= ({last[1]} if last else set())
    assert last is None or {*known.traits} >= last[2]


@given(UPDATES, st.randoms(use_true_random=False))
def test_a_denial_that_is_the_newest_word_wins_whenever_it_arrives(updates: list[ProfileUpdate], rng: Any) -> None:
    last: dict[str, tuple[float, str]] = {}
    for each in updates:
        for category, state in (each.consent or {}).items():
            last[category] = max(last.get(category, (0.0, "")), (each.at, state))
    kept = merged(*rng.sample(updates, len(updates))).consent
    assert kept.keys() == last.keys()
    assert all(kept[category][0] == "denied" for category, (_, state) in last.items() if state == "denied")
