"""`tracklayer migrate-database`: an installation on SQLite, moved to PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracklayer.cli.connection import wrong_use
from tracklayer.cli.output import counted, write_line, write_table
from tracklayer.settings import Settings, async_database_url, load_settings

if TYPE_CHECKING:
    from tracklayer.store.moving import Moved, Source, Target

DATA_DIR = "TRACKLAYER_DATA_DIR"
SHOWN = 16  # characters of a checksum


def migrate_database(
    source: Annotated[str, typer.Option("--from", metavar="sqlite:///FILE", help="The database that is moved.")],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="postgresql://…",
            help="A database of its own, with nothing in it. A password may stand in PGPASSWORD or ~/.pgpass instead.",
        ),
    ],
    keep_running: Annotated[
        bool,
        typer.Option(
            "--keep-running",
            help="Copy what there is while the server runs, so that the last run, without it, is short.",
        ),
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="The server's data directory, which is locked.",
            show_default="TRACKLAYER_DATA_DIR, or where FILE is",
        ),
    ] = None,
) -> None:
    """Move an installation from SQLite to PostgreSQL, and prove that all of it is there.

    The server has to be stopped, except with --keep-running. Whatever interrupts it, the same command goes on.
    FILE is only read. Ends with 0 where both sides are equal, with 1 where they are not.
    """
    settings = load_settings(os.environ)
    file = _file_of(source)
    if not _names(target, "postgresql"):
        raise wrong_use("--to is where to move: expected postgresql://user@host/database")
    move = _Move(file, target, data_dir or (settings.data_dir if DATA_DIR in os.environ else file.parent), settings)
    if not asyncio.run(move.first() if keep_running else move.last()):
        raise typer.Exit(1)


class _Move:
    def __init__(self, file: Path, target: str, data_dir: Path, settings: Settings) -> None:
        self._file = file
        self._target = target
        self._data_dir = data_dir
        self._settings = settings

    async def first(self) -> bool:
        """Copy what there is while the server runs."""
        began = time.monotonic()
        async with self._opened() as (source, target):
            tables = await _pass(source, target)
        _report_mended(tables)
        copied = sum(each.copied for each in tables)
        write_line(
            f"Copied {copied} of {sum(each.rows[0] for each in tables)} rows in {time.monotonic() - began:.1f} s. "
            "What changes from now on is copied by the next run: once more with --keep-running to see how long that "
            "takes, then stop the server and run it without."
        )
        return True

    async def last(self) -> bool:
        """Copy the rest, and prove that both sides are equal."""
        from tracklayer.data_lock import moved_marker

        began = time.monotonic()
        with self._locked():
            typer.echo("No server may run on the old database until this has ended.", err=True)
            async with self._opened() as (source, target):
                tables = await _pass(source, target)
                _report_mended(tables)
                _show(tables)
                if source.written():
                    write_line(
                        f"{self._file} was written to meanwhile: a server runs on it. Stop it and run this again.",
                        "red",
                    )
                    return False
                differing = [each.table for each in tables if not each.equal]
                if differing:
                    write_line(f"NOT EQUAL: {', '.join(differing)}. Nothing is lost: run it again.", "red")
                    return False
                await target.finish()
                moved_marker(self._file).write_text(f"{self._shown()}\n", encoding="utf-8")
        self._report_done(time.monotonic() - began)
        return True

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Source, Target]]:
        from tracklayer.store.moving import Source, make_days, opened
        from tracklayer.store.retention import retention

        with Source(self._file) as source:
            installation, revision = source.identity(), source.revision()
            async with opened(self._target) as target:
                await target.begin(installation, revision)
                await make_days(source, target, retention(self._settings), await target.clock())
                yield source, target

    def _locked(self) -> ExitStack:
        """Neither the data directory nor the file is in use until this is closed."""
        from tracklayer.data_lock import lock_data_dir, lock_file
        from tracklayer.store.moving import Source

        with Source(self._file) as source:
            source.identity()  # or locks would be left beside a file that is none of ours
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_data_dir(self._data_dir))
                stack.enter_context(lock_file(self._file))
            except OSError as error:
                raise wrong_use(f"--data-dir: {self._data_dir} cannot be used: {error.strerror}") from error
            return stack.pop_all()

    def _shown(self) -> str:
        """Where to, without a password."""
        from tracklayer.startup import shown_url

        return shown_url(self._target)

    def _report_done(self, seconds: float) -> None:
        file = self._data_dir / "master.key"
        key = "as it is set now" if self._settings.master_key is not None else f'"$(cat {file})"'
        write_line(f"Both sides are equal. This took {seconds:.1f} s.", "green")
        write_line("Start the servers, on as many hosts as you like, with:")
        write_line(f"  TRACKLAYER_DATABASE_URL={self._shown()}")
        write_line(f"  TRACKLAYER_MASTER_KEY={key}   # the same on every host: without it no secret can be read")
        write_line(
            f"API keys, links and sessions go on working. No server starts on {self._file} any more: it would deliver "
            "what the new ones deliver. Keep it until you are content."
        )


async def _pass(source: Source, target: Target) -> list[Moved]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from tracklayer.store.moving import move, sizes

    expected = await asyncio.to_thread(sizes, source)
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        everything = progress.add_task("all", total=sum(expected.values()))

        def tell(table: str, rows: int) -> None:
            if table not in bars:
                bars[table] = progress.add_task(table, total=expected[table])
                if progress.disable and expected[table]:
                    typer.echo(f"{table}: {expected[table]} rows", err=True)
            progress.advance(bars[table], rows)
            progress.advance(everything, rows)

        return await move(source, target, tell)


def _show(tables: list[Moved]) -> None:
    headings = ["table", "rows in SQLite", "in PostgreSQL", "copied now", "checksum of SQLite", "of PostgreSQL", ""]
    rows = [
        (
            each.table,
            *each.rows,
            each.copied,
            *(checksum[:SHOWN] for checksum in each.checksums),
            "equal" if each.equal else "DIFFERENT",
        )
        for each in tables
    ]
    write_table(headings, rows, empty="")


def _report_mended(tables: list[Moved]) -> None:
    for each in tables:
        for column, count in each.mended.items():
            write_line(
                f"{each.table}.{column}: {counted(count, 'text')} with a NUL, which PostgreSQL cannot hold: "
                "U+FFFD stands in its place, as a server there would write it",
                "yellow",
            )


def _file_of(source: str) -> Path:
    from sqlalchemy.engine import make_url

    name = make_url(source).database if _names(source, "sqlite") else None
    if not name or name == ":memory:":
        raise wrong_use("--from is what to move: expected sqlite:///file (four slashes for an absolute path)")
    file = Path(name)
    if not file.is_file():
        raise wrong_use(f"--from: there is no file {file}")
    return file


def _names(url: str, kind: str) -> bool:
    try:
        return async_database_url(url).startswith(kind)
    except ValueError:
        return False
