"""What user agents tell, of the kinds that shops see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.pipeline.devices import user_agent_reader

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.2 Mobile/15E148 Safari/604.1"
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
PIXEL = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.6167.101 "
    "Mobile Safari/537.36"
)
GALAXY_TAB = (
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36"
)
IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
    "Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0"
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 "
    "Safari/605.1.15"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
APPLE_TV = "AppleTV11,1/11.1"
EDGE = WINDOWS + "Safari/537.36 Edg/120.0.2210.91"

read = user_agent_reader()


@pytest.mark.parametrize(
    "text, browser, system, kind",
    [
        (IPHONE, ("Mobile Safari", "17.2"), ("iOS", "17.2"), "mobile"),
        (WINDOWS + "Safari/537.36", ("Chrome", "120.0.0"), ("Windows", "10"), "desktop"),
        (EDGE, ("Edge", "120.0.2210"), ("Windows", "10"), "desktop"),
        (PIXEL, ("Chrome Mobile", "121.0.6167"), ("Android", "14"), "mobile"),
        (GALAXY_TAB, ("Chrome", "119.0.0"), ("Android", "13"), "tablet"),
        (IPAD, ("Mobile Safari", "16.6"), ("iOS", "16.6"), "tablet"),
        (FIREFOX, ("Firefox", "121.0"), ("Ubuntu", None), "desktop"),
        (MAC, ("Safari", "17.1"), ("Mac OS X", "10.15.7"), "desktop"),
        (GOOGLEBOT, ("Googlebot", "2.1"), None, "bot"),
    ],
)
def test_a_user_agent_tells_browser_system_and_kind(
    text: str, browser: tuple[str, str | None], system: tuple[str, str | None] | None, kind: str
) -> None:
    found = read(text)
    assert (found["browser"]["family"], found["browser"].get("version")) == browser
    assert (system and (found["os"]["family"], found["os"].get("version"))) == system
    assert found["device"]["type"] == kind


def test_a_device_has_its_maker_and_model() -> None:
    assert read(IPHONE)["device"] == {"family": "iPhone", "brand": "Apple", "model": "iPhone", "type": "mobile"}
    assert read(PIXEL)["device"]["model"] == "Pixel 8"
    assert read(APPLE_TV)["device"]["type"] == "tv"


@pytest.mark.parametrize("text", ["", "?", "okay/1.0", "x" * 100_000, "\0\n\ud7ff", "Mozilla/5.0"])
def test_what_no_pattern_knows_tells_nothing(text: str) -> None:
    assert read(text) == {}


@given(st.text())
def test_any_text_is_read_the_same_way_twice(text: str) -> None:
    found = read(text)
    assert read(text) is found
    assert all(value for part in found.values() for value in part.values())
