"""For tests from the outside: a real server process, a receiver beside it, and the command line in this process."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from tests.forking import Forked
from tests.harness import PATIENCE, environment
from tracklayer.cli import main
from tracklayer.client import ApiClient
from tracklayer.demo.receiver import Receiver

KEY = "tl_live_0123456789abcdef"


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings and no others: `port="0"` is TRACKLAYER_PORT."""
    return environment(settings)


def wait_until(holds: Callable[[], Any], what: str) -> Any:
    """The first true value of `holds`; for what another process does, so there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while not (value := holds()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain for {what}"
        time.sleep(0.02)
    return value


class ServerProcess:
    """`tracklayer serve` on a free port; `lines` is its log so far, `printed` what it says to people."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        given = {"port": "0", "admin_key": KEY, "allow_networks": "127.0.0.0/8", "data_dir": str(data_dir)} | settings
        (out, write_out), (err, write_err) = os.pipe(), os.pipe()
        self._out, self._err = os.fdopen(out), os.fdopen(err)
        try:
            self.process = Forked(
                ["tracklayer", "serve"], env=clean_environment(**given), stdout=write_out, stderr=write_err
            )
        finally:
            os.close(write_out)
            os.close(write_err)
        self.lines: list[dict[str, Any]] = []
        self.printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return str(self.wait_for_line("listening")["url"])

    def wait_for_line(self, event: str) -> dict[str, Any]:
        """The first line of that event."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"the server ended: {self.stderr()}"
            return next((line for line in self.lines if line.get("event") == event), None)

        found: dict[str, Any] = wait_until(look, f"{event!r} in the log")
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; the exit status."""
        status = self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)
        return status

    def stderr(self) -> str:
        """All of it, once the process has ended."""
        return self._err.read()

    def close(self) -> None:
        """End it, whatever it does."""
        self.stop(signal.SIGKILL)
        self._out.close()
        self._err.close()

    def _read(self) -> None:
        for line in self._out:
            if line.startswith("{"):
                self.lines.append(msgspec.json.decode(line))
            else:
                self.printed.append(line)


@contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[ServerProcess]:
    """A server that listens, ended afterwards."""
    server = ServerProcess(data_dir, **settings)
    try:
        server.wait_for_line("listening")
        yield server
    finally:
        server.close()


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """A receiver on a loop in another thread. Look at it as you like; give it scripts before requests come."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    receiver = Receiver()
    asyncio.run_coroutine_threadsafe(receiver.start(), loop).result(PATIENCE)
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, decoded."""
        return msgspec.json.decode(self.out)


def tracklayer(*arguments: str, stdin: str = "", **settings: str) -> Ran:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, clean_environment(**settings), clear=True),
        mock.patch.object(sys, "argv", ["tracklayer", *arguments]),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        mask = os.umask(0o022)
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            os.umask(mask)
    return Ran(status, out.getvalue(), err.getvalue())


def settled(client: ApiClient, event_id: str, state: str) -> dict[str, Any]:
    """The one delivery of an event, once it is in `state`."""

    def look() -> dict[str, Any] | None:
        (delivery,) = client.get(f"/v1/events/{event_id}")["deliveries"]
        return dict(delivery) if delivery["state"] == state else None

    found: dict[str, Any] = wait_until(look, f"the delivery of {event_id} to be {state}")
    return found
