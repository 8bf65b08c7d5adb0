"""The console without a mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.stage import Stage
from tests.console.client import EMAIL, PASSWORD

STOPS = 30  # of Tab on a page

OUTLINED = """() => {
  const at = document.activeElement;
  const shown = [at, at.nextElementSibling, at.closest("label")].filter(Boolean).map((each) => getComputedStyle(each));
  const isSeen = ({ outlineStyle, outlineWidth }) => outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  return at === document.body || shown.some(isSeen);
}"""
IN_VIEW = """() => {
  const { top, bottom } = document.activeElement.getBoundingClientRect();
  return document.activeElement === document.body || (bottom > 0 && top < innerHeight);
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter((element) => {
  const style = getComputedStyle(element);
  const takes = (durations) => durations.split(",").some((each) => parseFloat(each) > 0.001);
  const isAnimated = style.animationName !== "none" && takes(style.animationDuration);
  return isAnimated || (style.transitionProperty !== "none" && takes(style.transitionDuration));
}).map((element) => element.outerHTML.slice(0, 160))"""


@pytest.fixture
def context(browser: Browser, shop: Stage) -> Iterator[BrowserContext]:
    fresh = browser.new_context(base_url=shop.server.url, viewport={"width": 1280, "height": 800})
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext, shop: Stage, no_console_errors: list[str]) -> Page:
    url = shop.server.url
    context.add_cookies([{"name": name, "value": text, "url": url} for name, text in shop.console.cookies.items()])
    return context.new_page()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def rows(page: Page) -> Locator:
    return page.get_by_role("table").first.get_by_role("row").filter(has=page.get_by_role("cell"))


def test_a_slash_searches_and_two_letters_go_to_a_page(page: Page) -> None:
    page.goto("/deliveries")
    press(page, "/")
    expect(page.get_by_label("Find an event by id, user or name")).to_be_focused()
    page.keyboard.type("refund_requested")
    press(page, "Enter")
    expect(page).to_have_url(re.compile(r"/events\?q=refund_requested"))
    expect(rows(page).first).to_contain_text("refund_requested")
    press(page, "g", "d")
    expect(page).to_have_url(re.compile("/settings/destinations$"))
    expect(page.get_by_role("heading", name="Destinations", exact=True)).to_be_visible()


def test_the_keys_are_listed_and_can_be_turned_off(page: Page) -> None:
    page.goto("/events")
    press(page, "?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys).to_be_visible()
    press(page, "g", "d")  # nothing happens behind it
    keys.get_by_label("Single keys act as shortcuts").focus()
    press(page, "Space", "Escape")
    expect(keys).to_be_hidden()
    press(page, "g", "d", "/", "?")
    expect(keys).to_be_hidden()
    expect(page).to_have_url(re.compile("/events$"))


def test_rows_are_walked_opened_and_come_back_to(page: Page) -> None:
    page.goto("/deliveries")
    press(page, "j", "j", "j", "k")
    expect(rows(page).nth(1)).to_be_focused()
    press(page, "Enter")
    drawer = page.get_by_role("dialog", name="Details")
    expect(drawer.get_by_role("heading", level=2).first).to_be_focused()
    expect(page).to_have_url(re.compile("/deliveries/dlv_"))
    press(page, "Escape")
    expect(drawer).to_be_hidden()
    expect(rows(page).nth(1)).to_be_focused()
    expect(page).to_have_url(re.compile("/deliveries$"))


def test_from_within_a_drawer_the_rows_go_on_and_what_it_shows_is_replayed(page: Page, shop: Stage) -> None:
    page.goto(f"/deliveries?state=dead&destination_id={shop.destinations['loyalty']}")
    drawer = page.get_by_role("dialog", name="Details")
    for number in range(2):
        press(page, "j")
        expect(rows(page).nth(number)).to_be_focused()
        press(page, "Enter")
        expect(drawer.get_by_role("heading", level=2).first).to_be_focused()
        expect(page).to_have_url(re.compile(str(rows(page).nth(number).get_attribute("data-delivery"))))
    press(page, "r")
    expect(page.get_by_role("status").filter(has_text="Replayed, rendered anew.")).to_be_visible()
    audit = shop.api.get("/v1/audit", action="dead_letter.replayed", limit=1).body["data"]
    assert audit[0]["target"] == rows(page).nth(1).get_attribute("data-delivery")


def test_a_dead_letter_is_replayed_with_one_key(page: Page, shop: Stage) -> None:
    page.goto(f"/deliveries?state=dead&destination_id={shop.destinations['loyalty']}")
    press(page, "j")
    row = rows(page).first
    delivery = row.get_attribute("data-delivery")
    press(page, "r")
    expect(page.get_by_role("status").filter(has_text=re.compile("[Rr]eplay"))).to_be_visible()
    audit = shop.api.get("/v1/audit", action="dead_letter.replayed", limit=1).body["data"]
    assert audit[0]["target"] == delivery
    expect(row).to_be_focused()


def test_signing_in_pausing_and_resuming_takes_no_mouse(page: Page, shop: Stage) -> None:
    page.context.clear_cookies()
    page.goto("/settings/destinations")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(EMAIL)
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Destinations", exact=True)).to_be_visible()

    row = rows(page).filter(has_text="Order collector")
    while not row.evaluate("row => row === document.activeElement"):
        press(page, "j")
    while not row.get_by_role("button").evaluate("button => button === document.activeElement"):
        press(page, "Tab")
    press(page, "Enter")
    expect(row).to_contain_text("paused")
    expect(row.get_by_role("button", name="Resume Order collector")).to_be_focused()
    press(page, "Enter")
    expect(row).to_contain_text("active")
    expect(row.get_by_role("button", name="Pause Order collector")).to_be_focused()


def test_a_row_that_came_in_can_be_turned_again_in_the_same_moment(page: Page, shop: Stage) -> None:
    page.goto("/settings/destinations")
    row = rows(page).filter(has_text="Order collector")
    page.evaluate(
        """() => addEventListener(
            "htmx:afterSwap", () => setTimeout(() => document.activeElement.click()), {once: true}
        )"""
    )
    row.get_by_role("button").focus()
    with page.expect_response(lambda answer: answer.url.endswith("/resume")):
        press(page, "Enter")
    expect(row).to_contain_text("active")
    expect(page).to_have_url("/settings/destinations")


def test_stop_keeps_the_focus_and_leaves_it_to_the_progress(page: Page, shop: Stage) -> None:
    page.goto(f"/dead-letters?destination_id={shop.destinations['loyalty']}&cause=401")
    page.get_by_label("Pace, a second").fill("0.01")
    page.get_by_role("button", name=re.compile("^Replay ")).press("Enter")
    stop = page.get_by_role("button", name="Stop")
    stop.focus()
    for _ in range(2):  # once the second answer is here the first one is shown
        page.wait_for_event("response", lambda answer: "/dead-letters/replays/" in answer.url)
    expect(stop).to_be_focused()
    press(page, "Enter")
    expect(page.locator(":focus")).to_contain_text("Stopped after")


def test_a_comparison_is_gone_to_and_goes_with_its_mode(page: Page, shop: Stage) -> None:
    page.goto(f"/dead-letters?destination_id={shop.destinations['loyalty']}&cause=401")
    page.get_by_role("button", name="Compare first").press("Enter")
    heading = page.get_by_role("heading", name="would be sent rendered again")
    expect(heading).to_be_focused()
    expect(heading).to_be_in_viewport()
    page.get_by_label("As it was sent").check()
    expect(heading).to_have_count(0)


def test_the_time_switch_keeps_the_focus(page: Page) -> None:
    page.goto("/deliveries")
    page.get_by_role("radio", name="All").focus()
    for chosen in ("1 h", "24 h"):
        press(page, "ArrowRight")
        expect(page).to_have_url(re.compile(f"window={chosen.replace(' ', '')}"))
        expect(page.get_by_role("radio", name=chosen, exact=True)).to_be_focused()


@pytest.mark.parametrize("path", ["/settings/destinations", "/deliveries", "/dead-letters", "/settings/secrets"])
def test_the_focus_is_seen_wherever_it_is(page: Page, path: str) -> None:
    page.goto(path)
    for _ in range(STOPS):
        press(page, "Tab")
        for holds in (OUTLINED, IN_VIEW):
            assert page.evaluate(holds), page.evaluate("document.activeElement.outerHTML.slice(0, 300)")


@pytest.mark.parametrize(
    "path", ["/settings/destinations", "/deliveries", "/settings/destinations/new?preset=blank#test"]
)
def test_nothing_moves_for_those_who_asked_for_it(page: Page, path: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(path)
    assert page.evaluate(MOVING) == []
