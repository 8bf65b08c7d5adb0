"""Handlebars.js itself, under Node, to compare with."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def missing() -> str | None:
    """What to install before Handlebars.js can be asked; None: nothing."""
    if shutil.which("node") is None:
        return "node is not installed (Debian: apt-get install nodejs)"
    if not (HERE / "node_modules" / "handlebars").is_dir():
        return "the npm package handlebars is not installed: npm ci --prefix tests/template"
    return None


class Handlebars:
    """A Node process that renders templates without escaping."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "handlebars_oracle.cjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def render(self, template: str, data: Any) -> dict[str, str]:
        """`{"text": …}`, or `{"error": …}`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"template": template, "data": data}) + "\n")
        stdin.flush()
        answer: dict[str, str] = json.loads(stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
