"""The official SDKs, unmodified, deliver every kind of call to the real server; they know only its address and a key.

The npm package is pinned in tests/sources/package-lock.json.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.senders import made, rejected, today

HERE = Path(__file__).parent.parent / "sources"
KINDS = ("identify", "track", "page", "screen", "group", "alias")
NAMES = ("identify", "purchase", "page_view", "screen_view", "group", "alias")

# What an SDK does, in a process of its own: it starts threads and says what it does when the interpreter ends.
_PYTHON = """
import sys
from {module} import Client
host, key, name, packed = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "gzip"
failures = []
client = Client(key, host=host, gzip=packed, upload_interval=0.05, max_retries=0,
                on_error=lambda error, batch: failures.append(error))
who = dict(user_id=name + "_user", anonymous_id=name + "_anonymous")
client.identify(**who, traits=dict(email="Jane@Example.com", plan="pro"), message_id=name + "_identify")
client.track(**who, event="Order Completed", message_id=name + "_track", properties=dict(
    order_id="100045", revenue=149.9, currency="EUR",
    products=[dict(product_id="sku_1", name="Mug", price=74.95, quantity=2)]), context=dict(
    ip="203.0.113.9", userAgent="Mozilla/5.0", page=dict(url="https://shop.example/?utm_source=news", path="/"),
    campaign=dict(source="news", name="spring")))
client.page(**who, name="Home", properties=dict(url="https://shop.example/"), message_id=name + "_page")
client.screen(**who, name="Start", message_id=name + "_screen")
client.group(**who, group_id="g1", traits=dict(employees=12), message_id=name + "_group")
client.alias(previous_id=name + "_anonymous", user_id=name + "_user", message_id=name + "_alias")
client.track(**who, event="x" * 300, message_id=name + "_bad")
client.flush()
client.join()
sys.exit(str(failures) if failures else 0)
"""


class Sdk(NamedTuple):
    """An SDK under test."""

    command: Callable[[str, str, str], list[str]]  # server, write key, beginning of the message ids → what to run
    missing: Callable[[], str | None]  # what to install first


def python_sdk(module: str, package: str, packing: str = "plain") -> Sdk:
    """An SDK of PyPI."""

    def missing() -> str | None:
        found = importlib.util.find_spec(module.partition(".")[0])
        return None if found else f"{package} is not installed: pip install {package}"

    script = _PYTHON.format(module=module)
    return Sdk(lambda url, key, name: [sys.executable, "-c", script, url, key, name, packing], missing)


def _node_missing() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed (Debian: apt-get install nodejs)"
    if not (HERE / "node_modules" / "@segment" / "analytics-node").is_dir():
        return "the npm package @segment/analytics-node is not installed: npm ci --prefix tests/sources"
    return None


SDKS = {
    "segment-python": python_sdk("segment.analytics.client", "segment-analytics-python"),
    "segment-python-gzip": python_sdk("segment.analytics.client", "segment-analytics-python", "gzip"),
    "rudder-python": python_sdk("rudderstack.analytics.client", "rudder-sdk-python", "gzip"),
    "segment-node": Sdk(lambda url, key, name: ["node", str(HERE / "segment_node.cjs"), url, key, name], _node_missing),
}


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    found = SDKS[request.param]
    missing = found.missing()
    if missing is not None:
        pytest.skip(missing)
    return found


def run(sdk: Sdk, api: Api, key: str, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(sdk.command(api.url, key, name), capture_output=True, text=True, timeout=60, check=False)


def test_every_kind_of_call_arrives(api: Api, sdk: Sdk, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    source = made(api, "segment", name)
    ran = run(sdk, api, source["key"], name)
    assert ran.returncode == 0, ran.stderr
    events = {kind: ok(api.get(f"/v1/events/{name}_{kind}")) for kind in KINDS}
    assert [event["event_name"] for event in events.values()] == list(NAMES)
    for event in events.values():
        assert event["user_data"]["external_id"] == f"{name}_user"
        assert event["context"]["library"]["name"] in ("analytics-python", "@segment/analytics-node")
        assert abs(_moment(event["received_at"]) - _moment(datetime.now(UTC).isoformat())) < 60

    track = events["track"]
    assert track["properties"]["value"] == 149.9
    assert track["properties"]["items"] == [{"id": "sku_1", "name": "Mug", "price": 74.95, "quantity": 2}]
    assert track["context"]["ip"] == "203.0.113.9"
    assert track["context"]["user_agent"] == "Mozilla/5.0"
    assert track["context"]["page"]["url"] == "https://shop.example/?utm_source=news"
    assert track["context"]["campaign"]["source"] == "news"
    assert events["identify"]["user_data"]["email"] == "jane@example.com"
    assert events["identify"]["context"]["traits"]["plan"] == "pro"
    assert events["page"]["properties"]["name"] == "Home"
    assert events["group"]["context"]["group"]["id"] == "g1"
    assert events["alias"]["properties"]["previous_id"] == f"{name}_anonymous"

    (bad,) = rejected(api, source)  # the SDK got its 200 all the same
    assert ok(api.get(f"/v1/rejected/{bad['id']}"))["payload"]["messageId"] == f"{name}_bad"
    assert today(api, source) == {"accepted": len(KINDS), "duplicate": 0, "rejected": 1}


def test_what_is_sent_again_is_a_duplicate(api: Api, sdk: Sdk, request: pytest.FixtureRequest) -> None:
    name = f"again_{request.node.callspec.id}"
    source = made(api, "segment", name)
    assert run(sdk, api, source["key"], name).returncode == 0
    assert run(sdk, api, source["key"], name).returncode == 0
    assert today(api, source) == {"accepted": len(KINDS), "duplicate": len(KINDS), "rejected": 2}


def test_a_wrong_key_fails_at_once_and_stores_nothing(api: Api, sdk: Sdk, request: pytest.FixtureRequest) -> None:
    name = f"wrong_{request.node.callspec.id}"
    ran = run(sdk, api, "tl_write_wrong", name)
    assert ran.returncode != 0
    problem(api.get(f"/v1/events/{name}_track"), 404, "not_found")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_the_sdk_of_npm_is_pinned() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    wanted: dict[str, Any] = json.loads((HERE / "package.json").read_text())["dependencies"]
    for package, version in wanted.items():
        assert lock["packages"][f"node_modules/{package}"]["version"] == version
