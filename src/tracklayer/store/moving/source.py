"""The SQLite file that is moved. It is opened to be read, and never written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Table, select
from sqlalchemy.dialects import sqlite

from tracklayer.errors import Conflict, Unavailable
from tracklayer.store.moving.shape import Row, Shape
from tracklayer.store.sqlite import read_only, schema_of_file
from tracklayer.store.tables import workspaces

ROWS = 2_000  # in one chunk, at most
BYTES = 8 << 20  # … and about so many


class Chunk(NamedTuple):
    """Rows that follow each other. `last` is the key of the last one; None: no more rows come after these."""

    rows: list[Row]
    last: Row | None
    next: Row | None  # `last` as the file has it


class Source:
    """One connection. Each chunk is read as it is at that moment, so a server may go on writing."""

    def __init__(self, path: Path, *, rows: int = ROWS) -> None:
        """Raises `Unavailable` where there is no such database."""
        self.path = path
        self._rows = rows
        self._connection = read_only(path)
        self._version = self._pragma("data_version")

    def revision(self) -> str | None:
        """Of its schema."""
        return schema_of_file(self.path).found

    def identity(self) -> str:
        """Which installation it is: the id of its first workspace. Raises `Conflict` where it has none."""
        statement = select(workspaces.c.id).order_by(workspaces.c.created_at, workspaces.c.id).limit(1)
        found = self._all(str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})))
        if not found:
            raise Conflict(
                f"{self.path} has no workspace: no server has been started on it, and nothing is to be moved"
            )
        return str(found[0][0])

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        return int(self._all(f"SELECT count(*) FROM {table.name}")[0][0])

    def written(self) -> bool:
        """Whether anybody has written to the file since it was opened."""
        return self._pragma("data_version") != self._version

    def chunk(self, shape: Shape, after: Chunk | None) -> Chunk:
        """The rows that follow `after`, from the first one on where that is None."""
        key = ", ".join(shape.key)
        columns = ", ".join(f'"{name}"' for name in shape.columns)
        where = f"WHERE ({key}) > ({', '.join('?' * len(shape.key))})" if after else ""
        statement = f"SELECT {columns} FROM {shape.name} {where} ORDER BY {key} LIMIT {self._rows}"
        rows: list[Row] = []
        size, before = 0, after.last if after else None
        with (
            _explained(self.path),
            closing(self._connection.execute(statement, (after.next if after else None) or ())) as cursor,
        ):
            for found in cursor:
                row = shape.row(found)
                before = _next_key(shape, row, before)
                rows.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
                if len(rows) == self._rows or size >= BYTES:
                    return Chunk(rows, before, shape.key_of(found))
        return Chunk(rows, None, None)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pragma(self, name: str) -> int:
        return int(self._all(f"PRAGMA {name}")[0][0])

    def _all(self, statement: str) -> list[Any]:
        with _explained(self.path):
            return self._connection.execute(statement).fetchall()


def _next_key(shape: Shape, row: Row, before: Row | None) -> Row:
    key = shape.key_of(row)
    if before is not None and key <= before:
        raise Conflict(
            f"{shape.name} has two rows that PostgreSQL would take for one, or in another order: {before!r} and "
            f"{key!r} (a NUL in a text is moved as U+0001)"
        )
    return key


class _explained:  # noqa: N801 (reads as the verb that it is in a with statement)
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"{self._path} cannot be read: {error}") from error
