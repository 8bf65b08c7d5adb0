"""The console's pages over a database of a million deliveries, one request at a time over one connection."""

from __future__ import annotations

import http.client
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.filled import destination_id, fill
from bench.measure import percentile, spread
from bench.process import Busy, Process, free_port, stopping
from bench.report import QUIET, table
from bench.subjects import ADMIN_KEY, ROOT, await_ready

DELIVERIES = 1_000_000
REPEATS = 20
AIM_MS = 150.0
ASSETS_AIM = 250_000  # bytes that a list page loads beside itself
COLUMNS = ("page", "what", "KB", "CPU ms", "first ms", "p50 ms", "p95 ms", "aim")
AS_DRAWER = {"HX-Request": "true", "HX-Target": "drawer"}


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How long one page took, in seconds."""

    path: str
    what: str
    size: int  # bytes of the answer
    first: float  # the very first request for it after the server's start
    later: tuple[float, ...]
    cpu: float  # CPU seconds of the server for each of the later requests

    @property
    def is_met(self) -> bool:
        """Whether it meets the aim, the first request aside."""
        return 1000 * percentile(sorted(self.later), 95) < AIM_MS


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run."""

    deliveries: int
    pages: tuple[Timed, ...]
    assets: dict[str, int]  # what a list page loads: path → bytes
    others: float  # the share (0 to 1) of the machine that went elsewhere meanwhile


def measure(deliveries: int, repeats: int, *, say: Callable[[str], None], data_dir: Path | None = None) -> Measured:
    """Fill a database, serve it, and ask for every page. Raises `RuntimeError` where one does not answer 200."""
    with tempfile.TemporaryDirectory(prefix="tracklayer-bench-", dir=data_dir) as root:
        say(f"filling {deliveries:,} deliveries")
        fill(Path(root) / "data" / "tracklayer.db", deliveries)
        with _serving(Path(root)) as browser:
            browser.sign_in()
            before, used = Busy.now(), browser.cpu()
            pages = tuple(_timed(browser, *page, repeats, say) for page in _pages(browser))
            others = Busy.now().others(before, browser.cpu() - used)
            return Measured(deliveries=deliveries, pages=pages, assets=_assets(browser), others=others)


def _pages(browser: _Browser) -> list[tuple[str, str, Mapping[str, str]]]:
    """Paths, what they are, and headers."""
    one = destination_id(7)
    delivery = re.search(r'/deliveries/(dlv_\w+)"', browser.get("/deliveries?state=delivered"))
    if delivery is None:
        raise RuntimeError("GET /deliveries shows no delivery: expected a link to one")
    found: list[tuple[str, str]] = [
        ("/settings/destinations", "all destinations"),
        (f"/settings/destinations/{one}", "one destination, charts of 24 h"),
        (f"/settings/destinations/{one}?window=7d", "the same, of 7 days"),
        (f"/settings/destinations/{one}/deliveries", "its newest deliveries"),
        ("/deliveries", "the newest deliveries"),
        ("/deliveries?state=retrying", "those that are retried"),
        ("/deliveries?code=410", "those with an answer that is rare"),
        ("/deliveries?event_name=lead", "those of an event name"),
        ("/dead-letters", "all dead letters by cause"),
        (f"/dead-letters?destination_id={one}&cause=503", "one cause, with its rows"),
        ("/events", "the newest events"),
        ("/events?q=u_77", "the events of a user"),
        ("/events?event_name=lead", "the events of a name"),
        ("/audit", "the audit trail"),
    ]
    drawer = (f"/deliveries/{delivery[1]}", "a delivery's drawer", AS_DRAWER)
    return [*((path, what, {}) for path, what in found), drawer]


def _timed(
    browser: _Browser, path: str, what: str, headers: Mapping[str, str], repeats: int, say: Callable[[str], None]
) -> Timed:
    say(path)
    first, text = _clocked(browser, path, headers)
    used = browser.cpu()
    later = tuple(_clocked(browser, path, headers)[0] for _ in range(repeats))
    cpu = (browser.cpu() - used) / repeats
    return Timed(path=path, what=what, size=len(text.encode()), first=first, later=later, cpu=cpu)


