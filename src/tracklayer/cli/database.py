"""How commands reach the database of this machine, where no server is running, and that they make none themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tracklayer.cli.connection import wrong_use
from tracklayer.settings import Settings

if TYPE_CHECKING:
    from tracklayer.service import Service

WorkspaceName = Annotated[
    str | None, typer.Option("--workspace", help="The workspace; made where there is none.", show_default="default")
]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Service, str | None]]:
    """A service that does not deliver, and the first admin key where the database is new.

    Exits where there is no installation. Raises `StartError`, also where a server is using the data directory.
    """
    from tracklayer.service import Service
    from tracklayer.startup import explained

    with explained(settings):
        await must_be_installed(settings)
        service = Service(settings)
        try:
            with _lock(settings):
                yield service, await service.prepare()
        finally:
            await service.close()


async def must_be_installed(settings: Settings) -> None:
    """Exit where the settings name a place that no server has begun to use: it is mistyped, and nothing is made there.

    Raises `Unavailable`.
    """
    from tracklayer.data_lock import sqlite_file
    from tracklayer.startup import shown_url
    from tracklayer.store.opening import schema_of

    file = sqlite_file(settings.database_url)
    if file is not None and not settings.data_dir.is_dir():
        raise _not_installed(settings.data_dir.absolute(), "TRACKLAYER_DATA_DIR")
    if (await schema_of(settings.database_url)).found is None:
        is_default = settings.database_url == Settings(data_dir=settings.data_dir).database_url
        place = shown_url(settings.database_url) if file is None else file.absolute()
        raise _not_installed(place, "TRACKLAYER_DATA_DIR" if is_default else "TRACKLAYER_DATABASE_URL")


def refuse_workspace(workspace: str | None) -> None:
    """Exit where a workspace is named for a command that calls a server."""
    if workspace:
        raise wrong_use("--workspace is for the database of this machine: over the API, the key says which it is")


def show_first_key(key: str | None, *, aside: bool = False) -> None:
    """Say the admin key of a database that is new; `aside` on standard error, where the output is for programs."""
    if key:
        typer.echo(f"The database is new. Its first admin key, shown this once:\n\n  {key}\n", err=aside)


def _not_installed(place: object, setting: str) -> typer.Exit:
    return wrong_use(
        f"there is no TrackLayer in {place}: {setting} says where one is, and `tracklayer serve` makes a new one"
    )


def _lock(settings: Settings) -> ExitStack:
    from tracklayer.data_lock import hold
    from tracklayer.errors import Conflict

    try:
        return hold(settings)
    except Conflict as error:
        raise Conflict(f"{error.detail}: ask that server, with --url and --key", code=error.code) from error
