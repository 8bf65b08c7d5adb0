"""`python -m bench`: see `--help`."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench import backlog, completing, pages, templates
from bench.machine import inspect
from bench.report import document, page
from bench.subjects import ROOT, Baseline, Subject, TrackLayer, baseline_lacks
from bench.trial import Result, Say, Trial, run

TRIALS = (
    Trial(name="single", events=30_000, warm_up=2_000, connections=64),
    Trial(name="batch", events=60_000, warm_up=4_000, connections=8, batch=100),
    Trial(name="steady", events=4_000, warm_up=400, connections=64, rate=200.0),
)
BASELINE_TRIALS = (  # the same at its own pace: as many events as take it about as long
    Trial(name="single", events=3_000, warm_up=300, connections=64),
    Trial(name="steady", events=4_000, warm_up=400, connections=64, rate=200.0),
)
POSTGRES_TRIALS = (TRIALS[0], replace(TRIALS[1], events=30_000), TRIALS[2])
TRIAL_NAMES = ("single", "batch", "steady")
SERVER_NAMES = ("tracklayer", "postgres", "ordered", "against", "baseline")
TEMPLATES = "templates"  # no server: the template language alone
PAGES = "pages"  # the console over a full database
COMPLETING = "completing"  # making events whole: everything on beside everything off
BACKLOG = "backlog"  # a million deliveries that wait on PostgreSQL
QUICK = 20  # a quick run does this part of the work


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 when a run has faults, so that its numbers must not be used."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then, too
    written: dict[str, object] = {}
    has_faults = False
    if not options.only or set(options.only) - {TEMPLATES, PAGES, COMPLETING, BACKLOG}:
        has_faults = measure_flow(options, written)
    if not options.only or TEMPLATES in options.only:
        measured = templates.measure(quick=options.quick, say=saying(TEMPLATES))
        sys.stdout.write(templates.page(*measured) + "\n")
        written[TEMPLATES] = templates.document(*measured)
    if not options.only or PAGES in options.only:
        size = QUICK if options.quick else 1
        found = pages.measure(pages.DELIVERIES // size, pages.REPEATS, say=saying(PAGES), data_dir=options.data_dir)
        sys.stdout.write(pages.page(found) + "\n")
        written[PAGES] = pages.document(found)
    if not options.only or COMPLETING in options.only:
        both = completing.measure(quick=options.quick, say=saying(COMPLETING), data_dir=options.data_dir)
        sys.stdout.write(completing.page(both) + "\n")
        written[COMPLETING] = completing.document(both)
    if not options.only or BACKLOG in options.only:
        size = QUICK if options.quick else 1
        drained = backlog.measure(backlog.DELIVERIES // size, say=saying(BACKLOG), data_dir=options.data_dir)
        sys.stdout.write(backlog.page(drained) + "\n")
        written[BACKLOG] = backlog.document(drained)
    if options.json:
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    return int(has_faults)


def measure_flow(options: argparse.Namespace, written: dict[str, object]) -> bool:
    """Every trial with every server; whether a run has faults."""
    checkouts, notes = chosen(options)
    work = [(subject, tuple(fitted(trials, options))) for subject, trials in checkouts]
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="tracklayer-bench-", dir=options.data_dir) as root:
        machine = inspect(Path(root))
        for number in range(options.rounds):
            for name in dict.fromkeys(trial.name for _, trials in work for trial in trials):
                for subject, trial in ((s, t) for s, trials in work for t in trials if t.name == name):
                    folder = Path(root) / f"{number}-{name}-{subject.name}"
                    folder.mkdir()
                    results.append(run(trial, subject, folder, saying(f"{name} {subject.name}")))
    parts = (
        machine,
        [trial for _, trials in work[:1] for trial in trials],
        {subject.name: subject.description for subject, _ in work},
        results,
        notes,
    )
    sys.stdout.write(page(*parts) + "\n\n")
    written.update(document(*parts))
    return any(result.faults for result in results)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure TrackLayer over HTTP on this machine."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=f"1/{QUICK} of the events: does it work, not how fast is it")
    add(
        "--only",
        action="append",
        default=[],
        choices=[*TRIAL_NAMES, *SERVER_NAMES, TEMPLATES, PAGES, COMPLETING, BACKLOG],
        help="this trial or server, the templates, the console's pages, completing events, or a backlog; repeat it",
    )
    add("--server", metavar="COMMAND", help="how to start the server under test (default: python -m tracklayer serve)")
    add("--against", type=Path, metavar="PATH", help="measure another checkout too, turn by turn, and print the ratio")
    add("--rounds", type=int, default=1, metavar="N", help="do everything N times; ratios are of the medians")
    add("--connections", type=int, metavar="N", help="of the load generator, in every trial")
    add(
        "--data-dir",
        type=Path,
        metavar="PATH",
        help="where the servers keep their data (default: the temporary folder)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured to this file, too")
    return parser


def chosen(options: argparse.Namespace) -> tuple[list[tuple[Subject, Sequence[Trial]]], list[str]]:
    """The servers to measure with their trials, and what there is to say about it."""
    command = tuple(shlex.split(options.server)) if options.server else (sys.executable, "-m", "tracklayer", "serve")
    subjects: list[tuple[Subject, Sequence[Trial]]] = [(TrackLayer("tracklayer", command, ROOT), TRIALS)]
    subjects.append((TrackLayer("postgres", command, ROOT, postgres=True), POSTGRES_TRIALS))
    ordered = TrackLayer("ordered", command, ROOT, config={"ordering": "per_user"}, postgres=True)
    subjects.append((ordered, (POSTGRES_TRIALS[0],)))
    if options.against is not None:
        other = options.against.resolve()
        python = other / ".venv" / "bin" / "python"
        there = (str(python) if python.exists() else sys.executable, "-m", "tracklayer", "serve")
        subjects.append((TrackLayer("against", there, other), TRIALS))
    lack = baseline_lacks()
    if lack is None:
        subjects.append((Baseline(), BASELINE_TRIALS))
    only = set(options.only).intersection(SERVER_NAMES) or set(SERVER_NAMES)
    notes = [lack] if lack and "baseline" in only else []
    return [(subject, trials) for subject, trials in subjects if subject.name in only], notes


def fitted(trials: Sequence[Trial], options: argparse.Namespace) -> Iterator[Trial]:
    """The trials that the options leave, as large as they want them."""
    for trial in trials:
        if trial.name not in (set(options.only).intersection(TRIAL_NAMES) or TRIAL_NAMES):
            continue
        size = QUICK if options.quick else 1
        yield replace(
            trial,
            events=trial.events // size,
            warm_up=trial.warm_up // size,
            connections=options.connections or trial.connections,
        )


def saying(what: str) -> Say:
    """Progress on stderr."""

    def say(progress: str) -> None:
        sys.stderr.write(f"{what}: {progress}\n")
        sys.stderr.flush()

    return say


if __name__ == "__main__":
    sys.exit(main())
