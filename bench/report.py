"""The results as a plain table, ratios and JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bench.machine import Machine
from bench.measure import Spread, median
from bench.trial import Result, Trial

TOOLS = (
    "load generator: bench.load, one process, asyncio protocols on uvloop, HTTP/1.1 keep-alive, requests made up front",
    "receiver: bench.sink, one process, asyncio protocol on uvloop, answers 200 at once",
    "all on loopback of the same machine and sharing its cores; time from one clock",
)
COLUMNS = (
    "trial", "server", "sent", "events/s", "acked/s", "p50 ms", "p95 ms", "p99 ms", "RSS MB",
    "user µs", "sys µs", "load µs", "recv µs", "others %", "missing", "dupl.",
)  # fmt: skip
QUIET = 0.05  # of the machine may go to processes that are no part of a run
LEGEND = (
    "events/s: from the first POST to the last arrival. p50, p95, p99: from acknowledgement to arrival; without a",
    "fixed rate that is the backlog, so judge it on `steady`. RSS: peak, all of the server. µs: CPU an event:",
    "of the server (user, sys), the load generator, the receiver. others: the machine's CPU that went elsewhere; above",
    f"{QUIET:.0%} the numbers are not to be relied on. missing: acknowledged, never arrived. dupl.: arrived again.",
)


def page(
    machine: Machine, trials: Sequence[Trial], subjects: dict[str, str], results: Sequence[Result], notes: Sequence[str]
) -> str:
    """Everything, for a terminal or a document."""
    parts = [
        [f"machine: {machine.description}", *TOOLS],
        [f"{name}: {description}" for name, description in subjects.items()],
        [f"{trial.name}: {trial.description}" for trial in trials],
        [table([COLUMNS, *(row(result) for result in results)]), *LEGEND],
        ratios(results),
        [f"FAULT in {result.trial} of {result.subject}: {fault}" for result in results for fault in result.faults],
        list(notes),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def row(result: Result) -> tuple[str, ...]:
    """The cells of one result, in the order of `COLUMNS`."""
    flow = result.flow
    delay = flow.delay
    quantiles = [f"{value:.1f}" for value in (delay.p50, delay.p95, delay.p99)] if delay else ["–"] * 3
    shares = (result.cpu_user, result.cpu_system, result.load_cpu, result.sink_cpu)
    return (
        result.trial,
        result.subject,
        f"{result.sent:,}",
        f"{flow.events_per_second:,.0f}",
        f"{flow.acknowledged_per_second:,.0f}",
        *quantiles,
        f"{result.peak_rss / 1e6:.0f}",
        *(f"{1e6 * share:.0f}" for share in shares),
        f"{100 * result.others:.0f}",
        str(flow.missing),
        str(result.duplicates),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns in line: the first two to the left, the others (numbers) to the right."""
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in rows
    )


def ratios(results: Sequence[Result]) -> list[str]:
    """The first subject against each other one, per trial: of the medians, with the range over the rounds."""
    lines = []
    subjects = list(dict.fromkeys(result.subject for result in results))
    for trial in dict.fromkeys(result.trial for result in results):
        for other in subjects[1:]:
            for what, value in _COMPARED:
                ours = _values(results, trial, subjects[0], value)
                theirs = _values(results, trial, other, value)
                if ours and theirs and min(theirs) > 0:
                    ratio = f"{median(ours) / median(theirs):.2f}{_range(ours, theirs)}"
                    amounts = f"{subjects[0]} {median(ours):,.1f} / {other} {median(theirs):,.1f}"
                    lines.append(f"{trial}: {what} {amounts} = {ratio}")
    return lines


def document(
    machine: Machine, trials: Sequence[Trial], subjects: dict[str, str], results: Sequence[Result], notes: Sequence[str]
) -> dict[str, Any]:
    """The same for programs. Times in seconds, sizes in bytes, spreads in milliseconds."""
    return {
        "machine": asdict(machine),
        "tools": TOOLS,
        "subjects": subjects,
        "trials": [asdict(trial) for trial in trials],
        "results": [asdict(result) for result in results],
        "ratios": ratios(results),
        "notes": list(notes),
    }


def _events_per_second(result: Result) -> float:
    return result.flow.events_per_second


def _p99(result: Result) -> float:
    delay: Spread | None = result.flow.delay
    return delay.p99 if delay else 0.0


def _cpu(result: Result) -> float:
    return 1e6 * (result.cpu_user + result.cpu_system)


_COMPARED: tuple[tuple[str, Callable[[Result], float]], ...] = (
    ("events/s", _events_per_second),
    ("p99 ms", _p99),
    ("CPU µs", _cpu),
)


def _values(results: Sequence[Result], trial: str, subject: str, value: Callable[[Result], float]) -> list[float]:
    return [value(result) for result in results if (result.trial, result.subject) == (trial, subject)]


def _range(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if len(ours) != len(theirs) or len(ours) < 2:
        return ""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f" ({min(each):.2f} to {max(each):.2f} in {len(each)} rounds)"
