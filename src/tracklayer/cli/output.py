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

WIDEST = 10_000  # characters of a table's line

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}

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


def write_json(value: Json) -> None:
    """JSON on standard output, indented, decimals digit for digit."""
    typer.echo(msgspec.json.format(encode_json(value), indent=2).decode())


def write_line(text: str, style: str = "") -> None:
    """One line, as long as it is."""
    _console().print(_visible(text), style=style, soft_wrap=True)


def write_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table; `empty` where there are no rows. Words that are states have their colour.

    As wide as it needs to be: a terminal may wrap it, but an id that is cut is of no use to anybody.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        cells = ["" if cell is None else _visible(str(cell)) for cell in row]
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    if not table.row_count:
        typer.echo(empty)
        return
    _console(width=WIDEST).print(table)


def must_agree(question: str, *, yes: bool) -> None:
    """Return where the user says yes, beforehand or when asked. Exits where they decline, or nobody is there to ask."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise wrong_use("nobody is there to ask: this is no terminal, so say --yes (or --dry-run to look only)")
    if not typer.confirm(question):
        raise typer.Exit(1)


def counted(count: int, thing: str) -> str:
    """`1 dead letter`, `2 dead letters`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _visible(text: str) -> str:
    """`text` with its control characters spelled out: what a receiver answers must not steer the terminal."""
    return text.translate(_CONTROL)


def _console(width: int | None = None) -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, width=width)
