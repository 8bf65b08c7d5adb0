"""The servers that are measured: TrackLayer (from any checkout) and the baseline."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.events import WEBHOOK_TOKEN, destination
from bench.process import Process, free_port, stopping
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
ADMIN_KEY = "tl_live_bench_" + "0" * 32
START_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A server that is ready to take events."""

    port: int
    headers: dict[str, str]  # what a caller must send
    processes: Sequence[Process]


class Subject(Protocol):
    """A server under test."""

    @property
    def name(self) -> str:
        """For the table."""

    @property
    def description(self) -> str:
        """How it is run, in a sentence."""

    @contextmanager
    def running(self, folder: Path, receiver: str) -> Iterator[Running]:
        """Started afresh with its data in `folder`, delivering to the URL `receiver`; stopped at the end."""


@dataclass(frozen=True)
class TrackLayer:
    """TrackLayer, as `command` in `checkout` starts it."""

    name: str
    command: tuple[str, ...]
    checkout: Path
    config: dict[str, object] = field(default_factory=dict)  # of the destination, beside the guide's
    postgres: bool = False  # on a PostgreSQL of its own, with its fsyncs, on the same machine

    @property
    def description(self) -> str:
        """How it is run."""
        database = "one process on PostgreSQL" if self.postgres else "SQLite"
        kept = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("TRACKLAYER_")]
        settings = ", ".join(item for item in kept if "_KEY=" not in item) or "the defaults"
        asked = f", the destination has {json.dumps(self.config)}" if self.config else ""
        how = f"{' '.join(self.command)} in {self.checkout}, {database}{asked}"
        return f"{how}, every answer after a commit; settings: {settings}"

    @contextmanager
    def running(self, folder: Path, receiver: str) -> Iterator[Running]:
        """The guide's first destination, with nothing else in the workspace."""
        port = free_port()
        env = {
            "PYTHONPATH": str(self.checkout / "src"),
            "TRACKLAYER_PORT": str(port),
            "TRACKLAYER_DATA_DIR": str(folder / "data"),
            "TRACKLAYER_ADMIN_KEY": ADMIN_KEY,
            "TRACKLAYER_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with ExitStack() as around:
            if self.postgres:
                env["TRACKLAYER_DATABASE_URL"] = around.enter_context(PostgresServer(durable=True)).url
            process = Process(self.name, self.command, cwd=self.checkout, env=env, log=folder / "server.log")
            around.enter_context(stopping([process]))
            await_ready(port, [process])
            call(port, "PUT", "/v1/secrets/webhook_token", headers, {"value": WEBHOOK_TOKEN})
            call(port, "POST", "/v1/destinations", headers, destination(receiver) | self.config)
            yield Running(port, headers, [process])


@dataclass(frozen=True)
class Baseline:
    """FastAPI, Celery and Redis: `bench.baseline`."""

    workers: int = 2
    name: str = "baseline"

    @property
    def description(self) -> str:
        """How it is run."""
        return (
            f"FastAPI (uvicorn, uvloop, httptools) → Redis without persistence → Celery prefork ×{self.workers}, "
            "acks_late → requests.Session; retries by autoretry"
        )

    @contextmanager
    def running(self, folder: Path, receiver: str) -> Iterator[Running]:
        """Redis, then the worker and the front."""
        port, redis_port = free_port(), free_port()
        env = {
            "PYTHONPATH": str(ROOT),
            "BENCH_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "BENCH_RECEIVER_URL": receiver,
        }
        redis = f"redis-server --port {redis_port} --bind 127.0.0.1 --appendonly no --dir {folder} --save"
        worker = (
            "-m celery --quiet -A bench.baseline.tasks worker --loglevel WARNING --without-gossip --without-mingle "
            f"--without-heartbeat --pool prefork --concurrency {self.workers}"
        )
        front = (
            f"-m uvicorn bench.baseline.app:app --host 127.0.0.1 --port {port} --loop uvloop --http httptools "
            "--no-access-log --log-level warning"
        )
        commands = {
            "redis": [*redis.split(), ""],
            "celery": [sys.executable, *worker.split()],
            "uvicorn": [sys.executable, *front.split()],
        }
        processes: list[Process] = []
        with stopping(processes):
            for name, command in commands.items():
                processes.append(Process(name, command, cwd=ROOT, env=env, log=folder / f"{name}.log"))
            await_ready(port, processes)
            yield Running(port, {}, processes)


def baseline_lacks() -> str | None:
    """What to install before the baseline can run; None when all is there."""
    modules = ["fastapi", "uvicorn", "celery", "redis", "requests", "httptools", "uvloop"]
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        return f"the baseline is left out: {', '.join(missing)} not installed; pip install 'tracklayer[bench-baseline]'"
    if shutil.which("redis-server") is None:
        return "the baseline is left out: redis-server is not installed; apt-get install redis-server"
    return None


def await_ready(port: int, processes: Sequence[Process]) -> None:
    """Return when `GET /readyz` answers 200. Raises `RuntimeError` with the log's end when it does not come to that."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for process in processes:
            process.check()
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.05)
    logs = "\n".join(f"--- {process.name}\n{process.tail()}" for process in processes)
    raise RuntimeError(f"GET /readyz on port {port} gave no 200 within {START_SECONDS:.0f} s\n{logs}")


def call(port: int, method: str, path: str, headers: Mapping[str, str], body: object) -> None:
    """A JSON request that must succeed. Raises `RuntimeError` with the answer when it does not."""
    status, answer = ask(port, method, path, {**headers, "Content-Type": "application/json"}, json.dumps(body).encode())
    if not 200 <= status < 300:
        raise RuntimeError(f"{method} {path} answered {status}: {answer.decode(errors='replace')}; a 2xx was expected")


def ask(
    port: int, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes]:
    """One request to 127.0.0.1 on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
