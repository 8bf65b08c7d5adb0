"""Commands that run here and call nobody: `serve`, `demo`, `migrate`, `migrate-database`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated

import typer

from tracklayer.cli.moving import migrate_database
from tracklayer.settings import Entry, Settings, load_settings, settings_table


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("serve")(_with_settings(_serve, _serve.__doc__ or ""))
    app.command("migrate")(_with_settings(_migrate, _migrate.__doc__ or ""))
    app.command("migrate-database")(migrate_database)
    app.command("demo")(_demo)


def _serve(settings: Settings) -> None:
    """Run the server. Every option is also an environment variable: see docs/settings.md."""
    from tracklayer.server import run

    raise typer.Exit(run(settings))


def _migrate(settings: Settings) -> None:
    """Bring the database's schema up to date. `serve` does so itself when it starts."""
    import asyncio

    from tracklayer.service import lock_data_dir
    from tracklayer.startup import explained
    from tracklayer.store import open_database

    async def migrate() -> None:
        database = open_database(settings.database_url)
        try:
            await database.migrate()
        finally:
            await database.close()

    with explained(settings):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with lock_data_dir(settings.data_dir):
            asyncio.run(migrate())
    typer.echo("The database is up to date.")


def _demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; 0 only if everything arrived.")] = False,
) -> None:
    """See real events delivered to a local receiver: filtered, signed, retried, recovered."""
    from tracklayer.demo.play import run

    raise typer.Exit(run(once=once))


def _with_settings(command: Callable[[Settings], None], doc: str) -> Callable[..., None]:
    """`command` with every setting as an option, as typer reads a function: by its signature."""

    def with_options(**options: str | None) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        command(load_settings(os.environ, given))

    parameters = [
        inspect.Parameter(entry.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(entry))
        for entry in settings_table()
    ]
    with_options.__doc__ = doc
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
