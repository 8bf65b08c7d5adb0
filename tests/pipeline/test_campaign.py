"""Campaigns and click ids out of a page's URL, however it is written."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.pipeline.campaign import CLICK_IDS, LONGEST_QUERY, LONGEST_VALUE, UTM, page_query, read_origin

URL = "https://shop.example.com/p?utm_source=a"


def test_every_utm_parameter_and_every_click_id_has_its_place() -> None:
    values = {name: f"v {name}" for name in (*UTM, *CLICK_IDS)}
    origin = read_origin(urlencode(values))
    assert origin["campaign"] == {field: f"v {name}" for name, field in UTM.items()}
    assert origin["click_ids"] == {name: f"v {name}" for name in CLICK_IDS}


@pytest.mark.parametrize("name", [*UTM, *CLICK_IDS])
def test_each_is_found_alone_in_any_case(name: str) -> None:
    (found,) = read_origin(f"x=1&{name.upper()}=Ab-9_").values()
    assert list(found.values()) == ["Ab-9_"]


@pytest.mark.parametrize(
    "query, campaign",
    [
        ("utm_source=a&utm_source=b", {"source": "a"}),
        ("utm_source=&utm_source=b", {"source": "b"}),
        ("utm_source", {}),
        ("utm_source=%20%20", {}),
        ("utm_source=caf%C3%A9+bar%26x", {"source": "café bar&x"}),
        ("utm_source=a=b", {"source": "a=b"}),
        ("utm_source=%FF", {"source": "\ufffd"}),
        ("utm_source=%zz", {"source": "%zz"}),
        ("utm_source=a%0d%0aX-Bad:%201", {}),
        ("utm_source=a%00", {}),
        ("utm%5Fsource=a", {}),
        ("xutm_source=a", {}),
        ("utm_campaign=s&utm_medium=cpc", {"name": "s", "medium": "cpc"}),
        ("&&=&utm_source=a&", {"source": "a"}),
    ],
)
def test_tricks(query: str, campaign: dict[str, str]) -> None:
    assert read_origin(query) == ({"campaign": campaign} if campaign else {})


def test_half_of_an_id_is_no_id() -> None:
    assert read_origin(f"gclid={'x' * LONGEST_VALUE}") == {"click_ids": {"gclid": "x" * LONGEST_VALUE}}
    assert read_origin(f"gclid={'x' * (LONGEST_VALUE + 1)}") == {}
    assert read_origin(f"x={'y' * LONGEST_QUERY}&gclid=a") == {}


@pytest.mark.parametrize(
    "context, properties, query",
    [
        ({"page": {"url": URL}}, {}, "utm_source=a"),
        ({"page": {"url": URL + "#?utm_source=b"}}, {}, "utm_source=a"),
        ({"page": {"url": "https://x.example/#/p?utm_source=b"}}, {}, ""),
        ({}, {"url": URL}, "utm_source=a"),
        ({"page": {"url": "https://x.example/"}}, {"url": URL}, "utm_source=a"),
        ({"page": {"url": "https://x.example/?", "search": "?gclid=1"}}, {}, "gclid=1"),
        ({"page": "https://x.example/?gclid=1"}, {"url": 7}, ""),
        ({"page": {"url": None}}, {"url": ["?gclid=1"]}, ""),
        ({}, {}, ""),
    ],
)
def test_the_query_is_the_first_that_a_page_has(
    context: dict[str, Any], properties: dict[str, Any], query: str
) -> None:
    assert page_query(context, properties) == query


@given(st.text(), st.text(max_size=30))
def test_any_text_is_read_and_what_is_encoded_comes_back(text: str, value: str) -> None:
    read_origin(text)
    wanted = value.strip()
    kept = wanted if wanted.isprintable() else ""
    assert read_origin(f"a=1&gclid={quote_plus(value)}").get("click_ids", {}).get("gclid", "") == kept
