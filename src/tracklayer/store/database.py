"""What the store needs of a database, whichever it is: transactions over SQLAlchemy Core, and a few hot statements.

`store.sqlite` and `store.postgresql` are the two there are; `store.opening` picks one by its URL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Delete, Dialect, Insert, Select, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from tracklayer.store.schema import MIGRATIONS

T = TypeVar("T")
Work: TypeAlias = Callable[[Connection], T]
Core: TypeAlias = Insert | Select[Any] | CompoundSelect[Any] | Update | Delete
Upsert: TypeAlias = sqlite.Insert | postgresql.Insert


class Database(ABC):
    """Transactions, each a plain function over a connection, and what differs between databases.

    Every error of the database leaves as `Unavailable`: the transaction was rolled back, nothing was taken, and the
    next one starts afresh. Only what the database refuses for what it says (a row that the schema forbids, a value that
    a type cannot hold) leaves as the driver's own error: that is a fault of ours, and whoever tried it again would try
    for ever.
    """

    shared = False  # whether other processes work on it at the same time

    @abstractmethod
    async def write(self, work: Work[T], *, long: bool = False) -> T:
        """Run `work` in a transaction and answer once it is durable; whatever it raises undoes it.

        `work` may run more than once where the database asks for the transaction again. `long` work goes over many
        rows. A caller that is cancelled leaves its work to end by itself.
        """

    @abstractmethod
    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent view of what is committed."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """How its SQL is written."""

    @abstractmethod
    def insert(self, table: Table) -> Upsert:
        """An insert in this database's dialect, for `ON CONFLICT`."""

    @abstractmethod
    def one_of(self, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        """That `column` is one of the texts in `parameter`: one statement for any number of them."""

    @abstractmethod
    def look_up(self, wanted: Select[Any], column: ColumnElement[Any], parameter: str) -> Select[Any]:
        """`wanted` of the rows whose `column`, with what `wanted` asks for, an index finds: for each of the texts in
        `parameter`, in their order where `wanted` locks them. They must differ, or rows come more than once.
        """

    @abstractmethod
    def many(self, texts: Collection[str]) -> object:
        """The value of a parameter of `one_of` and `look_up`, as the driver takes it."""

    @abstractmethod
    def insert_rows(self, table: Table) -> Upsert:
        """An insert of every column of `table`, for `rows_statement` and `ON CONFLICT`."""

    @abstractmethod
    def row_of(self, **types: TypeEngine[Any]) -> Mapping[str, ColumnElement[Any]]:
        """The values of one of the rows that `rows_statement` is run for, by their names."""

    @abstractmethod
    def rows_statement(self, core: Insert | Update | Delete) -> Statement:
        """As `statement`, run for many rows at once: an insert of `insert_rows`, or what compares with a `row_of`.

        Where it changes rows, those it is run for must differ: two of the same would be one too many for an upsert.
        """

    async def tell(self, topic: str, names: Collection[str]) -> None:
        """Announce something that no change of the store goes with. Raises `Unavailable`."""
        await self.write(lambda connection: self.announce(connection, topic, names))

    @property
    @abstractmethod
    def next_position(self) -> ColumnElement[int]:
        """A number for the row of `deliveries` that is being updated: larger than that of any earlier one for the same
        destination and key.
        """

    def announce(self, connection: Connection, topic: str, names: Collection[str]) -> None:  # noqa: B027
        """Tell every process on a shared database, once this transaction is durable. Elsewhere there is nobody."""

    @abstractmethod
    async def migrate(self, migrations: Path = MIGRATIONS) -> None:
        """Bring the schema to the newest revision of that folder; does nothing where it is.

        Raises `Conflict` for a schema that only a newer TrackLayer can work on.
        """

    @abstractmethod
    def alone(self) -> AbstractAsyncContextManager[None]:
        """While the block runs, no other process is in such a block. Raises `Unavailable`."""

    @abstractmethod
    def turn(self, work: int) -> AbstractAsyncContextManager[bool]:
        """Whether this process alone is in such a block for `work`; it is not waited for. Raises `Unavailable`."""

    @abstractmethod
    async def ping(self) -> None:
        """Prove that a transaction can begin and commit. Raises `Unavailable`."""

    @abstractmethod
    async def size(self) -> int:
        """The bytes of the database on disk, without its log of the last writes."""

    @abstractmethod
    def unused(self, connection: Connection) -> int:
        """The bytes within `size` that hold nothing, as this transaction sees it; 0 where the database cannot tell."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection, once the transactions that run have ended."""

    def statement(self, core: Core, *names: str) -> Statement:
        """`core` with the parameters `names`, compiled for this database once and for all."""
        return Statement(core.compile(dialect=self.dialect, column_keys=names or None), self.storable)

    def storable(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """Values for a statement, as this database can hold them."""
        return values


class Statement:
    """A hot statement, handed to the driver as text: Core's own way there costs as much again as the row does."""

    def __init__(self, compiled: SQLCompiler, storable: Callable[[tuple[object, ...]], tuple[object, ...]]) -> None:
        """`compiled` has positional parameters; `storable` is the database's."""
        self._storable = storable
        self._sql = str(compiled)
        names = compiled.positiontup or ()
        values: Callable[[Mapping[str, object]], tuple[object, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda row: tuple(row[name] for name in names)
        )
        # What the statement and the dialect bring of their own: SQLite's OFFSET 0, the 0 of a coalesce.
        literals = {name: value for name, value in compiled.params.items() if value is not None}
        self._values = (lambda row: values({**literals, **row})) if literals else values

    def run(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Execute it for every row (a mapping from parameter to value, as the driver takes it), if there are any."""
        values = [self._values(row) for row in rows]
        if values:
            self._execute(_cursor(connection), values)

    def _execute(self, cursor: DBAPICursor, values: list[tuple[object, ...]]) -> None:
        cursor.executemany(self._sql, [self._storable(each) for each in values])

    def all(self, connection: Connection, row: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Every row that it answers for one set of parameters, as the driver gives them."""
        cursor = _cursor(connection)
        cursor.execute(self._sql, self._storable(self._values(row)))
        return list(cursor.fetchall())


def _cursor(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()
