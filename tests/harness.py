"""A real server process, a real receiver and a small client: what the tests over sockets are made of.

with ServerProcess(tmp_path / "data") as server, ReceiverThread() as receiver:
    api = Api(server.url, server.key)
    api.post("/v1/destinations", {"name": "d", "transport": {"url": receiver.url + "/hook"}})
    server.kill()
    server.start()
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from sqlalchemy import text

from tests.forking import Forked
from tracklayer.demo.receiver import Behaviour, Receiver, Recorded
from tracklayer.store import open_database

T = TypeVar("T")

ADMIN_KEY = "tl_live_a-key-for-tests-0123456789"
PATIENCE = 45.0  # seconds; generous, because the machine may be busy and only what fails waits so long


def wait_until(
    predicate: Callable[[], T | None], deadline: float = PATIENCE, *, what: str = "", longest: float = 0.05
) -> T:
    """The first true value of `predicate`, asked again and again. Fails after `deadline` seconds, saying `what`.

    For what another process does, where there is no event in this one to wait for. The longer it takes the less often
    it is asked, but not with more than `longest` seconds in between: to answer is work, for a server that has to do
    what is waited for.
    """
    end = time.monotonic() + deadline
    pause = 0.005
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline:g} s in vain for {what or predicate}; last: {value!r}"
        time.sleep(pause)
        pause = min(pause * 1.25, longest)


def environment(settings: Mapping[str, object], *, measured: bool = False) -> dict[str, str]:
    """This process's environment with these settings and no others: `port` is TRACKLAYER_PORT.

    A Python that starts in it measures its coverage only where it is `measured`: that takes more than twice the CPU,
    and what is killed leaves half a file of it.
    """
    left_out = "TRACKLAYER_" if measured else ("TRACKLAYER_", "COVERAGE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return inherited | {f"TRACKLAYER_{name.upper()}": str(value) for name, value in settings.items()}


class ServerProcess:
    """`tracklayer serve` as a process of its own; `settings` are the environment's: `port="0"` is TRACKLAYER_PORT.

    Its port stays the same over a restart. What it writes, over all its lives, is in `log_file`.
    """

    program: Sequence[str] = ("tracklayer", "serve")  # a module, and its arguments
    within: Sequence[str] = ()  # a command that runs Python in surroundings of its own, as its own process: `env A=1`
    measured = False  # whether its coverage counts
    source = 0  # of what it is a fork, see `Forked`

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.log_file = data_dir.with_name(f"{data_dir.name}.log")
        self.settings = {
            "port": free_port(),
            "data_dir": data_dir,
            "admin_key": ADMIN_KEY,
            "allow_networks": "127.0.0.0/8",
        } | settings
        self.process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.settings.get('host', '127.0.0.1')}:{self.settings['port']}"

    @property
    def key(self) -> str:
        """Its admin key."""
        return str(self.settings["admin_key"])

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self.process is not None, "the server was not started"
        return self.process.pid

    @property
    def database_file(self) -> Path:
        """The SQLite file; beside it lie its `-wal` and `-shm`."""
        return self.data_dir / "tracklayer.db"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What its database answers, whichever that is."""

        async def read() -> list[tuple[Any, ...]]:
            database = open_database(str(self.settings.get("database_url") or f"sqlite:///{self.database_file}"))
            try:
                return await database.read(lambda connection: [tuple(row) for row in connection.execute(text(query))])
            finally:
                await database.close()

        return asyncio.run(read())

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        assert self.process is None or self.process.poll() is not None, "the server runs already"
        env = environment(self.settings, measured=self.measured)
        with self.log_file.open("ab") as log:
            if self.within:
                self.process = subprocess.Popen(
                    [*self.within, sys.executable, "-m", *self.program],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            else:
                self.process = Forked(
                    self.program, env=env, stdout=log.fileno(), stderr=log.fileno(), source=self.source
                )
        if ready:
            try:
                wait_until(self.is_ready, what="the server to be ready")
            except AssertionError:
                self.kill()
                raise

    def is_ready(self) -> bool:
        """Whether `/readyz` says so. Fails where the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log_text()}"
        try:
            return Api(self.url, self.key, timeout=5).get("/readyz").status == 200
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; answers its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order, and start it on the same data and port."""
        self.stop()
        self.start()

    def log_text(self) -> str:
        """Everything that it wrote so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The structured lines of its log so far, those of one event if asked."""
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{") and line[-1] == "}"]
        return [line for line in lines if event is None or line.get("event") == event]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()


class MeasuredServer(ServerProcess):
    """One whose coverage counts: for many tests to share."""

    measured = True


class Answer(NamedTuple):
    """What the API answered; `body` is decoded where it is JSON, and a text otherwise."""

    status: int
    headers: Message
    body: Any


class _Connection(http.client.HTTPConnection):
    """A connection that ends with the thread, or the client, that it belongs to."""

    def __del__(self) -> None:
        self.close()


class Api:
    """The API with one key. Every thread has its own connection, kept alive; a lost one is made anew."""

    def __init__(self, url: str, key: str | None, *, timeout: float = 30.0) -> None:
        self.url = url
        self.key = key
        self._timeout = timeout
        self._connections = threading.local()

    def get(self, path: str, **query: object) -> Answer:
        """GET, with `query` where given."""
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST `body` as JSON."""
        return self.call("POST", path, body, headers=headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        """PUT `body` as JSON; `if_match="3"` is the header If-Match."""
        return self.call("PUT", path, body, headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """PATCH `body` as JSON."""
        return self.call("PATCH", path, body, headers=headers)

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Answer:
        """One request: `body` goes out as JSON, bytes as they are; `_` in a header's name is written as `-`."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.key is not None and "authorization" not in {name.lower() for name in sent}:
            sent["Authorization"] = f"Bearer {self.key}"
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        status, received, content = self.send(method, path, raw, sent)
        is_json = "json" in received.get("content-type", "")
        return Answer(status, received, json.loads(content) if is_json and content else content.decode())

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Message, bytes]:
        """One request and answer in bytes. Raises `OSError` or `http.client.HTTPException` where there is none."""
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        connection: _Connection | None = getattr(self._connections, "kept", None)
        if connection is None:
            connection = _Connection(parts.hostname or "", parts.port, timeout=self._timeout)
            self._connections.kept = connection
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the server has closed it meanwhile; it is opened again by the next request
        return connection


