"""`tracklayer keys`: API keys, in the database of this machine or over the API of a running server."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect
from tracklayer.cli.database import WorkspaceName, opened, refuse_workspace, show_first_key
from tracklayer.cli.output import write_json
from tracklayer.settings import Settings, load_settings

app = typer.Typer(name="keys", help="API keys.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """API keys."""


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What the key is for; shown in lists and as author of versions.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="events:write, events:read, destinations:read, destinations:write or admin."),
    ],
    workspace: WorkspaceName = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and show it, this once.

    With --url or --key it asks that server. Otherwise it writes to the database, which no server may be using.
    """
    if url or key:
        refuse_workspace(workspace)
        with connect(url, key) as client:
            made: dict[str, Any] = client.post("/v1/api-keys", {"name": name, "scopes": scope})
    else:
        made = asyncio.run(_create_here(load_settings(os.environ), name, scope, workspace))
    if as_json:
        write_json(made)
        return
    show_first_key(made.get("first_admin_key"))
    typer.echo(f"The key {made['name']} ({', '.join(made['scopes'])}), shown this once:\n\n  {made['key']}\n")


async def _create_here(settings: Settings, name: str, scopes: list[str], workspace: str | None) -> dict[str, Any]:
    from tracklayer.operate.audit import COMMAND_LINE
    from tracklayer.operate.keys import DEFAULT_WORKSPACE

    async with opened(settings) as (service, first):
        owner = await service.keys.workspace(workspace or DEFAULT_WORKSPACE)
        record, text = await service.keys.create(owner.id, name=name, scopes=scopes, author=COMMAND_LINE)
    made = {"id": record.id, "name": record.name, "scopes": sorted(record.scopes), "key": text}
    return {**made, "first_admin_key": first} if first else made
