"""docs/destinations.md: every example on it is taken by a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import KEY, ServerProcess, running_server
from tests.running import tracklayer as run
from tracklayer.client import ApiClient

PAGE = Path(__file__).parent.parent / "docs" / "destinations.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"the page has no {language} block"
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.mark.parametrize("number", range(len(blocks("json"))))
def test_an_example_is_saved_as_it_stands(server: ServerProcess, number: int) -> None:
    part = json.loads(blocks("json")[number])
    whole = {"name": f"example {number}", "transport": {"url": "https://hooks.example.com/x"}, **part}
    with ApiClient(server.url, KEY) as client:
        saved = client.post("/v1/destinations", whole)
        again = client.put(f"/v1/destinations/{saved['id']}", whole, dry_run=True)
    assert again == {"changed": False, "changes": []}


def test_the_examples_work_together_in_one_destination(server: ServerProcess) -> None:
    whole: dict[str, object] = {}
    for part in map(json.loads, blocks("json")):
        whole |= part
    with ApiClient(server.url, KEY) as client:
        assert client.post("/v1/destinations", whole, dry_run=True)["changed"] is True


def test_the_file_is_applied_and_applying_it_again_changes_nothing(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_SIGNING_SECRET", "dest_live_9f3b27")
    (text,) = blocks("yaml")
    first, second = (
        run(*("destinations", "apply", "--yes", "-f", "-"), stdin=text, url=server.url, api_key=KEY) for _ in range(2)
    )
    assert first.status == 0, first
    assert "created order-collector: version 1" in first.out
    assert second.out.splitlines()[0] == "= unchanged order-collector"
