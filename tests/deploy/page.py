"""docs/deploy.md, and the files of deploy/ that it is about."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.postgres import BIN
from tests.running import clean_environment

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """The commands of the page that stand under a name: what a person would paste."""
    (found,) = re.findall(rf"^```sh {name}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    return str(found)


def paste(name: str, **environment: str) -> None:
    """Run them as they stand, with PostgreSQL's programs of the tests' server. They have nothing to warn of."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=block(name),
        env=clean_environment() | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    assert done.stderr == "", f"{name} warns:\n{done.stderr}"
