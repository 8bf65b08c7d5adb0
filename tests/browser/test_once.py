"""A form that a person sends twice in a hurry, and what the server gets of it."""

from __future__ import annotations

from playwright.sync_api import Page, Request, expect

PRESSED_TWICE = "button => { button.click(); return new Promise((done) => setTimeout(() => done(button.click()))); }"


def test_a_second_press_before_the_answer_sends_nothing(page: Page) -> None:
    page.goto("/settings/api-keys")
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    page.get_by_label("Name", exact=True).fill("pressed twice")
    page.get_by_label("events:read").check()
    page.get_by_role("button", name="Make the key").evaluate(PRESSED_TWICE)
    expect(page.get_by_text("The new key pressed twice")).to_be_visible()
    assert len(sent) == 1
