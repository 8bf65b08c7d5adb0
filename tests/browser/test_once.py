"""A form that a person sends twice in a hurry, and what the server gets of it."""

from __future__ import annotations

from playwright.sync_api import Page, Request, Route, expect

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


def test_a_form_whose_sending_was_stopped_can_be_sent_again_after_a_while(page: Page) -> None:
    browser = page.context.new_cdp_session(page)
    page.clock.install()
    page.goto("/settings/api-keys")
    stopped: list[Route] = []

    def post(route: Route) -> None:
        if route.request.method == "POST" and not stopped:
            stopped.append(route)  # never answered
        else:
            route.continue_()

    page.route("**/settings/api-keys", post)
    page.get_by_label("Name", exact=True).fill("stopped")
    page.get_by_label("events:read").check()
    button = page.get_by_role("button", name="Make the key")
    with page.expect_request(lambda request: request.method == "POST"):
        button.evaluate("button => button.click()")
    browser.send("Page.stopLoading")  # as Esc does
    button.evaluate("button => button.click()")
    page.clock.fast_forward(11_000)
    with page.expect_request(lambda request: request.method == "POST"):
        button.evaluate("button => button.click()")
    expect(page.get_by_text("The new key stopped")).to_be_visible()
    assert len(stopped) == 1
