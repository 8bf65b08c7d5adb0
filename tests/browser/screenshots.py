"""Every page of the console as pictures: `python -m tests.browser.screenshots` (`make screenshots`).

In light and dark, 1280 and 390 pixels wide, to build/screenshots; the four of the README to docs/images. They show the
stage (stage.py). It ends with 1 where a page did not answer 200, and names it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.stage import Stage, stage
from tests.harness import Api

ROOT = Path(__file__).parent.parent.parent
THEMES = ("light", "dark")
SIZES = {1280: 800, 390: 844}  # width → height
README = {
    ("destinations", "light"),
    ("editor-template", "light"),
    ("dead-letters", "dark"),
    ("delivery-drawer", "dark"),
}


class Shot(NamedTuple):
    """One page: `path` may have the ids of destinations in it, as `{slack}`; `act` does something on it first."""

    name: str
    path: str | Callable[[Stage], str]
    act: Callable[[Page], None] | None = None
    is_signed_in: bool = True
    status: int = 200

    def where(self, shown: Stage) -> str:
        """The path with its ids."""
        return self.path(shown) if callable(self.path) else self.path.format(**shown.destinations)


def _cause(name: str, cause: str) -> Callable[[Stage], str]:
    return lambda shown: "/dead-letters?" + urlencode({"destination_id": shown.destinations[name], "cause": cause})


def _delivery(name: str, **wanted: str) -> Callable[[Stage], str]:
    return lambda shown: f"/deliveries/{shown.delivery(destination_id=shown.destinations[name], **wanted)}"


def _event(shown: Stage) -> str:
    dead = shown.delivery(destination_id=shown.destinations["loyalty"], state="dead")
    return f"/events/{shown.api.get(f'/v1/deliveries/{dead}').body['event_id']}"


def _invitation(shown: Stage) -> str:
    link: str = shown.api.post("/v1/people/invitations", {}).body["url"]
    return link.removeprefix(shown.server.url)


def _source(shown: Stage) -> str:
    """The id of a source; the first time it is made, and sends a call that makes no event."""
    known = shown.api.get("/v1/sources").body["data"]
    if known:
        return str(known[0]["id"])
    made = shown.api.post("/v1/sources", {"type": "segment", "name": "Web shop"}).body
    call = {"writeKey": made["key"], "properties": {"price": 18.5}, "userId": "u_1008"}
    Api(shown.server.url, None).post("/v1/track", call)
    return str(made["id"])


def _audience(shown: Stage) -> str:
    """The address of a list; the first time it is made, with two members."""
    if not shown.api.get("/v1/audiences").body["data"]:
        shown.api.put("/v1/audiences/big_spenders", {"rule": {"properties.value": {"$gte": 500}}})
        shown.api.put("/v1/audiences/vip_customers", {"static": True})
        members = [{"external_id": "u_1008"}, {"email": "ana@example.com"}]
        shown.api.post("/v1/audiences/vip_customers/members", {"add": members})
    return "/audiences/vip_customers"


def _open_drawer(page: Page) -> None:
    page.locator("main a[data-drawer]").first.click()
    page.locator("#drawer[open]").wait_for()


def _run_test(page: Page) -> None:
    page.locator("[data-run-test]").click()
    page.locator("[data-stage=send]").wait_for()


def _compare(page: Page) -> None:
    page.locator("[hx-post$='/compare']").first.click()
    page.wait_for_load_state("networkidle")


def _keys(page: Page) -> None:
    page.keyboard.press("?")


ONE = "/settings/destinations/{collector}"
SHOTS = (
    Shot("setup", _invitation, is_signed_in=False),
    Shot("sign-in", "/sign-in", is_signed_in=False),
    Shot("destinations", "/settings/destinations"),
    Shot("destinations-none-found", "/settings/destinations?q=nothing-like-this"),
    Shot("editor-new", "/settings/destinations/new"),
    Shot("editor-slack-preset", "/settings/destinations/new?preset=slack"),
    *(Shot(f"editor-{step}", f"{ONE}/edit#{step}") for step in ("transport", "filter", "template", "retry", "test")),
    Shot("editor-test-passed", "/settings/destinations/{fraud}/edit#test", _run_test),
    Shot("destination", ONE),
    Shot("destination-7d", "/settings/destinations/{warehouse}?window=7d"),
    Shot("destination-failing", "/settings/destinations/{loyalty}"),
    Shot("destination-deliveries", f"{ONE}/deliveries"),
    Shot("destination-dead-letters", f"{ONE}/dead-letters"),
    Shot("versions", f"{ONE}/versions"),
    Shot("version", f"{ONE}/versions/3"),
    Shot("signing", f"{ONE}/signing"),
    Shot("suppressions", "/settings/destinations/{slack}/suppressions"),
    Shot("destination-settings", f"{ONE}/settings"),
    Shot("deliveries", "/deliveries"),
    Shot("deliveries-retrying", "/deliveries?state=retrying"),
    Shot("delivery-drawer", "/deliveries?destination_id={collector}&state=dead", _open_drawer),
    Shot("delivery", _delivery("collector", state="dead")),
    Shot("delivery-timeout", _delivery("warehouse", state="dead")),
    Shot("delivery-unrendered", _delivery("returns", state="dead")),
    Shot("dead-letters", "/dead-letters"),
    Shot("dead-letters-cause", _cause("loyalty", "401")),
    Shot("dead-letters-422", _cause("returns", "422"), _compare),
    Shot("events", "/events"),
    Shot("events-of-a-user", "/events?q=u_1008"),
    Shot("event", _event),
    Shot("source", lambda shown: f"/settings/sources/{_source(shown)}"),
    Shot("sources", "/settings/sources"),
    Shot("audiences", lambda shown: _audience(shown).rpartition("/")[0]),
    Shot("audience", _audience),
    Shot("audience-rule", lambda shown: _audience(shown).replace("vip_customers", "big_spenders")),
    Shot("consent", "/settings/consent"),
    Shot("rejected", lambda shown: f"/rejected?source_id={_source(shown)}"),
    Shot("rejected-drawer", lambda shown: f"/rejected?source_id={_source(shown)}", _open_drawer),
    Shot("workspace", "/settings/workspace"),
    Shot("api-keys", "/settings/api-keys"),
    Shot("secrets", "/settings/secrets"),
    Shot("account", "/settings/account"),
    Shot("audit", "/audit"),
    Shot("components", "/_components"),
    Shot("keys", "/settings/destinations", _keys),
    Shot("not-found", "/nothing-here", status=404),
)


def main() -> int:
    """Take them."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("--only", action="append", choices=[shot.name for shot in SHOTS], help="this one; repeat it")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "screenshots", help="the folder")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    chosen = [shot for shot in SHOTS if not options.only or shot.name in options.only]
    with (
        tempfile.TemporaryDirectory() as folder,
        stage(Path(folder), development="yes") as shown,
        _chromium() as browser,
    ):
        wrong = [
            told
            for theme in THEMES
            for width in SIZES
            for told in _all(browser, shown, chosen, theme, width, options.to)
        ]
    sys.stderr.writelines(f"{each}\n" for each in wrong)
    return 1 if wrong else 0


