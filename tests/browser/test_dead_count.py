"""How many dead letters there are, where it is said, while they become fewer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE
from tests.harness import Api, ReceiverThread, wait_until
from tracklayer.demo.answers import Answer


@pytest.fixture
def fewer(console_api: Api, receiver: ReceiverThread, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A destination with three dead letters, `fewer_0` to `fewer_2`, whose receiver is well again."""
    receiver.script("/fewer", Answer(401))
    draft = {"name": "fewer", "transport": {"url": f"{receiver.url}/fewer"}, "filter": {"event_name": ["fewer"]}}
    found = {"destination_id": console_api.post("/v1/destinations", draft).body["id"]}
    for number in range(3):
        event_id = f"fewer_{number} {request.node.name}"
        console_api.post("/v1/events", {"event_name": "fewer", "event_id": event_id})
    wait_until(lambda: len(console_api.get("/v1/dead-letters", **found).body["data"]) == 3, what="three dead letters")
    receiver.script("/fewer", Answer(200))
    yield found
    console_api.post("/v1/dead-letters/discard", {**found, "reason": "a test"})
    console_api.delete(f"/v1/destinations/{found['destination_id']}")


def test_the_rail_and_the_heading_count_anew_with_every_replay_and_discard(
    page: Page, console_api: Api, fewer: dict[str, str]
) -> None:
    elsewhere = len(console_api.get("/v1/dead-letters", limit=200).body["data"]) - 3

    page.goto(f"/dead-letters?destination_id={fewer['destination_id']}")
    in_rail = page.get_by_label("Main", exact=True).get_by_label("dead letter")
    expect(in_rail).to_have_text(str(elsewhere + 3))
    page.get_by_role("row").filter(has_text="fewer_2").get_by_role("link", name="Replay").click()
    expect(page.get_by_role("heading", name="2 dead letters by cause")).to_be_visible(timeout=PATIENCE)
    expect(in_rail).to_have_text(str(elsewhere + 2))

    discard(page, "fewer_1")
    expect(page.get_by_role("heading", name="1 dead letter by cause")).to_be_visible()
    expect(in_rail).to_have_text(str(elsewhere + 1))


def test_the_page_of_one_cause_counts_anew_and_keeps_what_was_typed(page: Page, fewer: dict[str, str]) -> None:
    page.goto(f"/dead-letters?destination_id={fewer['destination_id']}&cause=401")
    reason = page.get_by_label("Discard these: why?")
    reason.fill("half a sen")
    page.get_by_role("row").filter(has_text="fewer_2").get_by_role("link", name="Replay").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 from", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Replay 2")).to_be_visible()
    expect(page.get_by_role("button", name="Discard 2")).to_be_visible()
    expect(page.get_by_text("3 of 2")).to_be_visible()

    discard(page, "fewer_1")
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 from", timeout=PATIENCE)
    page.keyboard.press("Escape")
    expect(reason).to_have_value("half a sen")
    page.get_by_role("button", name="Discard 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard 1").click()
    expect(page.get_by_text("Discarded: 1.")).to_be_visible()


def discard(page: Page, event_id: str) -> None:
    """Let a dead letter of the list go."""
    page.get_by_role("row").filter(has_text=event_id).get_by_role("link", name="fewer", exact=True).first.click()
    drawer = page.get_by_role("dialog", name="Details")
    drawer.get_by_text("Let it go").click()
    drawer.get_by_label("Why").fill("a test")
    drawer.get_by_role("button", name="Discard this delivery").click()
