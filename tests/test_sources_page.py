"""docs/sources.md: its examples are sent to a real server, in their order, and its tables are the code's."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import PATIENCE, Api
from tests.running import KEY, ServerProcess, running_server
from tests.running import tracklayer as run
from tracklayer.client import ApiClient, ApiError
from tracklayer.model.event import decode_json
from tracklayer.operate.sources import SETTINGS
from tracklayer.sources import segment, shopify
from tracklayer.store.rejected import MOST

PAGE = (Path(__file__).parent.parent / "docs" / "sources.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)


def told(title: str) -> list[Any]:
    return [decode_json(block) for block in blocks(title, "json")]


def rows(title: str, head: str) -> list[tuple[str, str]]:
    table = section(title).split(f"| {head} |")[1].split("\n\n")[0]
    return re.findall(r"^\| (.*?) \| (.*?) \|$", table.split("|---|---|\n")[1] + "\n", re.MULTILINE)


def names(text: str) -> list[str]:
    return re.findall(r"`([\w./]+)`", text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[ApiClient]:
    with ApiClient(server.url, KEY) as opened:
        yield opened


def shell(script: str, **variables: str) -> Any:
    """What a block of shell answers, in JSON."""
    missing = [program for program in ("bash", "curl", "openssl") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)}")
    ran = subprocess.run(
        ["bash", "-eu"],
        input=script,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return json.loads(ran.stdout)


def stored(client: ApiClient, expected: dict[str, Any]) -> dict[str, Any]:
    """Those fields of the stored event that the page tells."""
    event = client.get(f"/v1/events/{expected['event_id']}")
    return {name: event[name] for name in expected}


def test_the_api(client: ApiClient) -> None:
    event, batch = told("The API")
    assert client.post("/v1/events", event)["dedup_status"] == "accepted"
    results = client.post("/v1/events/batch", batch)["results"]
    assert [each["status"] for each in results] == ["duplicate", "rejected"]


def test_an_sdk_of_segment(client: ApiClient, server: ServerProcess) -> None:
    draft, expected, _filter = told("Segment SDKs")
    made = client.post("/v1/sources", draft)
    assert made["url"] == server.url
    (program,) = blocks("Segment SDKs", "python")
    program = program.replace("WRITE_KEY", made["key"]).replace("http://127.0.0.1:8080", made["url"])
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)
    assert stored(client, expected) == expected


def test_a_webhook_of_segment(client: ApiClient) -> None:
    (draft,) = told("Segment webhooks")
    made = client.post("/v1/sources", draft)
    (script,) = blocks("Segment webhooks", "sh")
    assert shell(script, SEGMENT_WEBHOOK_URL=made["url"]) == {"success": True, "status": "accepted"}
    assert str(client.get("/v1/events/m_3")["properties"]["value"]) == "149.90"
    client.post(f"/v1/sources/{made['id']}/rotate-key", {"secret": "another-secret"})
    assert shell(script, SEGMENT_WEBHOOK_URL=made["url"])["status"] == 401


def test_a_webhook_of_shopify(client: ApiClient, server: ServerProcess) -> None:
    draft, expected, settings = told("Shopify")
    made = client.post("/v1/sources", draft)
    (script,) = blocks("Shopify", "sh")
    assert shell(script, SHOPIFY_URL=made["url"]) == {"success": True, "status": "accepted"}
    assert stored(client, expected) == expected
    assert shell(script, SHOPIFY_URL=made["url"]) == {"success": True, "status": "duplicate"}
    changed = Api(server.url, KEY).patch(f"/v1/sources/{made['id']}", settings)
    assert changed.body["settings"] == settings["settings"]


def test_a_file(client: ApiClient, server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = blocks("A file", "sh")
    lines = [{"event_name": "purchase", "event_id": "file_1"}, {"event_name": "purchase"}, {"event_id": "no name"}]
    monkeypatch.chdir(tmp_path)
    Path("orders.ndjson.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    ran = run(*command.split()[1:], "--url", server.url, "--key", KEY)
    assert (ran.status, "2 accepted, 0 duplicate, 1 rejected" in ran.out) == (1, True)
    for name in re.findall(r"`(orders\.ndjson\.gz\.[a-z.]+)`", section("A file")):
        assert Path(name).exists(), name


def test_what_is_rejected_is_taken_in_again_as_the_page_says(client: ApiClient) -> None:
    assert f"newest {MOST:,} of a workspace" in section("What is rejected")
    with pytest.raises(ApiError):
        client.post("/v1/events", {"event_id": "page_rejected"})
    (kept, *_) = client.get("/v1/rejected")["data"]
    assert client.get(f"/v1/rejected/{kept['id']}")["payload"] == {"event_id": "page_rejected"}
    with pytest.raises(ApiError) as refused:
        client.post(f"/v1/rejected/{kept['id']}/reingest", {})
    assert refused.value.status == 422


def test_every_type_of_source_is_on_the_page() -> None:
    assert set(re.findall(r"^\| \[`(\w+)`\]", PAGE, re.MULTILINE)) == set(SETTINGS)


def test_the_calls_and_topics_on_the_page_are_those_of_the_code() -> None:
    calls = {names(call)[0]: names(event)[0] for call, event in rows("Segment SDKs", "call | becomes the event")}
    assert calls == {kind: name or "event" for kind, name in segment.CALLS.items()}
    topics = {names(topic)[0]: names(event)[0] for topic, event in rows("Shopify", "topic | becomes the event")}
    assert topics == shopify.TOPICS


def test_the_fields_on_the_page_are_those_of_the_code() -> None:
    told = dict(rows("Shopify", "of Shopify's | becomes"))
    pairs = [(names(theirs), [name.split(".")[-1] for name in names(ours)]) for theirs, ours in told.items()]
    for table, length in ((shopify.AMOUNTS, 4), (shopify.TEXTS, 6), (shopify.ITEM, 5), (shopify.ADDRESS, 4)):
        of_code = {theirs: ours for ours, theirs in table.items()}
        assert len(of_code) == length
        assert any(dict(zip(theirs, ours, strict=False)) == of_code for theirs, ours in pairs), table
    mapped = dict(rows("Segment SDKs", "of a call | becomes"))
    items = next(ours for theirs, ours in mapped.items() if "products" in theirs)
    assert names(items)[2:] == list(segment.ITEM_ID)
    value = next(theirs for theirs, ours in mapped.items() if names(ours) == ["properties.value"])
    assert [name.split(".")[-1] for name in names(value)] == list(segment.VALUE)
