from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import subjects


def names(*arguments: str) -> dict[str, list[str]]:
    options = bench.parser().parse_args(arguments)
    subjects, _ = bench.chosen(options)
    return {subject.name: [trial.name for trial in bench.fitted(trials, options)] for subject, trials in subjects}


def test_only_takes_trials_and_servers() -> None:
    assert names("--only", "tracklayer") == {"tracklayer": ["single", "batch", "steady"]}
    assert names("--only", "tracklayer", "--only", "steady") == {"tracklayer": ["steady"]}


def test_another_checkout_is_measured_under_the_same_trials(tmp_path: Path) -> None:
    assert names("--against", str(tmp_path), "--only", "tracklayer", "--only", "against", "--only", "single") == {
        "tracklayer": ["single"],
        "against": ["single"],
    }


def test_what_the_baseline_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "baseline_lacks", lambda: "the baseline is left out: install it")
    chosen, notes = bench.chosen(bench.parser().parse_args([]))
    assert [subject.name for subject, _ in chosen] == ["tracklayer", "postgres", "ordered"]
    assert notes == ["the baseline is left out: install it"]
    assert bench.chosen(bench.parser().parse_args(["--only", "tracklayer"]))[1] == []


def test_a_missing_redis_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert subjects.baseline_lacks() == (
        "the baseline is left out: redis-server is not installed; apt-get install redis-server"
    )


def test_quick_sends_less() -> None:
    options = bench.parser().parse_args(["--quick"])
    assert [trial.events for trial in bench.fitted(bench.TRIALS, options)] == [1500, 3000, 200]


def test_the_settings_that_the_server_inherits_are_said_but_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRACKLAYER_")]:
        monkeypatch.delenv(name)
    (subject, _), *_ = bench.chosen(bench.parser().parse_args(["--only", "tracklayer"]))[0]
    assert subject.description.endswith("settings: the defaults")
    monkeypatch.setenv("TRACKLAYER_LOG_LEVEL", "warning")
    monkeypatch.setenv("TRACKLAYER_MASTER_KEY", "do-not-show")
    assert subject.description.endswith("settings: TRACKLAYER_LOG_LEVEL=warning")
