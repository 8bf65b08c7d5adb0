"""How property tests run (the same examples every time in CI, new ones on a developer's machine), and the server,
receiver and client that tests over sockets share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.harness import Api, MeasuredServer, ReceiverThread, ServerProcess

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the whole session; tests that stop it or set it otherwise start their own."""
    with MeasuredServer(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def api(server: ServerProcess) -> Api:
    """The session's server, called with its admin key."""
    return Api(server.url, server.key)


@pytest.fixture(scope="session")
def receiver() -> Iterator[ReceiverThread]:
    """One receiver for the whole session; every test takes paths of its own."""
    with ReceiverThread() as running:
        yield running