def _all(browser: Browser, shown: Stage, shots: list[Shot], theme: str, width: int, to: Path) -> Iterator[str]:
    """Take those of one theme and width; answers what went wrong."""
    for is_signed_in in (True, False):
        context = _context(browser, shown, theme, width, is_signed_in=is_signed_in)
        page = context.new_page()
        for shot in shots:
            if shot.is_signed_in is is_signed_in and (wrong := _take(page, shown, shot, theme, width, to)):
                yield wrong
        context.close()


def _take(page: Page, shown: Stage, shot: Shot, theme: str, width: int, to: Path) -> str | None:
    path = shot.where(shown)
    page.goto("about:blank")  # an address that differs in its # only would not be loaded again
    answer = page.goto(path)
    _settle(page)
    if shot.act is not None:
        shot.act(page)
        _settle(page)
    page.screenshot(path=to / f"{shot.name}-{theme}-{width}.png", full_page=True)
    if (shot.name, theme) in README and width == max(SIZES):
        page.screenshot(path=ROOT / "docs" / "images" / f"{shot.name}.png")
    status = answer.status if answer is not None else 0
    return None if status == shot.status else f"{shot.name} ({path}) answered {status}"


def _settle(page: Page) -> None:
    """Return when nothing moves any more: fonts, charts, what htmx has asked for."""
    page.evaluate("document.fonts.ready")
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.wait_for_timeout(250)  # the code editor and the charts are drawn after the page; nothing tells when


def _context(browser: Browser, shown: Stage, theme: str, width: int, *, is_signed_in: bool) -> BrowserContext:
    context = browser.new_context(
        base_url=shown.server.url,
        viewport={"width": width, "height": SIZES[width]},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    if is_signed_in:
        url = shown.server.url
        context.add_cookies([{"name": name, "value": text, "url": url} for name, text in shown.console.cookies.items()])
    return context


@contextmanager
def _chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        sys.exit(f"there is no {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
