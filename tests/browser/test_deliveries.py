"""The lists of deliveries and their drawer, while things happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness import Api, ReceiverThread, wait_until
from tracklayer.demo.answers import Answer, Hang

PATH = "/followed"


class Dead(NamedTuple):
    """A dead letter and its receiver, which takes the next request and says nothing."""

    delivery: dict[str, Any]
    receiver: ReceiverThread


@pytest.fixture
def dead(console_api: Api) -> Iterator[Dead]:
    with ReceiverThread() as receiver:
        receiver.script(PATH, Answer(401), Hang())
        draft = {
            "name": "slow receiver",
            "transport": {"url": receiver.url + PATH},
            "filter": {"event_name": ["followed"]},
        }
        made = console_api.post("/v1/destinations", draft | {"retry": {"attempts": 0}}).body
        console_api.post("/v1/events", {"event_name": "followed"})
        wanted = {"destination_id": made["id"], "state": "dead"}
        found = wait_until(lambda: console_api.get("/v1/deliveries", **wanted).body["data"], what="a dead letter")
        yield Dead(found[0], receiver)
        console_api.delete(f"/v1/destinations/{made['id']}?deliveries=discard")


def drawer(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Details")


def test_a_replay_is_followed_in_the_drawer_until_it_is_settled(page: Page, dead: Dead) -> None:
    page.goto(f"/dead-letters?destination_id={dead.delivery['destination_id']}")
    row = page.locator(f"[data-delivery='{dead.delivery['id']}']")
    row.get_by_role("link", name="followed", exact=True).click()
    drawer(page).get_by_role("button", name="Replay", exact=True).click()
    expect(drawer(page)).to_contain_text("Being sent")
    expect(row).to_contain_text("sending")
    dead.receiver.close()
    for place in (drawer(page), row):
        expect(place).to_contain_text("dead letter")


def test_a_replay_from_a_row_is_followed_there(page: Page, dead: Dead) -> None:
    page.goto(f"/dead-letters?destination_id={dead.delivery['destination_id']}")
    row = page.locator(f"[data-delivery='{dead.delivery['id']}']")
    row.get_by_role("link", name="Replay followed").click()
    expect(row).to_contain_text("sending")
    dead.receiver.close()
    expect(row).to_contain_text("dead letter")
