"""Several `tracklayer serve` processes on one PostgreSQL, as on several hosts."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

from tests.harness import Api, ServerProcess

MASTER_KEY = base64.b64encode(b"the key of every host, 32 bytes!").decode()

_sources = cycle((0, 1))  # hosts in reality do not go through their sets in one and the same order


def host(folder: Path, database_url: str, role: str, **settings: object) -> ServerProcess:
    """A process with a data directory of its own; not started."""
    given = {"database_url": database_url, "role": role, "master_key": MASTER_KEY, **settings}
    server = ServerProcess(folder, **given)
    server.source = next(_sources)
    return server


@contextmanager
def fleet(
    folder: Path, database_url: str, roles: Sequence[str], **settings: object
) -> Iterator[tuple[ServerProcess, ...]]:
    """One process for each of `roles`, started one after the other, all with the same settings."""
    with ExitStack() as running:
        hosts = [
            host(folder / f"host{number}", database_url, role, **settings) for number, role in enumerate(roles, start=1)
        ]
        yield tuple(running.enter_context(each) for each in hosts)


def api_of(server: ServerProcess) -> Api:
    """Its API with the admin key."""
    return Api(server.url, server.key)
