from __future__ import annotations

import json
from dataclasses import replace

from bench.machine import Machine
from bench.measure import flow
from bench.report import COLUMNS, document, page, ratios, row, table
from bench.trial import Result, Trial

MACHINE = Machine(
    cpu="Some CPU",
    cores=2,
    memory=8 * 2**30,
    kernel="6.1",
    python="3.11.7",
    load_average=0.1,
    file_system="ext4",
    fsync_ms=4.0,
)
TRIAL = Trial(name="single", events=2, warm_up=1, connections=64)


def result(subject: str, seconds: float, trial: str = "single") -> Result:
    """Two events that took `seconds` together."""
    return Result(
        trial=trial,
        subject=subject,
        flow=flow("m", [100.0, 100.0], [100.001, 100.002], {"m-0000000": 100.002, "m-0000001": 100.0 + seconds}),
        sent=2,
        duplicates=0,
        statuses={"200": 2},
        unaccepted=0,
        faults=(),
        peak_rss=123_000_000,
        cpu_user=100e-6,
        cpu_system=50e-6,
        load_cpu=20e-6,
        sink_cpu=10e-6,
        others=0.02,
    )


def test_a_row_has_a_cell_for_every_column() -> None:
    cells = dict(zip(COLUMNS, row(result("tracklayer", 0.5)), strict=True))
    assert cells["events/s"] == "4"
    assert (cells["RSS MB"], cells["user µs"], cells["missing"], cells["p50 ms"]) == ("123", "100", "0", "1.0")
    assert cells["others %"] == "2"


def test_a_table_is_in_line() -> None:
    assert table([("a", "b", "n"), ("long", "x", "1,000")]).splitlines() == ["a     b      n", "long  x  1,000"]


def test_ratios_are_of_medians_with_the_range_over_the_rounds() -> None:
    rounds = [("tracklayer", 0.1), ("baseline", 1.0), ("tracklayer", 0.2), ("baseline", 1.0)]
    lines = ratios([result(subject, seconds) for subject, seconds in rounds])
    assert lines[0] == "single: events/s tracklayer 15.0 / baseline 2.0 = 7.50 (5.00 to 10.00 in 2 rounds)"


def test_a_trial_that_only_one_server_ran_has_no_ratio() -> None:
    assert ratios([result("tracklayer", 0.1, "batch"), result("baseline", 1.0)]) == []


def test_the_page_says_on_what_with_what_and_what_went_wrong() -> None:
    bad = replace(result("tracklayer", 0.1), faults=("3 acknowledged events never arrived",))
    text = page(MACHINE, [TRIAL], {"tracklayer": "one process"}, [bad], ["the baseline is left out: no redis-server"])
    for part in (
        "Some CPU, 2 cores, 8 GiB",
        "load generator: bench.load",
        "receiver: bench.sink",
        "tracklayer: one process",
        "single: 2 events, one event a request, as fast as it goes, 64 connections",
        "FAULT in single of tracklayer: 3 acknowledged events never arrived",
        "the baseline is left out: no redis-server",
    ):
        assert part in text


def test_the_document_is_json() -> None:
    parts = document(MACHINE, [TRIAL], {"tracklayer": "one process"}, [result("tracklayer", 0.1)], [])
    assert json.loads(json.dumps(parts))["results"][0]["flow"]["missing"] == 0
