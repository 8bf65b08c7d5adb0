"""Writing over a row only where it still is what it was read as, so that nobody's change is lost in between."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Table, Update, update


def update_unchanged(table: Table, before: Mapping[str, object], after: Mapping[str, object]) -> Update:
    """Makes `after` of the row that is exactly `before`; where there is none such by now, it changes no row."""
    stands = [table.c[name].is_not_distinct_from(value) for name, value in before.items()]
    return update(table).where(*stands).values(after)
