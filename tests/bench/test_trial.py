from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench import trial as trials
from bench.process import Process, free_port, stopping
from bench.subjects import ROOT, Running, await_ready
from bench.trial import Trial, check_request, run

TRIAL = Trial(name="single", events=200, warm_up=20, connections=8)


@dataclass(frozen=True)
class Forwarder:
    """`forwarder.py` as a subject."""

    fault: str
    name: str = "forwarder"
    description: str = "for the tests"

    @contextmanager
    def running(self, folder: Path, receiver: str) -> Iterator[Running]:
        port = free_port()
        script = Path(__file__).with_name("forwarder.py")
        command = [sys.executable, str(script), str(port), str(urlsplit(receiver).port), self.fault]
        process = Process("forwarder", command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, log=folder / "log")
        with stopping([process]):
            await_ready(port, [process])
            yield Running(port, {}, [process])


def test_a_trial_of_a_good_server_has_numbers_and_no_fault(tmp_path: Path) -> None:
    said: list[str] = []
    result = run(TRIAL, Forwarder("none"), tmp_path, said.append)
    assert result.faults == ()
    assert (result.sent, result.flow.arrived, result.flow.missing, result.duplicates) == (200, 200, 0, 0)
    assert result.flow.events_per_second > 0
    assert result.statuses == {"200": 200}
    assert result.peak_rss > 5_000_000
    assert result.load_cpu > 0


def test_a_lost_event_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "STALL_SECONDS", 0.3)
    result = run(TRIAL, Forwarder("drop"), tmp_path, lambda _: None)
    assert result.flow.missing == 20
    assert result.faults == ("20 acknowledged events never arrived",)


def test_a_duplicate_is_counted_and_no_fault(tmp_path: Path) -> None:
    result = run(TRIAL, Forwarder("twice"), tmp_path, lambda _: None)
    assert result.duplicates >= 200
    assert result.faults == ()


def test_a_delivery_without_its_signature_is_a_fault(tmp_path: Path) -> None:
    (fault,) = run(TRIAL, Forwarder("unsigned"), tmp_path, lambda _: None).faults
    assert fault.startswith("the signature is None")


def test_a_body_of_another_shape_is_wrong() -> None:
    wrong = check_request(b"post /hook http/1.1\r\nx-tracklayer-event-id: m-0000001", b"{}")
    assert wrong is not None
    assert "not what the template makes of event 1" in wrong


def test_a_server_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    process = Process("server", command, cwd=tmp_path, env={}, log=tmp_path / "log")
    with (
        stopping([process]),
        pytest.raises(RuntimeError, match=r"(?s)server ended with exit code 1.*the port is taken"),
    ):
        await_ready(free_port(), [process])
