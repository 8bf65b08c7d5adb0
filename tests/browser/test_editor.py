"""What the five-step editor does with keys and clicks that come at an odd moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness import Api


@pytest.fixture
def live(console_api: Api) -> Iterator[str]:
    """A live destination; nothing is sent to it."""
    transport = {"url": "http://127.0.0.1:9/hook"}
    made = console_api.post("/v1/destinations", {"name": "edited", "transport": transport}).body
    yield str(made["id"])
    console_api.delete(f"/v1/destinations/{made['id']}?deliveries=discard")


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True).filter(visible=True)


def test_enter_keeps_a_new_secret_and_saves_no_version(page: Page, console_api: Api, live: str) -> None:
    page.goto(f"/settings/destinations/{live}/edit#transport")
    page.get_by_text("New secret").click()
    field(page, "Name").last.fill("kept_with_enter")
    field(page, "Value").fill("some-value")
    field(page, "Value").press("Enter")
    expect(page.get_by_role("status").filter(has_text="kept_with_enter is kept")).to_be_visible()
    expect(page.get_by_text("New secret")).to_be_focused()
    assert console_api.get(f"/v1/destinations/{live}").body["version"] == 1
    assert console_api.delete("/v1/secrets/kept_with_enter").status == 204


@pytest.mark.parametrize(
    "button,answer",
    [("Run the test", "The test did not arrive"), ("Compare over the last 100 events", "would be sent differently")],
)
def test_a_button_that_brings_its_step_anew_keeps_the_focus(page: Page, live: str, button: str, answer: str) -> None:
    page.goto(f"/settings/destinations/{live}/edit#test")
    page.get_by_role("button", name=button).press("Enter")
    expect(page.get_by_text(answer)).to_be_visible()
    expect(page.get_by_role("button", name=button)).to_be_focused()


def test_a_name_that_was_typed_is_a_chip_and_the_click_that_ended_it_holds(page: Page, live: str) -> None:
    page.goto(f"/settings/destinations/{live}/edit#filter")
    field(page, "Event name").press_sequentially("purchase")
    page.get_by_role("button", name="Payload template").click()
    expect(page.get_by_role("heading", name="Payload template")).to_be_visible()
    expect(page.get_by_label("Filter, as JSON")).to_have_value('{\n  "event_name": ["purchase"]\n}')
    page.get_by_role("button", name="Back").filter(visible=True).click()
    expect(page.get_by_role("button", name="Remove purchase")).to_be_visible()
