"""The program that forks, see `tests/forking.py`: it has done what a server does the same way at every start."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple

from coverage import process_startup

import tracklayer.cli
import tracklayer.server  # noqa: F401
from tests import greenlets
from tracklayer.pipeline.devices import user_agent_reader
from tracklayer.web.console.rendering import renderer

LATE = (  # what libraries import when they are first used
    "alembic.command",
    "anyio._backends._asyncio",
    "litestar._kwargs.kwargs_model",
    "litestar.middleware._internal.exceptions",
    "litestar.plugins.attrs",
    "litestar.plugins.pydantic",
    "typer._click.decorators",
    "uvicorn.lifespan.off",
)


class Asked(NamedTuple):
    """What a fork is to run: `python -m` with these arguments."""

    arguments: list[str]
    env: dict[str, str]
    cwd: str


def prepare() -> None:
    """Import, load and compile."""
    for module in LATE:
        import_module(module)
    user_agent_reader()("Mozilla/5.0")
    asyncio.run(renderer().warm())  # its threads end with the loop: only the thread that forks lives on in a fork
    gc.collect()
    gc.freeze()  # or each fork would copy what its garbage collector looks at


def fork_on_demand(line: socket.socket) -> Asked:
    """Fork whenever somebody asks; returns in the fork. Ends the process when nobody is left to ask."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the tests end what they have started
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    tell: dict[int, int] = {}  # process id → where to write how it ends
    while True:
        ready, _, _ = select.select([line.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            tell_of_ended(tell)
        if line.fileno() not in ready:
            continue
        size, files, _, _ = socket.recv_fds(line, 4, 3)
        if not size:
            sys.exit()
        asked = Asked(**json.loads(line.recv(int.from_bytes(size), socket.MSG_WAITALL)))
        stdout, stderr, told = files
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            for each in (*files, *tell.values(), woken, wakes):
                os.close(each)
            return asked
        os.close(stdout)
        os.close(stderr)
        tell[pid] = told
        line.sendall(pid.to_bytes(4))


def tell_of_ended(tell: dict[int, int]) -> None:
    """Write down how those of the forks have ended that have."""
    for pid in list(tell):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            told = tell.pop(pid)
            with suppress(BrokenPipeError):  # nobody wants to know
                os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


def main() -> None:
    """Fork, and in a fork do as it was asked."""
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as line:
        asked = fork_on_demand(line)
    os.environ.clear()
    os.environ.update(asked.env)
    os.chdir(asked.cwd)
    if "COVERAGE_PROCESS_CONFIG" in asked.env:  # it is to be measured: from here on, what is imported is not
        process_startup()
        greenlets.follow()
    module, *sys.argv[1:] = asked.arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