def _clocked(browser: _Browser, path: str, headers: Mapping[str, str]) -> tuple[float, str]:
    start = time.perf_counter()
    text = browser.get(path, headers)
    return time.perf_counter() - start, text


def _assets(browser: _Browser) -> dict[str, int]:
    paths = sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.get("/deliveries"))))
    return {path: len(browser.get(path).encode()) for path in paths}


def page(measured: Measured) -> str:
    """The result for a terminal or a document."""
    rows = [COLUMNS, *(_row(each) for each in measured.pages)]
    loaded = sum(measured.assets.values())
    files = ", ".join(f"{Path(path).name} {size / 1000:.0f} KB" for path, size in measured.assets.items())
    return "\n".join(
        [
            f"pages: {measured.deliveries:,} deliveries; each {len(measured.pages[0].later)} times over one connection,"
            f" until the last byte; aim: p95 under {AIM_MS:g} ms",
            table(rows),
            f"CPU: of the server, a request. Others had {measured.others:.0%} of the machine's CPU meanwhile; above"
            f" {QUIET:.0%} the times say less",
            f"a list page loads {loaded / 1000:.0f} KB beside itself, not compressed (aim: under"
            f" {ASSETS_AIM / 1000:.0f}): {files}",
        ]
    )


def document(measured: Measured) -> dict[str, Any]:
    """The same for programs: seconds and bytes."""
    return asdict(measured) | {"aims": {"p95_ms": AIM_MS, "asset_bytes": ASSETS_AIM}}


def _row(timed: Timed) -> tuple[str, ...]:
    later = spread(timed.later)
    if later is None:
        raise ValueError(f"{timed.path} was asked for once: expected some times more")
    numbers = (1000 * timed.cpu, 1000 * timed.first, later.p50, later.p95)
    path = re.sub(r"(dst|dlv)_\w+", r"{\1}", timed.path)
    met = "met" if timed.is_met else "MISSED"
    return (path, timed.what, f"{timed.size / 1000:.0f}", *(f"{each:.1f}" for each in numbers), met)


@contextmanager
def _serving(root: Path) -> Iterator[_Browser]:
    port = free_port()
    env = {
        "PYTHONPATH": str(ROOT / "src"),
        "TRACKLAYER_PORT": str(port),
        "TRACKLAYER_DATA_DIR": str(root / "data"),
        "TRACKLAYER_ADMIN_KEY": ADMIN_KEY,
    }
    command = [sys.executable, "-m", "tracklayer", "serve"]
    process = Process("tracklayer", command, cwd=ROOT, env=env, log=root / "server.log")
    with stopping([process]):
        await_ready(port, [process])
        browser = _Browser(port, process, root / "server.log")
        try:
            yield browser
        finally:
            browser.close()


class _Browser:
    """One connection, with cookies."""

    def __init__(self, port: int, server: Process, log: Path) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._server = server
        self._log = log
        self._cookies: dict[str, str] = {}

    def sign_in(self) -> None:
        """Take the link up that the server has printed."""
        link = re.search(r"/setup/\S+", self._log.read_text())
        if link is None:
            raise RuntimeError(f"the server has printed no link: {self._log.read_text()[-500:]}")
        token = re.search(r'name="csrf" content="([^"]+)"', self.get(link[0]))
        form = {"email": "bench@example.com", "password": "a password for the bench", "_csrf_token": token and token[1]}
        form["again"] = form["password"]
        self._ask("POST", link[0], urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"}, 303)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> str:
        """A page's text."""
        return self._ask("GET", path, None, headers or {}, 200)

    def cpu(self) -> float:
        """CPU seconds that the server has used so far."""
        used = self._server.usage()
        return used.user + used.system

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str], expected: int) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request(method, path, body, {**headers, "Cookie": cookies})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != expected:
            raise RuntimeError(f"{method} {path} answered {answer.status}, expected {expected}: {text[-500:]}")
        for line in answer.headers.get_all("set-cookie") or []:
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return text
