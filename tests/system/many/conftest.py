"""Several hosts on one PostgreSQL that suffer one failure after the other, and a receiver that takes all they send.

They are the same processes for every test of this folder: whoever has got over one failure must get over the next.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import ReceiverThread
from tests.postgres import PostgresServer
from tests.system.many.installation import Installation


@pytest.fixture(scope="package")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The hosts, started."""
    with (
        PostgresServer(durable=True) as postgres,
        ReceiverThread() as receiver,
        Installation(tmp_path_factory.mktemp("many"), postgres, receiver) as installation,
    ):
        yield installation


@pytest.fixture
def installation(standing: Installation) -> Iterator[Installation]:
    """The same, every host up and the network whole, as the next test finds it again."""
    yield standing
    standing.mend()
