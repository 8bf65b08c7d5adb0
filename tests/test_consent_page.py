"""docs/consent.md: its policy and its trial are what a real server takes and answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.running import KEY, running_server
from tracklayer.client import ApiClient
from tracklayer.pipeline.consent_signals import AD_CATEGORIES

PAGE = (Path(__file__).parent.parent / "docs" / "consent.md").read_text(encoding="utf-8")


def test_the_examples_are_taken_and_answered_as_the_page_says(tmp_path: Path) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    policy, trial, expected = map(json.loads, blocks)
    with running_server(tmp_path) as server, ApiClient(server.url, KEY) as client:
        client.post("/v1/destinations", {"name": "ads", "transport": {"url": "https://ads.example.com/"}, **policy})
        (verdict,) = client.post("/v1/consent/test", trial)["destinations"]
    assert {name: verdict[name] for name in expected} == expected


def test_the_categories_that_global_privacy_control_denies_are_on_the_page() -> None:
    (line,) = (line for line in PAGE.splitlines() if line.startswith("1. "))
    assert re.findall(r"`(\w+)`", line) == list(AD_CATEGORIES)
