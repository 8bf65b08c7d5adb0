"""Ids: their form, their order, and what the clock may do to them."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.identity import IdFactory, first_id, is_id, made_at

NOW = 1_777_977_000.123
UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class Hands:
    """A clock that shows what it is set to."""

    def __init__(self, unix: float = NOW) -> None:
        self.unix = unix

    def now(self) -> float:
        return self.unix


class Dice(random.Random):
    """Chance that always falls on its highest number."""

    def getrandbits(self, bits: int, /) -> int:
        return (1 << bits) - 1


def factory(clock: Hands | None = None, rng: random.Random | None = None) -> IdFactory:
    return IdFactory((clock or Hands()).now, rng or random.Random(7))


def number_of(text: str) -> int:
    """The 128 bits behind the 26 digits of an id."""
    value = 0
    for digit in text:
        value = value * 32 + CROCKFORD.index(digit)
    return value


def uuid_texts(ids: IdFactory) -> Callable[[], str]:
    return ids.event_uuid


def prefixed_texts(ids: IdFactory) -> Callable[[], str]:
    return lambda: ids.new("dlv")


FORMS = pytest.mark.parametrize("form", [uuid_texts, prefixed_texts])


def test_an_event_uuid_is_a_canonical_uuid_of_version_7() -> None:
    text = factory().event_uuid()
    assert UUID7.fullmatch(text)
    assert str(uuid.UUID(text)) == text


def test_an_event_uuid_begins_with_the_unix_milliseconds() -> None:
    assert uuid.UUID(factory(Hands(1.5)).event_uuid()).int >> 80 == 1500


def test_an_id_is_its_prefix_and_26_digits_of_crockford_base_32() -> None:
    assert re.fullmatch(f"dlv_[{CROCKFORD}]{{26}}", factory().new("dlv"))


def test_an_id_and_an_event_uuid_write_the_same_number() -> None:
    written = factory().new("evt").removeprefix("evt_")
    assert number_of(written) == uuid.UUID(factory().event_uuid()).int


@FORMS
def test_ids_of_one_millisecond_are_in_order(form: Callable[[IdFactory], Callable[[], str]]) -> None:
    make = form(factory())
    made = [make() for _ in range(2000)]
    assert made == sorted(set(made))


@FORMS
@given(times=st.lists(st.floats(0, 10_000_000_000), min_size=2, max_size=50), seed=st.integers(0, 1000))
def test_ids_are_in_order_whatever_the_clock_does(
    form: Callable[[IdFactory], Callable[[], str]], times: list[float], seed: int
) -> None:
    clock = Hands(times[0])
    make = form(factory(clock, random.Random(seed)))
    made = []
    for clock.unix in times:
        made += [make(), make()]
    assert made == sorted(set(made))


@FORMS
def test_when_a_millisecond_runs_out_of_ids_the_next_one_is_borrowed(
    form: Callable[[IdFactory], Callable[[], str]],
) -> None:
    ids = factory(rng=Dice())
    ids._tail = (1 << 60) - 2  # 134 million ids later
    make = form(ids)
    made = [make(), make()]
    assert made == sorted(set(made))
    assert uuid.UUID(ids.event_uuid()).int >> 80 == int(NOW * 1000) + 1


def test_the_version_and_the_variant_stand_however_chance_falls() -> None:
    ids = factory(rng=Dice())
    for _ in range(5):
        assert UUID7.fullmatch(ids.event_uuid())


def test_both_forms_count_on_together() -> None:
    ids = factory()
    numbers = [number_of(ids.new("x")[2:]) if turn % 2 else uuid.UUID(ids.event_uuid()).int for turn in range(10)]
    assert numbers == sorted(set(numbers))


def test_the_same_seed_and_clock_make_the_same_ids() -> None:
    assert factory().event_uuid() == factory().event_uuid()


def test_two_seeds_make_different_ids() -> None:
    assert factory(rng=random.Random(1)).event_uuid() != factory(rng=random.Random(2)).event_uuid()


@given(st.floats(0, 2_000_000_000), st.floats(0, 2_000_000_000))
def test_the_ids_of_a_time_and_later_are_those_from_its_first_id_on(made_at: float, at: float) -> None:
    made = factory(Hands(made_at)).new("dlv")
    assert (made >= first_id("dlv", at)) == (int(made_at * 1000) >= int(at * 1000))


def test_there_is_a_first_id_for_any_time() -> None:
    assert first_id("dlv", -62_135_596_800) == "dlv_0000000000"
    assert first_id("dlv", 253_402_300_799) < "dlv_" + "z" * 26


@given(st.floats(0, 4e9))
def test_an_id_says_when_it_was_made(at: float) -> None:
    made = factory(Hands(at)).new("evt")
    assert made_at(made) == made_at(first_id("evt", at)) == int(at * 1000) / 1000


@pytest.mark.parametrize(
    "text",
    [
        "key_",
        "key_01jxz3mq00fcfrn3c2890ar1c",
        "key_01JXZ3MQ00FCFRN3C2890AR1C0",
        "src_01jxz3mq00fcfrn3c2890ar1c0",
        "key_01jxz3mq00fcfrn3c2890ar1c0\n",
    ],
)
def test_what_no_factory_makes_is_no_id(text: str) -> None:
    assert not is_id(text, "key")
    assert is_id("key_01jxz3mq00fcfrn3c2890ar1c0", "key")
