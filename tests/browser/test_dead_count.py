"""How many dead letters there are, where it is said, while they become fewer."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE
from tests.harness import Api, ReceiverThread, wait_until
from tracklayer.demo.answers import Answer


def test_the_rail_and_the_heading_count_anew_with_every_replay_and_discard(
    page: Page, console_api: Api, receiver: ReceiverThread
) -> None:
    receiver.script("/fewer", Answer(401))
    draft = {"name": "fewer", "transport": {"url": f"{receiver.url}/fewer"}, "filter": {"event_name": ["fewer"]}}
    destination = console_api.post("/v1/destinations", draft).body["id"]
    for number in range(3):
        console_api.post("/v1/events", {"event_name": "fewer", "event_id": f"fewer_{number}"})
    found = {"destination_id": destination}
    wait_until(lambda: len(console_api.get("/v1/dead-letters", **found).body["data"]) == 3, what="three dead letters")
    receiver.script("/fewer", Answer(200))
    elsewhere = len(console_api.get("/v1/dead-letters", limit=200).body["data"]) - 3

    page.goto(f"/dead-letters?destination_id={destination}")
    in_rail = page.get_by_label("Main", exact=True).get_by_label("dead letter")
    expect(in_rail).to_have_text(str(elsewhere + 3))
    page.get_by_role("row").filter(has_text="fewer_2").get_by_role("link", name="Replay").click()
    expect(page.get_by_role("heading", name="2 dead letters by cause")).to_be_visible(timeout=PATIENCE)
    expect(in_rail).to_have_text(str(elsewhere + 2))

    page.get_by_role("row").filter(has_text="fewer_1").get_by_role("link", name="fewer", exact=True).first.click()
    drawer = page.get_by_role("dialog", name="Details")
    drawer.get_by_text("Let it go").click()
    drawer.get_by_label("Why").fill("a test")
    drawer.get_by_role("button", name="Discard this delivery").click()
    expect(page.get_by_role("heading", name="1 dead letter by cause")).to_be_visible()
    expect(in_rail).to_have_text(str(elsewhere + 1))
    console_api.post("/v1/dead-letters/discard", {**found, "reason": "a test"})
    console_api.delete(f"/v1/destinations/{destination}")
