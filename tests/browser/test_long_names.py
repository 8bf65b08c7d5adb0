"""Names as long as they may be, in one word: no page is wider than its window, and no name is written over others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.harness import Api

LONG = "a" * 199
OVERFLOW = """() => {
  const right = (element) => element.getBoundingClientRect().right;
  const spills = (element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1
    && getComputedStyle(element).overflowX === "visible";
  const isOver = (element) => spills(element) || right(element) > right(element.closest("td, dd, .card, main")) + 1;
  const over = [...document.querySelectorAll("main :is(a, code, dd, h1, h2, label, p, td)")].filter(
    (each) => each.checkVisibility() && !each.closest("pre, .tabs") && isOver(each));
  if (document.documentElement.scrollWidth > innerWidth) over.unshift(document.body);
  return over.map((each) => each.outerHTML.slice(0, 100));
}"""


@pytest.fixture
def paths(console_api: Api) -> Iterator[list[str]]:
    """The pages that show long names."""
    transport = {"url": f"http://127.0.0.1:9/{LONG}"}
    destination = console_api.post("/v1/destinations", {"name": LONG, "transport": transport}).body["id"]
    source = console_api.post("/v1/sources", {"type": "segment", "name": LONG}).body["id"]
    audience = LONG[:100]
    console_api.put(f"/v1/audiences/{audience}", {"static": True})
    event = {"event_id": "long_names", "event_name": LONG[:100], "platform": LONG[:60]}
    console_api.post("/v1/events", event)
    at = f"/settings/destinations/{destination}"
    yield [
        *("/settings/destinations", at, f"{at}/settings", f"{at}/edit", f"{at}/signing", f"{at}/versions"),
        *("/settings/sources", f"/settings/sources/{source}", "/audiences", f"/audiences/{audience}"),
        *("/events", "/events/long_names", "/dead-letters", "/deliveries", "/audit"),
    ]
    console_api.delete(at.replace("/settings", "/v1"))
    console_api.delete(f"/v1/sources/{source}")
    console_api.delete(f"/v1/audiences/{audience}")


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_break_no_page(page: Page, paths: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    found = {}
    for path in paths:
        page.goto(path)
        if problems := page.evaluate(OVERFLOW):
            found[path] = problems
    assert not found
