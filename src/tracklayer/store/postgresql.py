"""PostgreSQL 15 and later, through asyncpg: many processes on many hosts work on one database at the same time.

A transaction is the same plain function as on SQLite. SQLAlchemy runs it in a greenlet, so each statement waits on the
event loop and holds nobody up; every transaction has a connection of its own out of a small pool.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import asyncpg
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Insert,
    Select,
    Sequence,
    String,
    Table,
    Update,
    any_,
    bindparam,
    event,
    func,
    join,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from tracklayer.errors import Conflict, Unavailable
from tracklayer.store.array_text import ArrayText, array
from tracklayer.store.database import Core, Database, Statement, Work
from tracklayer.store.schema import MIGRATIONS, upgrade

OLDEST = (15,)  # version of PostgreSQL that this is made for
CONNECTIONS = 8  # of one process, at most, beside the one that listens
CONNECTING = 5.0  # seconds to make a connection
COMMAND = 15.0  # seconds that one statement may take; a host that is gone is noticed that late
LONG_COMMAND = 900.0  # … of work that goes over many rows
CLOSING = 3.0  # seconds that a server has to say good-bye
TURN = 10.0  # seconds that a transaction waits for a free connection
LOCK_WAIT = 1.0  # seconds that a migration waits for a lock, and again before it tries once more
LOCK_TRIES = 60
TRIES = 4  # of a transaction that met another one in a deadlock
CHANNEL = "tracklayer"
MADE_AT = "made_at"  # what a pooled connection's `info` calls its beginning
MIGRATING = 500_173_827_947  # the key of the advisory lock that migrations take, one process after the other
STARTING = 500_173_827_948  # … and the one of processes that start

# What the server itself is to give up, because the process that asked may be stopped or gone without a word.
_SESSION = {
    "application_name": "tracklayer",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# What accepts and delivers finds every row by its key. The planner would know that of tables that it has counted, but a
# new one grows by a hundred thousand rows before that, and until then it would be read through as if it were small.
_BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_AGAIN = {"40001", "40P01"}  # serialization failure, deadlock: nothing was done, and it may be tried again
_LOCKED = "55P03"  # a lock was not to be had in time
_OURS = ("22", "23", "42")  # a value, a constraint, a statement: no later try would do better

T = TypeVar("T")


class PostgresDatabase(Database):
    """A pool of connections."""

    shared = True

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        """`url` is a SQLAlchemy URL; libpq's `sslmode` is understood, too. No connection is made yet.

        Raises `Unavailable` for a parameter that is not known.
        """
        self._url = _for_asyncpg(make_url(url))
        self._silent_at = 0.0  # on the monotonic clock: when the server last gave no answer in time
        reading = max(1, connections * 3 // 8)
        self._writer = self._make_engine(connections - reading, COMMAND, _BY_KEY)
        self._long_writer = self._make_engine(1, LONG_COMMAND)
        self._reader = self._make_engine(reading, COMMAND).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writes: set[asyncio.Task[Any]] = set()
        self._notify = self.statement(
            select(func.pg_notify(literal_column(f"'{CHANNEL}'"), bindparam("said", type_=String)))
        )

    def _make_engine(
        self, connections: int, command_timeout: float, planning: Mapping[str, str] | None = None
    ) -> AsyncEngine:
        engine = create_async_engine(
            self._url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=TURN,
            pool_use_lifo=True,
            connect_args={
                "timeout": CONNECTING,
                "command_timeout": command_timeout,
                "server_settings": {
                    **_SESSION,
                    **(planning or {}),
                    "statement_timeout": f"{command_timeout:.0f}s",
                },
            },
        )
        event.listen(engine.sync_engine, "connect", _note_time)
        event.listen(engine.sync_engine, "checkout", self._refuse_lost)
        event.listen(engine.sync_engine, "before_cursor_execute", self._make_storable, retval=True)
        return engine

    def _make_storable(
        self, _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, _many: bool
    ) -> tuple[str, Any]:
        many = type(parameters) is list  # the flag is set for rows that Core has joined into one statement, too
        return statement, [self.storable(each) for each in parameters] if many else self.storable(parameters)

    def _refuse_lost(self, connection: Any, record: Any, _proxy: object) -> None:
        """Have the pool make a new connection in place of one that the server has closed, or that is older than the
        last silence: of those that lay idle while the database was away, each would fail somebody's transaction.
        """
        if connection.driver_connection.is_closed() or record.info[MADE_AT] < self._silent_at:
            raise DisconnectionError

    def _fail(self, error: Exception, *, in_doubt: bool = False) -> NoReturn:
        if isinstance(error, TimeoutError):
            self._silent_at = time.monotonic()
        _raise(error, in_doubt=in_doubt)

    async def write(self, work: Work[T], *, long: bool = False) -> T:
        """See `Database`."""
        task = asyncio.create_task(self._write(work, self._long_writer if long else self._writer))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_forget)  # nobody is there for its error
            raise

    async def _write(self, work: Work[T], engine: AsyncEngine) -> T:
        for tried in range(1, TRIES + 1):
            transaction = _Transaction(engine)
            try:
                async with transaction as connection:
                    return await connection.run_sync(work)
            except (DBAPIError, asyncpg.PostgresError, *_DRIVER) as error:
                if _sqlstate(error) in _AGAIN and tried < TRIES:
                    continue
                self._fail(error, in_doubt=transaction.commits)
        raise AssertionError  # the last try returns or raises

    async def read(self, work: Work[T]) -> T:
        """See `Database`."""
        try:
            async with _Transaction(self._reader) as connection:
                return await connection.run_sync(work)
        except (DBAPIError, asyncpg.PostgresError, *_DRIVER) as error:
            self._fail(error)

    @property
    def dialect(self) -> Dialect:
        """See `Database`."""
        return self._writer.dialect

    def insert(self, table: Table) -> postgresql.Insert:
        """See `Database`."""
        return postgresql.insert(table)

    def one_of(self, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        """See `Database`."""
        return column == any_(bindparam(parameter, type_=ARRAY(String)))

    def look_up(self, wanted: Select[Any], column: ColumnElement[Any], parameter: str) -> Select[Any]:
        """One look into the index for each, which OFFSET keeps the planner from rearranging. Of a list it cannot tell
        which partitions it needs, and it may read through all that the index has before the list's column.
        """
        text_ = self.row_of(**{parameter: column.type})[parameter]
        row = wanted.where(column == text_).offset(literal_column("0")).lateral("found")
        return select(*row.c).select_from(join(text_.table, row, true()))

    def many(self, texts: Collection[str]) -> list[str]:
        """An array."""
        return list(texts)

    def insert_rows(self, table: Table) -> postgresql.Insert:
        """See `Database`."""
        row = self.row_of(**{column.name: column.type for column in table.c})
        return postgresql.insert(table).from_select(list(row), select(*row.values()))

    def row_of(self, **types: TypeEngine[Any]) -> Mapping[str, ColumnElement[Any]]:
        """Arrays, one a column: a statement of its own for each row costs several times what its work does."""
        arrays = [array(name, type_) for name, type_ in types.items()]
        return dict(func.unnest(*arrays).table_valued(*types).render_derived().c)

    def statement(self, core: Core, *names: str) -> Statement:
        """See `Database`."""
        compiled = core.compile(dialect=self.dialect, column_keys=names or None)
        return Statement(compiled, self._storing(compiled))

    def rows_statement(self, core: Insert | Update | Delete) -> Statement:
        """See `Database`."""
        compiled = core.compile(dialect=self.dialect)
        return _RowsStatement(compiled, self._storing(compiled))

    def _storing(self, compiled: SQLCompiler) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
        """How the values of a statement become those that the driver takes, by the types of its parameters."""
        types = [compiled.binds[name].type for name in compiled.positiontup or ()]
        steps: list[Callable[[Any], object]] = [
            type_.write if isinstance(type_, ArrayText) else _without_nul for type_ in types
        ]
        return lambda values: tuple([step(value) for step, value in zip(steps, values, strict=True)])

    @property
    def next_position(self) -> ColumnElement[int]:
        """Of a sequence: whoever accepts after another one's commit gets a larger number."""
        return _POSITIONS.next_value()

    def storable(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """PostgreSQL's text has no NUL: it becomes U+FFFD, as an unreadable character does. JSON is kept as bytes."""
        for value in values:
            if type(value) is list or (type(value) is str and "\0" in value):
                return tuple(_without_nul(value) for value in values)
        return values

    def announce(self, connection: Connection, topic: str, names: Collection[str]) -> None:
        """See `Database`; heard by `store.listening`."""
        self._notify.run(connection, [{"said": f"{topic} {name}"} for name in names])

    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        """See `Database`. Other processes work meanwhile: whoever waits for a lock has everybody else queue behind it,
        so a migration that does not get one soon lets them pass and tries again.
        """

        def work(connection: Connection) -> None:
            version = connection.dialect.server_version_info or ()
            if version < OLDEST:
                found, wanted = (".".join(map(str, each)) for each in (version, OLDEST))
                raise Conflict(f"PostgreSQL {found} is too old: expected {wanted} or newer", code="old_postgresql")
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT * 1000:.0f}ms'"))
            upgrade(connection, migrations)

        for tried in range(1, LOCK_TRIES + 1):
            try:
                return await self.write(work, long=True)
            except Unavailable as error:
                if _sqlstate(error) != _LOCKED or tried == LOCK_TRIES:
                    raise
            await asyncio.sleep(LOCK_WAIT)
        return None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """See `Database`: an advisory lock."""
        async with self._connection() as connection:
            await connection.execute(f"SELECT pg_advisory_lock({STARTING})", timeout=LONG_COMMAND)
            yield

    @asynccontextmanager
    async def turn(self, work: int) -> AsyncIterator[bool]:
        """See `Database`: an advisory lock."""
        async with self._connection() as connection:
            try:
                mine = await connection.fetchval(f"SELECT pg_try_advisory_lock({work})", timeout=COMMAND)
            except _BROKEN as error:
                _raise(error)
            yield mine

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One beside the pool, for a lock that ends with it."""
        try:
            connection = await asyncpg.connect(**arguments_of(self._url), timeout=CONNECTING)
        except _BROKEN as error:
            _raise(error)
        try:
            yield connection
        finally:
            connection.terminate()

    async def ping(self) -> None:
        """Prove that a transaction can begin and commit. Raises `Unavailable`."""
        await self.write(lambda connection: connection.execute(_PING))

    async def size(self) -> int:
        """The bytes of the database on disk, without the server's log."""
        question = select(func.pg_database_size(func.current_database()))
        return await self.read(lambda connection: int(connection.execute(question).scalar_one()))

    def unused(self, connection: Connection) -> int:  # noqa: ARG002
        """See `Database`: VACUUM finds it out later."""
        return 0

    async def close(self) -> None:
        """See `Database`."""
        if self._writes:
            await asyncio.wait(self._writes)
        for engine in (self._writer, self._long_writer, self._reader):
            with suppress(
                TimeoutError
            ):  # a server that is silent is not waited for; what is left ends with the process
                async with asyncio.timeout(CLOSING):
                    await engine.dispose()


