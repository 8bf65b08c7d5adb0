"""What may stand in the URL of a PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from tracklayer.errors import Unavailable
from tracklayer.store import open_database


@pytest.mark.parametrize(
    "query, said",
    [
        ("sslmode=verify-full&sslrootcert=/etc/ca.pem", "'sslrootcert', which is not known: .*PGSSLROOTCERT"),
        ("connect_timeout=5", "'connect_timeout', which is not known: expected sslmode, host"),
    ],
)
def test_a_parameter_that_is_not_known_is_named(query: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        open_database(f"postgresql+asyncpg://tracklayer@db/tracklayer?{query}")


async def test_of_several_addresses_the_one_that_takes_writes_is_found(fresh_postgres: str) -> None:
    given = make_url(fresh_postgres)
    hosts = {"host": ("127.0.0.1:1", f"{given.host}:{given.port}"), "target_session_attrs": "read-write"}
    url = given.set(query=hosts)._replace(host=None, port=None).render_as_string(hide_password=False)
    database = open_database(url)
    try:
        await database.ping()
    finally:
        await database.close()
