"""Every page of a lively workspace, in both themes, wide and on a phone: what holds on all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.screenshots import SHOTS, SIZES, Shot
from tests.browser.stage import Stage

SHIFT = 0.02  # of the page, in all
ASSETS = 250_000  # bytes
LISTS = ("/settings/destinations", "/deliveries", "/dead-letters", "/events", "/audit")
ZONE = "America/St_Johns"  # half an hour beside everybody else

WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources, hadRecentInput } of list.getEntries()) {
    if (!hadRecentInput) shifts.push({ value, moved: sources.map(({ node }) => node?.outerHTML?.slice(0, 160)) });
  }
}).observe({ type: "layout-shift", buffered: true });
"""
DRAWN = """() => new Promise((resolve) => document.fonts.ready.then(() => {
  let frames = 4;
  const next = () => (frames-- ? requestAnimationFrame(next) : setTimeout(resolve, 60));
  next();
}))"""
OVERFLOW = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 160)).slice(0, 5)"""


@pytest.fixture
def context(browser: Browser, shop: Stage) -> Iterator[BrowserContext]:
    """A new browser with nothing in its cache."""
    fresh = browser.new_context(base_url=shop.server.url, timezone_id=ZONE, reduced_motion="reduce")
    fresh.set_default_timeout(PATIENCE)
    fresh.add_init_script(WATCH_SHIFTS)
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext, shop: Stage, no_console_errors: list[str]) -> Page:
    return visit(context, shop)


def visit(context: BrowserContext, shop: Stage) -> Page:
    """A page of the shop's first person."""
    url = shop.server.url
    context.add_cookies([{"name": name, "value": text, "url": url} for name, text in shop.console.cookies.items()])
    return context.new_page()


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_page_is_accessible_fits_and_stands_still(
    page: Page, shop: Stage, axe: Callable[..., None], shot: Shot
) -> None:
    if not shot.is_signed_in:
        page.context.clear_cookies()
    for width, theme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": SIZES[width]})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        open_page(page, shot.where(shop))
        assert page.evaluate("shifts.reduce((sum, { value }) => sum + value, 0)") < SHIFT, page.evaluate("shifts")
        if shot.act is not None:
            shot.act(page)
            page.evaluate(DRAWN)
        assert page.evaluate(OVERFLOW) == [], f"wider than {width}"
        axe(page)
        page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
        axe(page, ["color-contrast"])


def open_page(page: Page, path: str) -> None:
    """Until nothing moves any more."""
    page.goto("about:blank")  # an address that differs in its fragment only would not be loaded
    page.goto(path)
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.evaluate(DRAWN)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_page_loads_little(page: Page, path: str) -> None:
    page.goto(path)
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => [each.name, each.transferSize])")
    assert sum(size for _, size in loaded) < ASSETS, loaded


def test_times_are_those_of_the_viewers_zone_and_exact_on_hover(page: Page) -> None:
    page.goto("/events")
    shown = page.get_by_role("table").get_by_role("time").first
    moment = datetime.fromisoformat(str(shown.get_attribute("datetime")))
    local = moment.astimezone(ZoneInfo(ZONE))
    assert shown.inner_text() == f"{local.day} {local:%b}, {local:%H:%M:%S}"
    expect(shown).to_have_attribute("title", re.compile(rf"^{moment:%Y-%m-%dT%H:%M:%S}\.\d+Z · .*{ZONE}$"))
