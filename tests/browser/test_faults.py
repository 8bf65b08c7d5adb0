"""Forms that are refused: where the page stands, and what has the focus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.harness import Api


@pytest.fixture
def source(console_api: Api) -> Iterator[str]:
    """A source's page."""
    made = console_api.post("/v1/sources", {"type": "shopify", "name": "mugs"}).body
    yield f"/settings/sources/{made['id']}"
    console_api.delete(f"/v1/sources/{made['id']}")


def test_a_refused_form_comes_back_with_the_focus_and_the_page_at_its_fault(page: Page, source: str) -> None:
    page.goto(source)
    page.get_by_label("More topics").fill("no topic")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("names no event")).to_be_in_viewport()
    expect(page.get_by_label("More topics")).to_be_focused()


def test_the_rules_say_that_they_are_saved_or_what_is_wrong_where_their_form_is(page: Page) -> None:
    page.goto("/settings/workspace")
    page.get_by_label("Consent defaults").fill("{")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_label("Consent defaults")).to_be_focused()
    expect(page.get_by_text("This is not JSON")).to_be_in_viewport()
    page.get_by_label("Consent defaults").fill("{}")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_text("The rules are saved.")).to_be_in_viewport()
