from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import pages
from bench.pages import Measured, Timed

QUICK = Timed(path="/deliveries", what="the newest", size=80_000, first=0.4, later=(0.010, 0.020, 0.030), cpu=0.009)
SLOW = Timed(
    path="/settings/destinations/dst_1?window=7d", what="charts", size=900, first=0.1, later=(0.2, 0.2, 0.2), cpu=0.1
)
ASSETS = {"/static/app-1.css": 30_000, "/static/app-2.js": 70_000}


def test_the_page_shows_the_first_request_apart_and_says_what_misses_the_aim() -> None:
    lines = pages.page(Measured(deliveries=1_000_000, pages=(QUICK, SLOW), assets=ASSETS, others=0.5)).splitlines()
    assert "1,000,000 deliveries; each 3 times" in lines[0]
    assert lines[2].split() == ["/deliveries", "the", "newest", "80", "9.0", "400.0", "20.0", "30.0", "met"]
    assert lines[3].split()[2:] == ["1", "100.0", "100.0", "200.0", "200.0", "MISSED"]
    assert lines[3].startswith("/settings/destinations/{dst}?window=7d  charts")
    assert "Others had 50%" in lines[4]
    assert lines[5].startswith("a list page loads 100 KB beside itself")


def test_only_pages_starts_no_trial_and_writes_its_own_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "measure_flow", lambda *_: pytest.fail("a server was measured"))
    measured = Measured(deliveries=50_000, pages=(QUICK,), assets=ASSETS, others=0.5)
    monkeypatch.setattr(pages, "measure", lambda *asked, **_: measured if asked == (50_000, 20) else None)
    assert bench.main(["--only", "pages", "--quick", "--json", str(tmp_path / "out.json")]) == 0
    assert "/deliveries" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["pages"]["pages"][0]["path"] == "/deliveries"
    assert list(written) == ["pages"]


def test_every_page_is_quick_over_twenty_thousand_deliveries(tmp_path: Path) -> None:
    if not (resources.files("tracklayer.web.console") / "static" / "manifest.json").is_file():
        pytest.skip("the console's assets are not built: make assets")
    measured = pages.measure(20_000, 5, say=lambda _: None, data_dir=tmp_path)
    assert len(measured.pages) == 15
    slow = {each.path: each.cpu for each in measured.pages if each.cpu > pages.AIM_MS / 1000}
    assert slow == {}  # CPU, because other tests may run beside: one request at a time waits for nothing else
    assert 0 < sum(measured.assets.values()) < pages.ASSETS_AIM
