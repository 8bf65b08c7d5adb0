"""docs/deploy.md: its quick start works as it is pasted, and what it names exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.page import DEPLOY, ROOT, TEXT, block
from tests.fleet import MASTER_KEY
from tests.harness import PATIENCE, Api, ReceiverThread, ServerProcess, free_port, wait_until
from tests.running import KEY, clean_environment
from tests.running import tracklayer as run
from tests.traffic import made

README = (ROOT / "README.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
ALERTS = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8")
CODE = re.findall(r"```.*?\n(.*?)```|`([^`\n]+)`", TEXT, re.DOTALL)
LINES = [line.strip() for block, span in CODE for line in (block or span).splitlines()]
WANTED = ["bash", "curl"]


@contextmanager
def pasted(commands: str, folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A shell that runs the commands, and then waits for a line on its standard input to end what they began."""
    ending = "read -r _; pids=$(jobs -p); kill %1 %2 %3; for pid in $pids; do wait $pid; done"
    with (folder / "log").open("w") as log:
        shell = subprocess.Popen(
            ["bash", "-euc", f"{commands}\n{ending}"],
            cwd=folder,
            env=clean_environment(**settings)
            | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield shell
    finally:
        if shell.poll() is None:
            shell.communicate("\n", timeout=PATIENCE)


def ready(url: str) -> bool:
    try:
        return Api(url, None).get("/readyz").status == 200
    except OSError:
        return False


def all_ready(shell: subprocess.Popen[str], urls: list[str], log: Path) -> bool:
    assert shell.poll() is None, log.read_text()
    return all(map(ready, urls))


def delivered(url: str) -> float:
    found = re.findall(
        r"^tracklayer_deliveries_delivered_total\{.*\} (\S+)$", Api(url, None).get("/metrics").body, re.M
    )
    return sum(map(float, found))


@pytest.mark.timeout(240)
@pytest.mark.skipif(
    any(shutil.which(program) is None for program in WANTED), reason=f"not installed: apt-get install {WANTED}"
)
def test_the_quick_start_delivers_the_readmes_first_event_by_one_of_two_workers(
    tmp_path: Path, empty_postgres: str, receiver: ReceiverThread
) -> None:
    commands, urls = block("quick start"), []
    for port in ("8080", "9101", "9102"):
        assert commands.count(f"--port {port} ") == 1
        urls.append(f"http://127.0.0.1:{(free := free_port())}")
        commands = commands.replace(f"--port {port} ", f"--port {free} ")
    settings = {"database_url": empty_postgres, "master_key": MASTER_KEY, "admin_key": KEY}
    with pasted(commands, tmp_path, allow_networks="127.0.0.0/8", **settings) as shell:
        wait_until(lambda: all_ready(shell, urls, tmp_path / "log"), 3 * PATIENCE, what="three processes at once")
        first = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE))
        first = first.replace("http://127.0.0.1:8080", urls[0]).replace("http://127.0.0.1:9000", receiver.url)
        subprocess.run(
            ["bash", "-eu"],
            input=first,
            env=os.environ | {"TRACKLAYER_API_KEY": KEY},
            stdout=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        receiver.wait_for("/orders")
        wait_until(lambda: [*map(delivered, urls)] in ([0, 1, 0], [0, 0, 1]), what="a worker to count its delivery")
        assert Api(urls[1], KEY).get("/v1/destinations").status == 404
    assert shell.returncode == 0, (tmp_path / "log").read_text()


def test_every_command_of_the_page_exists_with_its_options() -> None:
    commands = {line for line in LINES if line.startswith("tracklayer ")} - {"tracklayer listening"}  # a connection
    assert len(commands) >= 5
    for command in commands:
        words = command.split("#")[0].removesuffix(" &").split()[1:]
        verbs = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word) and words.index(word) < 2]
        shown = run(*verbs, "--help")
        assert shown.status == 0, command
        for option in re.findall(r" (--?[a-z][a-z-]*)", command):
            assert re.search(rf"[\s,]{option}\b", shown.out), f"{command}: {option}"


def test_every_page_and_file_that_the_page_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]
    assert "](docs/deploy.md)" in README


def test_every_metric_and_label_of_the_page_and_the_alerts_exists(
    api: Api, server: ServerProcess, receiver: ReceiverThread
) -> None:
    made(api, "watched", receiver.url + "/deploy/watched")
    exposed = api.get("/metrics").body
    samples = set(re.findall(r"^(tracklayer_\w+)", exposed, re.MULTILINE))
    queries = [line for line in LINES if "(tracklayer_" in line] + [
        rule["expr"] for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]
    ]
    assert len(queries) >= 15
    for query in queries:
        assert set(re.findall(r"\b(tracklayer_\w+)", query)) <= samples, query
        labels = {label for by in re.findall(r"by \((.*?)\)", query) for label in by.split(", ")}
        assert all(f'{label}="' in exposed for label in labels), query
    assert 'tracklayer_events_total{status="refused"}' in exposed


def test_prometheus_takes_the_alerts() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(
        ["promtool", "check", "rules", DEPLOY / "alerts.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_line_of_the_log_that_the_page_names_is_written_somewhere() -> None:
    (sentence,) = re.findall(r"In the log:\n(.*)", TEXT)
    names = re.findall(r"`(\w+)`", sentence)
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "tracklayer").rglob("*.py"))
    assert len(names) >= 4
    assert [name for name in names if not re.search(rf'warn(ing)?\("{name}"', code)] == []


def test_the_figures_of_the_sizing_table_are_those_that_were_measured() -> None:
    table = TEXT.split("### Sizing")[1].split("\n## ")[0]
    cells: list[Any] = [row.strip("|").split("|")[1:] for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(cells) >= 5
    for figure in (cell.strip() for row in cells for cell in row):
        assert figure == "*not measured yet*" or figure in PERFORMANCE, figure
