"""`tracklayer prune`: what a server does about once an hour, now, and in front of your eyes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tracklayer.cli.connection import AsJson
from tracklayer.cli.database import must_be_installed
from tracklayer.cli.output import write_json, write_table
from tracklayer.errors import Conflict
from tracklayer.settings import MIB, Settings, load_settings

if TYPE_CHECKING:
    from tracklayer.store.pruning import Pruned, Report


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what is older than it is kept, see docs/retention.md. Servers do so themselves, about once an hour.

    On PostgreSQL it may run beside them; on SQLite only where no server uses the database.
    """
    from tracklayer.startup import explained

    settings = load_settings(os.environ)
    with explained(settings):
        asyncio.run(must_be_installed(settings))
        with _alone(settings), _bars(dry_run=dry_run) as report:
            pruned = asyncio.run(_prune(settings, dry_run=dry_run, report=report))
    if as_json:
        write_json({"dry_run": dry_run, "rows": dict(pruned.rows), "bytes": pruned.bytes})
        return
    verb = "would be removed" if dry_run else "removed"
    rows = [(table, f"{count:,}") for table, count in pruned.rows.items() if count]
    write_table(["table", f"rows {verb}"], rows, empty="Nothing is old enough to be removed.")
    if pruned.bytes:
        typer.echo(f"{pruned.bytes / MIB:,.1f} MiB are free again.")


async def _prune(settings: Settings, *, dry_run: bool, report: Report) -> Pruned:
    from tracklayer.metrics import Metrics
    from tracklayer.operate.maintenance import Maintenance
    from tracklayer.store import open_database
    from tracklayer.store.clock import clock_of
    from tracklayer.store.retention import retention
    from tracklayer.store.schema import schema_state

    database = open_database(settings.database_url)
    try:
        if (await database.read(schema_state)).pending:
            raise Conflict("the database's schema is not the newest: tracklayer migrate brings it there", code="schema")
        maintenance = Maintenance(database, retention(settings), await clock_of(database), Metrics())
        pruned = await maintenance.prune(dry_run=dry_run, report=report)
    finally:
        await database.close()
    if pruned is None:
        raise Conflict("another process is pruning this database now: there is nothing to do", code="being_pruned")
    return pruned


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """On SQLite, hold the data directory: a server that has it prunes by itself."""
    from tracklayer.data_lock import hold

    if not settings.database_url.startswith("sqlite"):
        yield
        return
    try:
        lock = hold(settings)
    except Conflict as error:
        raise Conflict(f"{error.detail}: it prunes by itself, about once an hour", code=error.code) from error
    with closing(lock):
        yield


@contextmanager
def _bars(*, dry_run: bool) -> Iterator[Report]:
    """A bar for every table, where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    from tracklayer.store.pruning import Progress as Told

    tasks: dict[str, TaskID] = {}
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]} rows")
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:

        def report(told: Told) -> None:
            verb = "looking through" if dry_run else "pruning"
            if told.table not in tasks:
                tasks[told.table] = bars.add_task(f"{verb} {told.table}", total=1.0, rows=0)
            bars.update(tasks[told.table], completed=told.share, rows=f"{told.removed:,}")

        yield report
