"""A server for the tests of the console, and somebody who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.console.client import Console, first_person
from tests.console.place import Place
from tests.harness import Api, MeasuredServer, ReceiverThread, ServerProcess

_numbers = count(1)


@pytest.fixture(scope="session")
def console_server(
    tmp_path_factory: pytest.TempPathFactory, shared_database: dict[str, str]
) -> Iterator[ServerProcess]:
    """One server for every test of the console; tests that fail to sign in, or sign out, start or invite their own."""
    with MeasuredServer(tmp_path_factory.mktemp("console") / "data", **shared_database) as running:
        yield running


@pytest.fixture(scope="session")
def console_url(console_server: ServerProcess) -> str:
    """Where it answers."""
    return console_server.url


@pytest.fixture(scope="session")
def console_api(console_server: ServerProcess) -> Api:
    """Its API, called with the admin key."""
    return Api(console_server.url, console_server.key)


@pytest.fixture(scope="session")
def first(console_server: ServerProcess) -> Console:
    """The browser of the very first person."""
    return first_person(console_server)


@pytest.fixture
def console(first: Console) -> Console:
    """That person, in a browser of the test's own with the same session."""
    return Console(first.url, first.cookies)


@pytest.fixture
def place(console: Console, console_api: Api, receiver: ReceiverThread) -> Iterator[Place]:
    """A corner of its own for one test."""
    mine = Place(console, console_api, receiver, f"place_{next(_numbers)}")
    yield mine
    mine.clean()
