from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import templates
from bench.templates import Speed

OURS = Speed(engine="tracklayer", rounds=(600.0, 500.0, 700.0))
THEIRS = Speed(engine="pybars4", rounds=(100.0, 50.0, 100.0))


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert templates.ratios([OURS, THEIRS]) == {"pybars4": 7.0}


def test_the_page_shows_medians_ratios_aims_and_what_to_install() -> None:
    text = templates.page([OURS, THEIRS], ["Handlebars.js is left out: node is not installed"])
    assert text.splitlines()[1:] == [
        "tracklayer             600/s  1666.67 µs  (500 to 700 in 3 rounds)",
        "pybars4                100/s  10000.00 µs  (50 to 100 in 3 rounds)",
        "tracklayer / pybars4 = 7.00  (aim: 5)",
        "Handlebars.js is left out: node is not installed",
    ]


def test_what_is_missing_is_named_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert templates.pybars_lacks() == "pybars4 is left out: pip install 'tracklayer[bench-baseline]'"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "apt-get install nodejs" in str(templates.handlebars_lacks())
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/node")
    monkeypatch.setattr(templates, "ROOT", tmp_path)
    monkeypatch.setattr(templates, "NODE_FOLDER", tmp_path / "tests" / "template")
    assert templates.handlebars_lacks() == "Handlebars.js is left out: npm ci --prefix tests/template"


def test_an_engine_that_renders_something_else_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "TEMPLATE", '{"type": "{{event_name}}"}')
    with pytest.raises(RuntimeError, match="tracklayer rendered something else"):
        templates.measure(quick=True, say=lambda _: None)


def test_only_templates_starts_no_server_and_writes_its_own_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "measure_flow", lambda *_: pytest.fail("a server was measured"))
    monkeypatch.setattr(templates, "pybars_lacks", lambda: "no pybars")
    monkeypatch.setattr(templates, "handlebars_lacks", lambda: "no handlebars")
    assert bench.main(["--only", "templates", "--quick", "--json", str(tmp_path / "out.json")]) == 0
    assert "tracklayer" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["templates"]["notes"] == ["no pybars", "no handlebars"]
    assert [speed["engine"] for speed in written["templates"]["speeds"]] == ["tracklayer"]
