"""The API's tests run against one real server; every test has its own corner of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.harness import Api, ReceiverThread, ServerProcess
from tests.web.site import Site

_numbers = count(1)


@pytest.fixture
def site(api: Api, receiver: ReceiverThread) -> Iterator[Site]:
    """A corner of its own for one test."""
    mine = Site(api, receiver, f"site_{next(_numbers)}")
    yield mine
    mine.clean()


FAULTS = ("request_failed", "attempt_failed", "settling_failed")


@pytest.fixture(scope="session", autouse=True)
def _no_fault_of_ours(server: ServerProcess) -> Iterator[None]:
    """Whatever the tests ask for, no handler and no attempt may crash: a crash would be in the log."""
    yield
    crashes = [line for event in FAULTS for line in server.log_lines(event)]
    assert not crashes, "\n".join(line.get("exception", str(line)) for line in crashes)
