"""SQLite: one writer and a few readers on one file.

A transaction is a plain function over a SQLAlchemy connection. What it does on SQLite touches memory only, so the hot
verbs run it where they are, on the event loop's own thread: a hop to another thread for every statement, with the
interpreter lock to be won back after each, costs several times what the statements do. Waiting for the disk is
another matter: every commit happens in a thread, where it holds nobody up.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Engine,
    Insert,
    Integer,
    RootTransaction,
    Select,
    Table,
    Update,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.types import TypeEngine

from tracklayer.errors import Unavailable
from tracklayer.model.event import encode_json
from tracklayer.store.database import Database, Statement, Work
from tracklayer.store.group_commit import GroupCommit
from tracklayer.store.schema import MIGRATIONS, SchemaState, schema_state, upgrade
from tracklayer.store.tables import deliveries, events

READERS = 4
LARGEST = 100  # pieces of work in one transaction
PATIENCE = 5.0  # seconds to wait for another process that is writing
GLANCE = 0.01  # seconds between looks whether it is done
LOG_PAGES = 4_000  # 16 MB: a page of an index changes again and again, and is copied once for each 4,000 pages of log

T = TypeVar("T")


class SqliteDatabase(Database):
    """SQLite allows one writing transaction at a time; taking turns here instead of in the database means that nobody
    ever waits in a busy loop.
    """

    def __init__(self, url: str) -> None:
        """`url` is a SQLAlchemy URL of a file. No connection is made yet."""
        parsed = make_url(url)
        self._writer = create_engine(parsed.set(drivername="sqlite"), pool_size=1, max_overflow=0)
        self._reader = create_engine(parsed.set(drivername="sqlite"), pool_size=READERS, max_overflow=0)
        _prepare_sqlite(self._writer, begin="BEGIN IMMEDIATE", busy_timeout=0)  # `_begin` waits
        _prepare_sqlite(self._reader, begin="BEGIN", busy_timeout=PATIENCE)
        self._writes: GroupCommit[tuple[Work[Any], bool], Any] = GroupCommit(self._transaction, largest=LARGEST)
        self._turns: set[int] = set()
        self._committing = ThreadPoolExecutor(1, "tracklayer-commit")
        self._reading = ThreadPoolExecutor(READERS, "tracklayer-read")

    async def write(self, work: Work[T], *, long: bool = False) -> T:
        """Run `work` in a transaction and answer once it is durable; whatever it raises undoes it.

        All that waits shares the next transaction and so its fsync; each has a savepoint of its own, so that one
        that fails takes none with it. `long` work (over many rows) runs in a thread. A caller that is cancelled
        leaves its work to end by itself.
        """
        answer: T = await self._writes.submit((work, long))
        return answer

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent view of what is committed, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    async def _transaction(self, works: list[tuple[Work[Any], bool]]) -> list[Any]:
        """The works' answers, or what they raised, after one commit."""
        with _unavailable_on_error(), self._writer.connect() as connection:
            transaction = await _begin(connection)
            savepoints = connection.connection.cursor()
            answers = []
            for work, long in works:
                savepoints.execute("SAVEPOINT work")
                try:
                    answers.append(await self._in_thread(_run, work, connection) if long else _run(work, connection))
                except Exception as error:
                    if not connection.connection.in_transaction:  # SQLite gave up on the whole of it
                        raise
                    savepoints.execute("ROLLBACK TO work")
                    answers.append(error)
                savepoints.execute("RELEASE work")
            try:
                await self._in_thread(transaction.commit)
            except Exception:
                connection.invalidate()  # a COMMIT that fails may leave its transaction open
                raise
            return answers

    async def _in_thread(self, step: Callable[..., T], *args: object) -> T:
        """Run one step of a transaction where it holds nobody up.

        Who is cancelled here waits for its end all the same: until then the connection is in the thread's hands.
        """
        running = asyncio.get_running_loop().run_in_executor(self._committing, step, *args)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    def _read(self, work: Work[T]) -> T:
        with _unavailable_on_error(), self._reader.connect() as connection:
            return work(connection)

    @property
    def dialect(self) -> Dialect:
        """See `Database`."""
        return self._writer.dialect

    def insert(self, table: Table) -> sqlite.Insert:
        """See `Database`."""
        return sqlite.insert(table)

    def one_of(self, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        """See `Database`."""
        return column.in_(select(func.json_each(bindparam(parameter)).table_valued("value").c.value))

    def look_up(self, wanted: Select[Any], column: ColumnElement[Any], parameter: str) -> Select[Any]:
        """See `Database`; nothing locks a row."""
        return wanted.where(self.one_of(column, parameter))

    def many(self, texts: Collection[str]) -> bytes:
        """A JSON list."""
        return encode_json(list(texts))

    def insert_rows(self, table: Table) -> sqlite.Insert:
        """See `Database`."""
        return sqlite.insert(table)

    def row_of(self, **types: TypeEngine[Any]) -> Mapping[str, ColumnElement[Any]]:
        """Parameters of a statement that is executed for each row, which costs little in one's own process."""
        return {name: bindparam(name, type_=type_) for name, type_ in types.items()}

    def rows_statement(self, core: Insert | Update | Delete) -> Statement:
        """See `Database`."""
        return self.statement(core)

    @property
    def next_position(self) -> ColumnElement[int]:
        """The number of the event's row, so that what died keeps its place before what came later and a replay finds it
        there; but behind the last of those that wait: VACUUM numbers rows anew.
        """
        other = deliveries.alias("other")
        last = select(func.coalesce(func.max(other.c.position), 0) + 1).where(
            other.c.destination_id == deliveries.c.destination_id,
            other.c.order_key == deliveries.c.order_key,
            text("other.state = 'pending'"),
        )
        row: ColumnElement[int] = literal_column("events.rowid", Integer)
        number = select(row).where(
            events.c.workspace_id == deliveries.c.workspace_id, events.c.pk == deliveries.c.event_pk
        )
        return func.max(  # of two values, in SQLite
            last.correlate(deliveries).scalar_subquery(), number.correlate(deliveries).scalar_subquery()
        )

    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        """See `Database`."""
        await self.write(lambda connection: upgrade(connection, migrations), long=True)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """One process works on a file at all, see `data_lock`."""
        yield

    @asynccontextmanager
    async def turn(self, work: int) -> AsyncIterator[bool]:
        """See `alone`; within the process it is told by `work`."""
        if work in self._turns:
            yield False
            return
        self._turns.add(work)
        try:
            yield True
        finally:
            self._turns.remove(work)

    async def ping(self) -> None:
        """Prove that a transaction can begin and commit. Raises `Unavailable`."""
        await self.write(lambda connection: connection.exec_driver_sql("PRAGMA user_version = 0"))

    async def size(self) -> int:
        """The bytes of the database on disk, without its log of the last writes."""
        question = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return await self.read(lambda connection: int(connection.exec_driver_sql(question).scalar_one()))

    def unused(self, connection: Connection) -> int:
        """See `Database`."""
        question = "SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()"
        return int(connection.exec_driver_sql(question).scalar_one())

    async def close(self) -> None:
        """Close every connection, once the transaction that runs has ended."""
        await self._writes.drain()
        self._committing.shutdown()
        self._reading.shutdown()
        self._writer.dispose()
        self._reader.dispose()


def read_only(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there, which cannot write to it. Raises `Unavailable`."""
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=PATIENCE,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be read: {error}") from error


def schema_of_file(path: Path) -> SchemaState:
    """Where the schema of a file stands, which may not be there yet; changes nothing. Raises `Unavailable`."""
    here = path.exists()
    engine = create_engine("sqlite://", creator=lambda: read_only(path) if here else sqlite3.connect(":memory:"))
    try:
        with _unavailable_on_error(), engine.connect() as connection:
            return schema_state(connection)
    finally:
        engine.dispose()


def _run(work: Work[T], connection: Connection) -> T:
    with _unavailable_on_error():
        return work(connection)


async def _begin(connection: Connection) -> RootTransaction:
    """Begin to write; where another process is writing (the command line, a backup), wait and let the loop run on."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            return connection.begin()
        except OperationalError as error:
            if not _is_busy(error) or loop.time() >= deadline:
                raise
        await asyncio.sleep(GLANCE)


def _is_busy(error: OperationalError) -> bool:
    return isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class _unavailable_on_error:  # noqa: N801 (reads as the verb that it is in a with statement)
    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DBAPIError):
            error = error.orig
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
            raise Unavailable(f"the database cannot do this now: {error}") from error


def _prepare_sqlite(engine: Engine, *, begin: str, busy_timeout: float) -> None:
    """Write-ahead log, an fsync at every commit, and transactions that begin when we say so.

    The driver's own way is to begin a transaction late, at the first write; see SQLAlchemy's page on SQLite,
    "Serializable isolation / Savepoints / Transactional DDL".
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"wal_autocheckpoint={LOG_PAGES}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
            "temp_store=MEMORY",
            f"busy_timeout={busy_timeout * 1000:.0f}",  # the last: until here the driver's own 5 s hold
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
