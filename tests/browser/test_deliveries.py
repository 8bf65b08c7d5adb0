"""The lists of deliveries and their drawer, while things happen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Locator, Page, Route, expect

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
    expect(row).to_be_focused()


def test_the_focus_goes_to_the_fault_and_to_what_became_of_a_delivery(page: Page, dead: Dead) -> None:
    page.goto(f"/deliveries/{dead.delivery['id']}")
    page.get_by_text("Let it go").click()
    page.get_by_role("button", name="Discard this delivery").press("Enter")
    expect(page.get_by_label("Why", exact=True)).to_be_focused()
    expect(page.get_by_label("Why", exact=True)).to_have_accessible_description(re.compile("takes a reason"))
    page.get_by_role("button", name="Replay", exact=True).press("Enter")
    expect(page.locator(":focus")).to_contain_text("Being sent")
    dead.receiver.close()
    expect(page.locator(":focus")).to_contain_text("Not delivered to")


@pytest.mark.parametrize("leaves", [True, False], ids=["followed-a-link", "reloaded"])
def test_back_from_a_drawer_that_was_loaded_as_a_page_leads_to_the_list(page: Page, dead: Dead, leaves: bool) -> None:
    page.goto(f"/deliveries?state=dead&destination_id={dead.delivery['destination_id']}")
    page.get_by_role("link", name="followed", exact=True).click()
    expect(drawer(page)).to_be_visible()
    if leaves:
        drawer(page).get_by_role("link", name="why it was sent, or not").click()
        expect(page.get_by_role("heading", name="Why was this sent, or not?")).to_be_visible()
        page.go_back()
    else:
        page.reload()
    expect(page.get_by_role("heading", name="followed", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Deliveries", level=1)).to_be_visible()
    page.go_forward()
    expect(drawer(page)).to_be_visible()


def cut(page: Page, then: Callable[[Route], None]) -> None:
    """The first stream of a live tail ends at once, and `then` answers those that come after."""
    page.route("**/deliveries/stream*", then)
    ends = {"content_type": "text/event-stream", "body": "retry: 50\n\n"}
    page.route("**/deliveries/stream*", lambda route: route.fulfill(**ends), times=1)


def test_a_live_list_says_that_it_is_cut_and_offers_what_came_meanwhile(
    page: Page, console_api: Api, no_console_errors: list[str]
) -> None:
    cut(page, lambda route: route.abort())
    page.goto("/deliveries?event_name=missed")
    expect(page.get_by_text("Not live just now")).to_be_visible()
    made = console_api.post("/v1/destinations", {"name": "missing", "transport": {"url": "http://127.0.0.1:9/"}}).body
    console_api.post("/v1/events", {"event_name": "missed"})
    page.unroute("**/deliveries/stream*")
    page.get_by_role("button", name="Show what is new").click()
    expect(page.get_by_text("Not live just now")).to_be_hidden()
    expect(page.locator("[data-delivery]").filter(has_text="missed")).to_be_focused()
    console_api.delete(f"/v1/destinations/{made['id']}?deliveries=discard")
    no_console_errors[:] = [each for each in no_console_errors if "ERR_FAILED" not in each]


def test_a_live_list_whose_session_has_ended_says_so(page: Page) -> None:
    cut(page, lambda route: route.fallback())
    page.goto("/deliveries?state=dead")
    page.context.clear_cookies()
    page.get_by_role("link", name="load the page again").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.url.endswith("/sign-in?next=/deliveries%3Fstate%3Ddead")


def test_a_step_inside_a_page_loads_nothing(page: Page, dead: Dead) -> None:
    page.goto(f"/deliveries?destination_id={dead.delivery['destination_id']}")
    with page.expect_response(re.compile("state=dead")):
        page.get_by_label("State").select_option("dead")
    expect(page).to_have_url(re.compile("state=dead"))
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page).to_have_url(re.compile("#content$"))
    page.get_by_role("link", name="followed", exact=True).click()
    expect(drawer(page)).to_be_visible()
    page.go_back()
    expect(drawer(page)).to_be_hidden()
    assert page.evaluate("window.isTheSame")
