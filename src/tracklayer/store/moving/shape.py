"""How the rows of a table are moved: in one form that both databases can hold, by which they are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Boolean, String, Table

from tracklayer.model.delivery import DeliveryState
from tracklayer.store.tables import deliveries, metadata, schema_needs

Row: TypeAlias = tuple[Any, ...]

NUL, INSTEAD = "\x00", "\ufffd"
"""PostgreSQL's texts hold no NUL. A server there writes, and looks for, the same character instead."""

STOPPED = "the server stopped during the test"
_encode = msgspec.msgpack.Encoder().encode


class Shape:
    """One table. `row` makes the form; what it had to change is counted in `mended`, by column."""

    def __init__(self, table: Table) -> None:
        columns = list(table.columns)
        self.table = table
        self.name = table.name
        self.columns = [column.name for column in columns]
        self.key = [column.name for column in table.primary_key]
        self.mended: dict[str, int] = {}
        self._at = [self.columns.index(name) for name in self.key]
        self._booleans = [at for at, column in enumerate(columns) if isinstance(column.type, Boolean)]
        self._texts = [at for at, column in enumerate(columns) if isinstance(column.type, String)]

    def key_of(self, row: Row) -> Row:
        """A row's primary key."""
        return tuple([row[at] for at in self._at])

    def changes_place(self, found: Row) -> bool:
        """Whether a row as SQLite has it gets another key, and so another place among the others."""
        return any(isinstance(found[at], str) and NUL in found[at] for at in self._at)

    def row(self, found: Row) -> Row:
        """A row as SQLite has it, in the form in which it is moved."""
        row = list(found)
        for at in self._booleans:
            row[at] = bool(row[at])
        for at in self._texts:
            if row[at] is not None and NUL in row[at]:
                row[at] = row[at].replace(NUL, INSTEAD)
                self.mended[self.columns[at]] = self.mended.get(self.columns[at], 0) + 1
        return self._without_lease(row) if self.table is deliveries else tuple(row)

    def _without_lease(self, row: list[Any]) -> Row:
        """Nobody holds a lease on the other side. As after a crash, a test under a lease is let go."""
        values = dict(zip(self.columns, row, strict=True))
        if values["state"] == DeliveryState.PENDING.value and values["lease_owner"] is not None:
            values["available_at"] = values["due_at"]
            if values["test"]:
                values |= {"state": DeliveryState.DISCARDED.value, "reason": STOPPED}
        values["lease_owner"] = None
        return tuple(values.values())


def shapes() -> list[Shape]:
    """Every table that is moved: all but the one that migrations fill on either side."""
    return [Shape(table) for table in metadata.sorted_tables if table is not schema_needs]


class Digest:
    """The SHA-256 of rows in their form."""

    def __init__(self) -> None:
        self._made = hashlib.sha256()

    def add(self, rows: Iterable[Row]) -> None:
        """Go on with rows."""
        for row in rows:
            self._made.update(_encode(row))

    def value(self) -> bytes:
        """Of all rows so far."""
        return self._made.digest()


def digest_of(rows: Iterable[Row]) -> bytes:
    """The digest of rows that are all at hand."""
    made = Digest()
    made.add(rows)
    return made.value()
