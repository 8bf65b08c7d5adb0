from __future__ import annotations

import pytest

from tracklayer.web.console.user_agent import browser_of

_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"


@pytest.mark.parametrize(
    "user_agent,words",
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 on Linux"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_KIT} Chrome/141.0.0.0 Safari/537.36", "Chrome 141 on Linux"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_KIT} Chrome/141.0.0.0 Safari/537.36", "Chrome 141 on ChromeOS"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {_KIT} Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome 141 on Android"),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_KIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
            "Edge 141 on Windows",
        ),
        (f"{_MAC} {_KIT} Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0", "Opera 125 on macOS"),
        (f"{_MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari 18 on macOS"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari 18 on iPhone",
        ),
        ("Firefox/128.0", "Firefox 128"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("x" * 300, "x" * 60),
        ("", "unknown"),
    ],
)
def test_a_browser_is_called_what_people_call_it(user_agent: str, words: str) -> None:
    assert browser_of(user_agent) == words
