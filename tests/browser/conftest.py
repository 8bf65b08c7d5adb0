"""The console in Debian's Chromium: a server, somebody signed in, and what holds on every page.

Chromium keeps the pages' Content-Security-Policy here, also for axe-core, which is not injected as a script.
A page may not write an error to its console, and may not ask another host for anything: `page` ends with both checks.

Playwright's loop counts as running in this thread while it lives, and no asynchronous test could run beside it. So it
lives no longer than a module, and modules here hold no asynchronous tests.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.browser.stage import Stage, stage
from tests.console.client import Console, first_person
from tests.harness import Api, ServerProcess

# The first is the same browser without a window around each page, which takes a quarter of the CPU to open one.
BROWSERS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
CHROMIUM = next((path for path in BROWSERS if path.exists()), BROWSERS[-1])
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
PATIENCE = 10_000  # milliseconds
EVENTS = 250  # of the shop: enough for every list, cause and chart to have something in it

Axe = Callable[..., None]


@pytest.fixture(scope="session")
def console_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for every browser test; tests that need it otherwise start their own."""
    manifest = resources.files("tracklayer.web.console") / "static" / "manifest.json"
    if not manifest.is_file() or "app.js" not in manifest.read_text():
        pytest.skip("the console's assets are not built: make assets")
    with ServerProcess(tmp_path_factory.mktemp("browser") / "data", development="yes") as running:
        yield running


@pytest.fixture(scope="session")
def console_url(console_server: ServerProcess) -> str:
    """Where it answers."""
    return console_server.url


@pytest.fixture(scope="session")
def console_api(console_server: ServerProcess) -> Api:
    """Its API, called with the admin key."""
    return Api(console_server.url, console_server.key)


@pytest.fixture(scope="session")
def first(console_server: ServerProcess) -> Console:
    """The session of the very first person."""
    return first_person(console_server)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A lively workspace, for what any page may show. Whoever changes something in it counts on nobody else's rows."""
    with stage(tmp_path_factory.mktemp("shop"), events=EVENTS, development="yes") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser, console_url: str) -> Iterator[BrowserContext]:
    """A browser's profile in which nobody is signed in; paths are of the console."""
    fresh = browser.new_context(base_url=console_url, viewport={"width": 1280, "height": 800})
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def no_console_errors(context: BrowserContext) -> Iterator[list[str]]:
    """What went wrong in the pages of `context`: nothing, when the test ends. A test takes out what it expects."""
    found: list[str] = []
    asked: set[str] = set()
    context.on(
        "console", lambda message: found.append(_said(message.page, message.text)) if _is_error(message) else None
    )
    context.on("weberror", lambda problem: found.append(_said(problem.page, problem.error.stack or problem.error)))
    context.on("request", lambda request: asked.add(request.url.partition("?")[0]))
    yield found
    foreign = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert not found, "the page's console has errors:\n" + "\n".join(found)
    assert not foreign, f"the page asked for what is not of the console: {foreign}"


@pytest.fixture
def stranger(context: BrowserContext, no_console_errors: list[str]) -> Page:
    """A page of somebody who is not signed in."""
    return context.new_page()


@pytest.fixture
def page(context: BrowserContext, no_console_errors: list[str], first: Console) -> Page:
    """A page of the first person, signed in."""
    context.add_cookies([{"name": name, "value": value, "url": first.url} for name, value in first.cookies.items()])
    return context.new_page()


@pytest.fixture(scope="session")
def axe() -> Axe:
    """Asserts that axe-core finds nothing against WCAG 2.2 AA on a page as it stands; or only asks these `rules`."""
    source = _axe_source()

    def check(page: Page, rules: Sequence[str] = ()) -> None:
        asked = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
        options = {"runOnly": asked, "resultTypes": ["violations"], "preload": False, "selectors": False}
        if not page.evaluate("'axe' in window"):
            page.evaluate(source)
        found = page.evaluate("options => axe.run(document, options).then(({ violations }) => violations)", options)
        assert not found, f"{page.url}\n" + "\n".join(map(_violation, found))

    return check


def _axe_source() -> str:
    if not AXE.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(
                "axe-core is missing, and npm to get it: apt-get install npm, then npm ci --prefix tests/browser"
            )
        command = [npm, "ci", "--prefix", str(Path(__file__).parent), "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return AXE.read_text(encoding="utf-8")


def _violation(found: dict[str, Any]) -> str:
    nodes = "\n".join(f"    {node['html'][:200]}\n      {node['failureSummary']}" for node in found["nodes"][:5])
    return f"  {found['id']}: {found['help']}\n{nodes}"


def _said(page: Page | None, what: object) -> str:
    return f"{page.url if page else 'a page'}: {what}"


def _is_error(message: ConsoleMessage) -> bool:
    """Chromium also tells of every page with 4xx, such as a form's 422, which shows people itself what is wrong."""
    is_page = "/static/" not in message.location["url"]
    return message.type == "error" and not (is_page and message.text.startswith(_REFUSED))


_REFUSED = "Failed to load resource: the server responded with a status of 4"
