"""What commands write: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
import typer

from tracklayer.cli.connection import wrong_use
from tracklayer.model.event import Json, encode_json

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {
    "delivered": "green",
    "active": "green",
    "accepted": "green",
    "pending": "yellow",
    "paused": "yellow",
    "draft": "yellow",
    "suppressed": "yellow",
    "duplicate": "yellow",
    "dead": "red",
    "rejected": "red",
}


def console() -> Console:
    """Standard output for people; where it is no terminal, lines are not cut to a width."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def write_json(value: Json) -> None:
    """JSON on standard output, indented, decimals digit for digit."""
    typer.echo(msgspec.json.format(encode_json(value), indent=2).decode())


def write_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table; `empty` where there are no rows. Words that are states have their colour."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        cells = ["" if cell is None else str(cell) for cell in row]
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    if not table.row_count:
        typer.echo(empty)
        return
    out = console()
    out.print(table, width=None if out.is_terminal else max(80, out.measure(table).maximum))


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the user says yes, beforehand or when asked. Exits where nobody is there to ask."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise wrong_use("nobody is there to ask: this is no terminal, so say --yes (or --dry-run to look only)")
    return typer.confirm(question)
