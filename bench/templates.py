"""The guide's first template with the same event by TrackLayer, by pybars4 and by Handlebars.js, in turns."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from bench.events import TEMPLATE, event, shaped
from bench.measure import median
from bench.subjects import ROOT
from tracklayer.model.event import decode_json
from tracklayer.template import compile_template

AIMS = {"pybars4": 5.0, "handlebars.js": 0.5}  # renderings of ours for one of theirs
ROUNDS = 15
ROUND_SECONDS = 0.2
WARM_UP = 20_000  # renderings; a JIT wants many
NODE_FOLDER = ROOT / "tests" / "template"  # its package.json pins handlebars
NODE_PROGRAM = """
const { compile } = require("handlebars");
const lines = require("node:readline").createInterface({ input: process.stdin });
let render, event;
lines.on("line", (line) => {
  const { template, data, count } = JSON.parse(line);
  if (template) { render = compile(template); event = data; console.log(JSON.stringify(render(event))); return; }
  let size = 0;
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) size += render(event).length;
  console.log(Number(process.hrtime.bigint() - start) / 1e9);
});
"""

Timed = Callable[[int], float]
"""Renders so many times; the seconds that it took."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """One engine's renderings a second, round by round."""

    engine: str
    rounds: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median."""
        return median(self.rounds)


def measure(*, quick: bool, say: Callable[[str], None]) -> tuple[list[Speed], list[str]]:
    """Every engine that is here, turn by turn; and what to install for those that are not.

    Raises `RuntimeError` where one of them renders something else.
    """
    notes = [lack for lack in (pybars_lacks(), handlebars_lacks()) if lack]
    with ExitStack() as stack:
        engines: dict[str, Timed] = {"tracklayer": _tracklayer()}
        if pybars_lacks() is None:
            engines["pybars4"] = _pybars()
        if handlebars_lacks() is None:
            engines["handlebars.js"] = _handlebars(stack)
        seconds = ROUND_SECONDS / (10 if quick else 1)
        counts = {name: _fitting(timed, seconds, WARM_UP // (10 if quick else 1)) for name, timed in engines.items()}
        rates: dict[str, list[float]] = {name: [] for name in engines}
        for number in range(3 if quick else ROUNDS):
            say(f"round {number + 1}")
            for name, timed in engines.items():
                rates[name].append(counts[name] / timed(counts[name]))
    return [Speed(engine=name, rounds=tuple(found)) for name, found in rates.items()], notes


def page(speeds: Sequence[Speed], notes: Sequence[str]) -> str:
    """The result for a terminal or a document."""
    lines = ["templates: the guide's first template, compiled once, one event; medians, and the range over the rounds"]
    for speed in speeds:
        spread = f"{min(speed.rounds):,.0f} to {max(speed.rounds):,.0f} in {len(speed.rounds)} rounds"
        lines.append(f"{speed.engine:<14}{speed.typical:>12,.0f}/s  {1e6 / speed.typical:>7.2f} µs  ({spread})")
    lines += [f"tracklayer / {name} = {ratio:.2f}  (aim: {AIMS[name]:g})" for name, ratio in ratios(speeds).items()]
    return "\n".join([*lines, *notes])


def document(speeds: Sequence[Speed], notes: Sequence[str]) -> dict[str, Any]:
    """The same for programs: renderings a second."""
    return {"speeds": [asdict(speed) for speed in speeds], "ratios": ratios(speeds), "aims": AIMS, "notes": list(notes)}


def ratios(speeds: Sequence[Speed]) -> dict[str, float]:
    """Ours over each other one: the median over the rounds, in which both had the same neighbours on the machine."""
    ours, *others = speeds
    return {
        other.engine: median([mine / theirs for mine, theirs in zip(ours.rounds, other.rounds, strict=True)])
        for other in others
    }


def pybars_lacks() -> str | None:
    """What to install before pybars4 can run; None when it is there."""
    if importlib.util.find_spec("pybars") is not None:
        return None
    return "pybars4 is left out: pip install 'tracklayer[bench-baseline]'"


def handlebars_lacks() -> str | None:
    """What to install before Handlebars.js can run; None when all is there."""
    if shutil.which("node") is None:
        return "Handlebars.js is left out: node is not installed; apt-get install nodejs npm"
    if not (NODE_FOLDER / "node_modules" / "handlebars").is_dir():
        return f"Handlebars.js is left out: npm ci --prefix {NODE_FOLDER.relative_to(ROOT)}"
    return None


def _event() -> dict[str, Any]:
    return event("templates", 1)


def _check(name: str, text: str) -> None:
    if json.loads(text) != shaped(1):
        raise RuntimeError(f"{name} rendered something else: {text}")


def _timed(render: Callable[[], object]) -> Timed:
    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            render()
        return time.perf_counter() - start

    return run


def _tracklayer() -> Timed:
    fields = decode_json(json.dumps(_event()))  # as events come in: with exact decimals
    template, scope = compile_template(TEMPLATE), {**fields, "secrets": {}, "destination": {}, "delivery": {}}
    _check("tracklayer", template.render(scope).text)
    return _timed(partial(template.render, scope))


def _pybars() -> Timed:
    compiler = importlib.import_module("pybars").Compiler()
    template, data = compiler.compile(TEMPLATE), _event()
    _check("pybars4", str(template(data)))
    return _timed(lambda: str(template(data)))


def _handlebars(stack: ExitStack) -> Timed:
    process = stack.enter_context(
        subprocess.Popen(
            ["node", "-e", NODE_PROGRAM], cwd=NODE_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    )

    def ask(**question: Any) -> Any:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("node was started without pipes")
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    _check("handlebars.js", ask(template=TEMPLATE, data=_event()))
    return lambda count: float(ask(count=count))


def _fitting(timed: Timed, seconds: float, warm_up: int) -> int:
    """How many renderings take about `seconds`, after a warm-up."""
    timed(warm_up // 10)
    return max(1, int(warm_up / timed(warm_up) * seconds))
