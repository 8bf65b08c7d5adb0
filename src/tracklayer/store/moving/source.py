"""The SQLite file that is moved. It is opened to be read, and never written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Table, select
from sqlalchemy.dialects import sqlite

from tracklayer.errors import Conflict, Unavailable
from tracklayer.identity import first_id, made_at
from tracklayer.store.moving.shape import Row, Shape
from tracklayer.store.sqlite import read_only, schema_of_file
from tracklayer.store.tables import events, workspaces

ROWS = 2_000  # in one chunk, at most
BYTES = 8 << 20  # … and about so many


class Chunk(NamedTuple):
    """Rows that follow each other. `last` is the key that they go up to; None: no more rows come after these."""

    rows: list[Row]
    last: Row | None
    next: Row | None  # `last` as the file has it


class Source:
    """One connection. Each chunk is read as it is at that moment, so a server may go on writing."""

    def __init__(self, path: Path, *, rows: int = ROWS) -> None:
        """Raises `Unavailable` where there is no such database."""
        self.path = path
        self._rows = rows
        self._moving: list[Row] = []  # rows of the table at hand that get another place
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

    def oldest_event(self, since: float) -> float | None:
        """When the first of its events was taken, of those since a moment (unix seconds); None where there is none."""
        ((pk,),) = self._all(f"SELECT min(pk) FROM {events.name} WHERE pk >= ?", first_id("evt", since))
        return None if pk is None else made_at(pk)

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        return int(self._all(f"SELECT count(*) FROM {table.name}")[0][0])

    def written(self) -> bool:
        """Whether anybody has written to the file since it was opened."""
        return self._pragma("data_version") != self._version

    def chunk(self, shape: Shape, after: Chunk | None) -> Chunk:
        """The rows that follow `after`, from the first one on where that is None."""
        if after is None:
            self._moving = self._changing_place(shape)
        low = after.last if after else None
        rows: list[Row] = []
        size, last, following = 0, None, None
        with _explained(self.path), closing(self._following(shape, after)) as cursor:
            for found in cursor:
                if shape.changes_place(found):
                    continue
                rows.append(shape.row(found))
                size += sum(len(value) for value in rows[-1] if isinstance(value, str | bytes))
                if len(rows) == self._rows or size >= BYTES:
                    last, following = shape.key_of(rows[-1]), shape.key_of(found)
                    break
        rows += [row for row in self._moving if _lies_between(shape.key_of(row), low, last)]
        rows.sort(key=shape.key_of)
        _expect_one_of_each(shape, rows)
        return Chunk(rows, last, following)

    def _following(self, shape: Shape, after: Chunk | None) -> sqlite3.Cursor:
        key = ", ".join(shape.key)
        where = f"WHERE ({key}) > ({', '.join('?' * len(shape.key))})" if after else ""
        statement = f"SELECT {_columns(shape)} FROM {shape.name} {where} ORDER BY {key}"
        return self._connection.execute(statement, (after.next if after else None) or ())

    def _changing_place(self, shape: Shape) -> list[Row]:
        """Hardly ever any: ids and names have no control characters."""
        has_nul = " OR ".join(f"instr({name}, char(0)) > 0" for name in shape.key)
        found = self._all(f"SELECT {_columns(shape)} FROM {shape.name} WHERE {has_nul}")
        return [shape.row(row) for row in found]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pragma(self, name: str) -> int:
        return int(self._all(f"PRAGMA {name}")[0][0])

    def _all(self, statement: str, *values: object) -> list[Any]:
        with _explained(self.path):
            return self._connection.execute(statement, values).fetchall()


def _columns(shape: Shape) -> str:
    return ", ".join(f'"{name}"' for name in shape.columns)


def _lies_between(key: Row, after: Row | None, last: Row | None) -> bool:
    return (after is None or key > after) and (last is None or key <= last)


def _expect_one_of_each(shape: Shape, rows: list[Row]) -> None:
    for row, following in pairwise(rows):
        if shape.key_of(row) == shape.key_of(following):
            raise Conflict(
                f"{shape.name} has two rows that PostgreSQL would take for one, {shape.key_of(row)!r}: "
                "a NUL in a text is moved as U+FFFD. Delete or change one of them first"
            )


class _explained:  # noqa: N801 (reads as the verb that it is in a with statement)
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"{self._path} cannot be read: {error}") from error
