"""The built front end: that it is whole, small, and evaluates nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "src/tracklayer/web/console/static"
LIST_PAGE_LIMIT = 250_000  # bytes, uncompressed, of all that a list page loads


@pytest.fixture(scope="module")
def manifest() -> dict[str, str]:
    file = STATIC / "manifest.json"
    if not file.is_file():
        pytest.fail("the front end is not built: make assets")
    read: dict[str, str] = json.loads(file.read_text())
    return read


def size(manifest: dict[str, str], *names: str) -> int:
    return sum((STATIC / manifest[name]).stat().st_size for name in names)


def test_every_bundle_is_there_under_a_name_with_its_hash(manifest: dict[str, str]) -> None:
    for name in ("app.js", "app.css", "editor.js", "editor.css", "chart.js", "chart.css"):
        stem, suffix = name.split(".")
        assert re.fullmatch(rf"{stem}-[A-Z0-9]{{8}}\.{suffix}", manifest[name])
        assert (STATIC / manifest[name]).is_file()


def test_nothing_else_is_shipped(manifest: dict[str, str]) -> None:
    built = {name for key, name in manifest.items() if key != "inputs"}
    assert {file.name for file in STATIC.iterdir()} == built | {"manifest.json", "licenses.txt"}


def test_a_list_page_loads_less_than_its_limit(manifest: dict[str, str]) -> None:
    assert size(manifest, "app.js", "app.css") < LIST_PAGE_LIMIT
    assert size(manifest, "app.js") < 92_000


def test_an_overview_with_its_charts_stays_below_the_limit_too(manifest: dict[str, str]) -> None:
    assert size(manifest, "app.js", "app.css", "chart.js", "chart.css") < LIST_PAGE_LIMIT


def test_nothing_is_loaded_from_outside(manifest: dict[str, str]) -> None:
    for name in ("app.css", "editor.css", "chart.css"):
        text = (STATIC / manifest[name]).read_text()
        assert not re.search(r"@import|url\((?!\"?data:)", text), name


def test_the_scripts_point_at_no_source_map(manifest: dict[str, str]) -> None:
    for name in manifest.values():
        if name.endswith((".js", ".css")):
            assert "sourceMappingURL" not in (STATIC / name).read_text()


def test_our_own_scripts_evaluate_no_text_and_write_no_html() -> None:
    forbidden = re.compile(r"\beval\(|new Function|(inner|outer)HTML *=|insertAdjacentHTML|document\.write|style=\"")
    for file in (FRONTEND / "scripts").glob("*.js"):
        assert not forbidden.search(file.read_text()), file.name


def test_the_license_of_every_package_that_is_bundled_is_there() -> None:
    texts = (STATIC / "licenses.txt").read_text()
    dependencies = json.loads((FRONTEND / "package.json").read_text())["dependencies"]
    for name, version in dependencies.items():
        if name != "esbuild":  # builds, and is not part of what it builds
            assert f"{name} {version} (" in texts


def test_the_lock_file_names_no_address() -> None:
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    for path, package in packages.items():
        assert "resolved" not in package, path
        assert path == "" or package["integrity"].startswith("sha512-"), path


@pytest.mark.skipif(
    shutil.which("node") is None or not (FRONTEND / "node_modules").is_dir(),
    reason="needs node (Debian: apt-get install nodejs) and `npm ci --prefix frontend`",
)
def test_the_scripts_own_tests_pass() -> None:
    tests = sorted(str(file) for file in (FRONTEND / "tests").glob("*.test.js"))
    done = subprocess.run(["node", "--test", *tests], cwd=FRONTEND, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
