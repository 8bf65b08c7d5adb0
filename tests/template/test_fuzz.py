"""A short run of the fuzzer, in a process of its own because an audit hook cannot be taken out again."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_fuzz_finds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.template.fuzz", "3000", "7"],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = ast.literal_eval(done.stdout)
    assert counts["rendered"] > 900
