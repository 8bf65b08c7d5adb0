"""From the first link to signing out, with the keyboard alone; and the settings pages as people meet them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.client import EMAIL, PASSWORD, setup_link
from tests.harness import Api, ServerProcess

Axe = Callable[[Page], None]
SETTINGS = ("workspace", "api-keys", "secrets", "account", "sources")


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that nobody has set up."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called `name` has the focus."""
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "() => { const at = document.activeElement;"
            " return at.ariaLabel || at.labels?.[0]?.innerText || at.innerText || ''; }"
        )
        seen.append(str(label).strip())
        if seen[-1] == name:
            return
    raise AssertionError(f"Tab does not come to {name!r}, only to {seen}")


def test_setting_up_signing_out_and_in_again_needs_no_mouse(
    empty_server: ServerProcess, stranger: Page, axe: Axe
) -> None:
    page = stranger
    page.goto(setup_link(empty_server))
    axe(page)
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(EMAIL)
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    tab_to(page, "Password, again")
    page.keyboard.type("a slip of the finger")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The two passwords are not the same.")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_value(EMAIL)
    axe(page)

    for label in ("Password", "Password, again"):
        tab_to(page, label)
        page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Destinations", exact=True)).to_be_visible()

    tab_to(page, EMAIL)  # the person's menu
    page.keyboard.press("Enter")
    tab_to(page, "Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    axe(page)

    page.goto(f"{empty_server.url}/audit")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.keyboard.type(EMAIL)
    tab_to(page, "Password")
    page.keyboard.type("not the password of ana")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No person has this e-mail and this password")
    axe(page)
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_settings_pages_are_accessible_and_fit(
    page: Page, console_api: Api, axe: Axe, scheme: str, width: int
) -> None:
    """With what they show when they have something to show: a missing secret, a secret in use, an open detail."""
    console_api.put("/v1/secrets/shown_token", {"value": "some-value"})
    reading = {"Authorization": "{{secrets.shown_token}}", "X-Other": "{{secrets.missing_token}}"}
    transport = {"url": "http://127.0.0.1:9/hook", "headers": reading}
    made = console_api.post("/v1/destinations", {"name": "shown", "status": "paused", "transport": transport})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    for name in SETTINGS:
        page.goto(f"/settings/{name}")
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
    page.goto("/audit")
    page.locator("summary", has_text="name, status").first.click()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"the audit is wider than {width}"
    console_api.delete(f"/v1/destinations/{made.body['id']}")


def test_a_new_key_is_copied_used_and_revoked(page: Page, console_url: str, axe: Axe) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console_url)
    page.goto("/settings/api-keys")
    page.get_by_label("Name", exact=True).fill("copied key")
    page.get_by_label("events:read").check()
    page.get_by_role("button", name="Make the key").click()
    axe(page)
    page.locator("[data-copy='#new-key']").click()
    expect(page.locator("[data-copy='#new-key']")).to_contain_text("Copied")
    key = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"tl_live_\w+", key)
    assert Api(console_url, key).get("/v1/events").status == 200

    page.get_by_role("button", name="Revoke copied key").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Whatever calls with it is refused from now on.")
    axe(page)
    page.keyboard.press("Escape")
    assert Api(console_url, key).get("/v1/events").status == 200
    page.get_by_role("button", name="Revoke copied key").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("copied key")).to_have_count(0)
    assert Api(console_url, key).get("/v1/events").status == 401


def test_a_missing_secret_is_set_from_its_warning(page: Page, console_api: Api) -> None:
    transport = {"url": "http://127.0.0.1:9/hook", "headers": {"Authorization": "{{secrets.wanted_token}}"}}
    made = console_api.post("/v1/destinations", {"name": "wanting", "status": "paused", "transport": transport})
    page.goto("/settings/secrets?return=/settings/sources")
    page.get_by_role("link", name="Set wanted_token").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("wanted_token")
    expect(page.get_by_label("Value", exact=True)).to_be_focused()
    page.get_by_label("Value", exact=True).fill("some-value")
    page.get_by_role("button", name="Save the secret").click()
    expect(page).to_have_url(re.compile(r"/settings/sources$"))
    page.goto("/settings/secrets")
    expect(page.get_by_text("wanted_token is missing")).to_have_count(0)
    console_api.delete(f"/v1/destinations/{made.body['id']}")
    console_api.delete("/v1/secrets/wanted_token")


def test_a_destination_whose_name_has_blanks_around_it_is_deleted_by_its_name(page: Page, console_api: Api) -> None:
    transport = {"url": "http://127.0.0.1:9/hook"}
    made = console_api.post("/v1/destinations", {"name": "  blank  ", "status": "paused", "transport": transport})
    page.goto(f"/settings/destinations/{made.body['id']}/settings")
    page.get_by_label("To delete it, type").fill("blank")
    page.get_by_role("button", name="Delete this destination").click()
    expect(page).to_have_url(re.compile(r"/settings/destinations$"))
    assert console_api.get(f"/v1/destinations/{made.body['id']}").status == 404
