"""Where a user is, and what holds there by default."""

from __future__ import annotations

from typing import Any

import pytest

from tracklayer.pipeline.codes import US_STATES
from tracklayer.pipeline.regions import EEA, ConsentDefaults, regions


@pytest.mark.parametrize(
    "geo, user, found",
    [
        ({"country": "DE"}, {}, ["DE", "EEA", "*"]),
        ({"country": "us", "region": "CA"}, {"country": "DE"}, ["US-CA", "US", "*"]),
        ({"country": "US", "region": "US-CA"}, {}, ["US-CA", "US", "*"]),
        ({}, {"country": "US", "state": " california"}, ["US-CA", "US", "*"]),
        ({}, {"country": "US", "state": "District of Columbia"}, ["US-DC", "US", "*"]),
        ({}, {"country": "US", "state": "Bavaria"}, ["US-BAVARIA", "US", "*"]),
        ({}, {"country": "FR", "state": "IDF"}, ["FR-IDF", "FR", "EEA", "*"]),
        ({"country": "Germany"}, {"country": " no "}, ["NO", "EEA", "*"]),
        (None, {}, ["*"]),
        ("here", {"country": 49}, ["*"]),
    ],
)
def test_the_smallest_region_comes_first(geo: Any, user: Any, found: list[str]) -> None:
    assert list(regions(user, {"geo": geo})) == found


def test_every_state_of_the_united_states_is_known_by_its_name() -> None:
    assert len(US_STATES) == len(set(US_STATES.values())) == 51


def test_britain_and_switzerland_are_not_in_the_eea() -> None:
    assert len(EEA) == 30
    assert not EEA & {"GB", "CH", "US"}


def test_of_several_regions_the_smallest_that_names_a_category_decides() -> None:
    defaults: Any = {
        "*": {"a": "granted", "b": "granted", "c": "granted"},
        "EEA": {"a": "denied", "b": "denied"},
        "DE": {"a": "granted"},
        "US": {"d": "denied"},
    }
    found = ConsentDefaults(defaults).of({"country": "DE"}, {})
    assert found == {"a": ("granted", "DE"), "b": ("denied", "EEA"), "c": ("granted", "*")}
    assert ConsentDefaults({}).of({"country": "DE"}, {}) == {}