class _SortingReceiver(Receiver):
    """The demo's receiver, which also keeps the requests by path: those of one among thousands are found at once."""

    def __init__(self) -> None:
        super().__init__()
        self._by_path: dict[str, list[Recorded]] = defaultdict(list)
        self._waiting: list[tuple[str, int, threading.Event]] = []
        self._sorting = threading.Lock()

    def on(self, path: str) -> list[Recorded]:
        """What came to `path`, oldest first."""
        with self._sorting:
            return self._by_path[path].copy()

    def take(self, request: Recorded) -> Behaviour:
        """As every receiver does; and whoever waits for this request goes on."""
        path = request.target.partition("?")[0]
        with self._sorting:
            self._by_path[path].append(request)
            for waited, count, come in self._waiting:
                if waited == path and len(self._by_path[path]) >= count:
                    come.set()
        return super().take(request)

    def wait_until_taken(self, path: str, count: int, deadline: float) -> bool:
        """Whether `count` requests have come to `path`, at the latest after `deadline` seconds."""
        waiter = (path, count, threading.Event())
        with self._sorting:
            if len(self._by_path[path]) >= count:
                return True
            self._waiting.append(waiter)
        try:
            return waiter[2].wait(deadline)
        finally:
            with self._sorting:
                self._waiting.remove(waiter)


class ReceiverThread:
    """The demo's receiver on a loop of its own, in a thread of this process."""

    def __init__(self) -> None:
        self.receiver = _SortingReceiver()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="receiver")

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return self.receiver.url

    @property
    def requests(self) -> list[Recorded]:
        """Everything that came, oldest first."""
        return list(self.receiver.requests)

    def on(self, path: str) -> list[Recorded]:
        """What came to `path`."""
        return self.receiver.on(path)

    def wait_for(self, path: str, count: int = 1, deadline: float = PATIENCE) -> list[Recorded]:
        """The requests to `path`, once there are `count`."""
        came = self.receiver.wait_until_taken(path, count, deadline)
        assert came, f"waited {deadline:g} s in vain for {count} requests to {path}; {len(self.on(path))} came"
        return self.on(path)

    def script(self, path: str, *answers: Behaviour) -> None:
        """What the requests to `path` get, one after the other; the last repeats."""
        self.receiver.script(path, *answers)

    def open(self) -> None:
        """Listen, on the same port as before where there was one."""
        self._run(self.receiver.start(port=self.receiver.port))

    def close(self) -> None:
        """Be down: the port is closed, every connection dropped."""
        self._run(self.receiver.stop())

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
