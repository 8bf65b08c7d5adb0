"""Commands that run here and call nobody: `serve`, `demo`, `migrate`, `migrate-database`."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

import typer

from tracklayer.cli.database import must_be_installed
from tracklayer.cli.moving import migrate_database
from tracklayer.settings import Entry, Settings, load_settings, settings_table

_CHECK = inspect.Parameter(
    "check",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--check", help="Change nothing: say what a migration would do.")],
)


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("serve")(_with_settings(_serve))
    app.command("migrate")(_with_settings(_migrate, check=_CHECK))
    app.command("migrate-database")(migrate_database)
    app.command("demo")(_demo)


def _serve(settings: Settings) -> None:
    """Run the server. Every option is also an environment variable: see docs/settings.md."""
    gc.disable()  # what is loaded stays, and to look through it again and again took a sixth of the time to start
    try:
        from tracklayer.server import run

        raise typer.Exit(run(settings))
    finally:
        gc.enable()


def _migrate(settings: Settings, *, check: bool) -> None:
    """Bring the database's schema up to date. `serve` does so itself when it starts.

    It makes the schema in a PostgreSQL database that is still empty, but no SQLite file where there is none.
    With --check: 0 where the schema is up to date, 1 where migrations are pending, 2 where it is too new for this code.
    """
    import asyncio

    from tracklayer.startup import explained
    from tracklayer.store import open_database

    async def migrate() -> None:
        database = open_database(settings.database_url)
        try:
            await database.migrate()
        finally:
            await database.close()

    with explained(settings):
        if check:
            raise typer.Exit(asyncio.run(_check(settings.database_url)))
        if not _is_shared(settings):  # an empty PostgreSQL database was made on purpose, a file is only mistyped
            asyncio.run(must_be_installed(settings))
        with _alone(settings):
            asyncio.run(migrate())
    typer.echo("The database is up to date.")


def _alone(settings: Settings) -> AbstractContextManager[object]:
    """On SQLite no server may be running; on a shared database they go on with their work meanwhile."""
    from tracklayer.data_lock import hold

    return nullcontext() if _is_shared(settings) else hold(settings)


def _is_shared(settings: Settings) -> bool:
    from tracklayer.data_lock import sqlite_file

    return sqlite_file(settings.database_url) is None


async def _check(database_url: str) -> int:
    from tracklayer.store.opening import schema_of

    state = await schema_of(database_url)
    typer.echo(f"The schema of the database is at {state.found or 'nothing yet'}; this version knows {state.known}.")
    if state.too_new:
        typer.echo(
            f"A newer version of TrackLayer has migrated it, and only code of {state.needs or state.found} and later "
            "may work on it: this version does not start here."
        )
        return 2
    if state.newer:
        typer.echo("A newer version of TrackLayer has migrated it, and this version works on it beside the newer one.")
    for each in state.pending:
        typer.echo(f"  pending  {each}")
    return 1 if state.pending else 0


def _demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; 0 only if everything arrived.")] = False,
) -> None:
    """See real events delivered to a local receiver: filtered, signed, retried, recovered."""
    from tracklayer.demo.play import run

    raise typer.Exit(run(once=once))


def _with_settings(command: Callable[..., None], **others: inspect.Parameter) -> Callable[..., None]:
    """`command` with every setting as an option, as typer reads a function: by its signature. `others` are its own."""

    def with_options(**options: Any) -> None:
        own = {name: options.pop(name) for name in others}
        given = {name: value for name, value in options.items() if value is not None}
        command(load_settings(os.environ, given), **own)

    parameters = [
        inspect.Parameter(entry.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(entry))
        for entry in settings_table()
    ]
    parameters.extend(others.values())
    with_options.__doc__ = command.__doc__
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # the documented hook
    return with_options


def _option(entry: Entry) -> object:
    default = entry.setting.kind.show(entry.default) if entry.default else None
    return Annotated[
        str | None,
        typer.Option(
            "--" + entry.field.replace("_", "-"), help=entry.setting.doc, show_default=default or False, metavar="TEXT"
        ),
    ]