class _RowsStatement(Statement):
    """Executed once, for arrays of values, one a column."""

    def _execute(self, cursor: DBAPICursor, values: list[tuple[object, ...]]) -> None:
        cursor.execute(self._sql, self._storable(tuple(map(list, zip(*values, strict=True)))))


def _note_time(_connection: object, record: Any) -> None:
    record.info[MADE_AT] = time.monotonic()


_POSITIONS = Sequence("delivery_positions")

# A standby takes reads; only a primary that can write gives a transaction its number.
_PING = text("SELECT pg_current_xact_id()")


class _Transaction:
    """A connection for one transaction: committed at the end of the block, and thrown away where anything went wrong
    with it. Who is cancelled meanwhile gives back no connection that is in the middle of something.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._connection = engine.connect()
        self.commits = False  # whether the server was asked to, and so may have done it

    async def __aenter__(self) -> AsyncConnection:
        connection = await self._connection.start()
        await connection.begin()  # no statement yet; hot ones go past SQLAlchemy, which would not see that one began
        return connection

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        connection = self._connection
        try:
            if error is None:
                self.commits = True
                await connection.commit()
            elif isinstance(error, Exception) and not isinstance(error, _BROKEN):
                await connection.rollback()
            else:
                await connection.invalidate()
        except BaseException:
            await connection.invalidate()
            raise
        finally:
            await connection.close()


def arguments_of(url: URL) -> dict[str, Any]:
    """What `asyncpg.connect` takes for a SQLAlchemy URL."""
    made: dict[str, Any] = _DIALECT().create_connect_args(_for_asyncpg(url))[1]
    return {name: value for name, value in made.items() if not name.startswith("prepared_statement")}


def _without_nul(value: Any) -> Any:
    if type(value) is str:
        return value.replace("\0", "\ufffd")
    if type(value) is list and value and type(value[0]) is not bytes:
        return [_without_nul(each) for each in value]
    return value


_PARAMETERS = inspect.signature(asyncpg.connect).parameters.keys() | {"host", "port"}
_EXPECTED = "expected sslmode, host, port or target_session_attrs"
_INSTEAD = {"sslrootcert": "the environment's PGSSLROOTCERT names that file"}


def _for_asyncpg(url: URL) -> URL:
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    for name in query.keys() - _PARAMETERS:
        raise Unavailable(f"the database's URL has {name!r}, which is not known: {_INSTEAD.get(name, _EXPECTED)}")
    return url.set(drivername="postgresql+asyncpg", query=query)


_DIALECT: Any = postgresql.asyncpg.dialect
_DBAPI: Any = _DIALECT.import_dbapi()
_DRIVER: tuple[type[Exception], ...] = (
    _DBAPI.Error,
    SQLAlchemyError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_BROKEN = (DBAPIError, asyncpg.PostgresError, *_DRIVER)


def _sqlstate(error: BaseException) -> str | None:
    """The code that PostgreSQL gave (its manual, appendix A); None where it was not the server who complained."""
    cause: BaseException | None = error
    while cause is not None:
        state = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state
        cause = getattr(cause, "orig", None) or cause.__cause__
    return None


def _raise(error: Exception, *, in_doubt: bool = False) -> NoReturn:
    state = _sqlstate(error)
    if state is not None and state.startswith(_OURS):
        raise error
    unavailable = Unavailable(f"the database cannot do this now: {said(getattr(error, 'orig', None) or error)}")
    unavailable.in_doubt = in_doubt
    raise unavailable from error


def said(error: Exception) -> str:
    """What an error says, in a line: many say nothing, some have hints and numbers."""
    text_ = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return text_ or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
