"""docs/audiences.md: its examples, in their order, are what a real server takes and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import KEY, ServerProcess, running_server
from tracklayer.client import ApiClient
from tracklayer.model.rules import Enrichment

PAGE = Path(__file__).parent.parent / "docs" / "audiences.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_the_examples_are_taken_and_answered_as_the_page_says(server: ServerProcess) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    a_list, change, changed, rule, trial, verdict = map(json.loads, blocks)
    with ApiClient(server.url, KEY) as client:
        client.put("/v1/audiences/vip_customers", a_list)
        assert client.post("/v1/audiences/vip_customers/members", change) == changed
        client.put("/v1/audiences/big_spenders", rule)
        assert client.post("/v1/audiences/big_spenders/test", trial) == verdict


def test_every_switch_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == {*Enrichment.__struct_fields__}
