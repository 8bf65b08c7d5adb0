"""`tracklayer people`: who may use the console, in the database of this machine or over the API of a running server."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect, local_url
from tracklayer.cli.database import WorkspaceName, opened, refuse_workspace, show_first_key
from tracklayer.cli.output import write_json, write_table
from tracklayer.settings import Settings, load_settings

app = typer.Typer(name="people", help="Who may use the console: list, invite.", no_args_is_help=True)


@app.command("invite")
def invite(
    email: Annotated[str, typer.Argument(help="Whom to invite.")],
    workspace: WorkspaceName = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a link by which one person may join within 24 hours, and show it, this once.

    With --url or --key it asks that server. Otherwise it writes to the database, which no server may be using.
    """
    if url or key:
        refuse_workspace(workspace)
        with connect(url, key) as client:
            made: dict[str, Any] = client.post("/v1/people/invitations", {"email": email})
    else:
        made = asyncio.run(_invite_here(load_settings(os.environ), email, workspace))
    if as_json:
        write_json(made)
        return
    show_first_key(made.get("first_admin_key"))
    typer.echo(f"For {made['email']}, to be opened once, until {made['expires_at']}:\n\n  {made['url']}\n")


@app.command("list")
def list_all(
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show who may sign in.

    With --url or --key it asks that server. Otherwise it reads the database, which no server may be using.
    """
    if url or key:
        with connect(url, key) as client:
            rows, first = list(client.rows("/v1/people")), None
    else:
        rows, first = asyncio.run(_list_here(load_settings(os.environ)))
    show_first_key(first, aside=as_json)
    if as_json:
        write_json(rows)
        return
    cells = [(row["id"], row["email"], row["created_at"]) for row in rows]
    write_table(["id", "e-mail", "joined"], cells, empty="There is nobody yet: tracklayer people invite EMAIL")


async def _invite_here(settings: Settings, email: str, workspace: str | None) -> dict[str, Any]:
    from tracklayer.model.moment import rfc3339
    from tracklayer.operate.audit import COMMAND_LINE
    from tracklayer.operate.keys import DEFAULT_WORKSPACE
    from tracklayer.operate.people import link_path

    base = settings.public_url or local_url(settings)
    async with opened(settings) as (service, first):
        owner = await service.keys.workspace(workspace or DEFAULT_WORKSPACE)
        token = await service.people.invite(owner.id, email=email, author=COMMAND_LINE)
        invitation = await service.people.invitation(token)
    made = {
        "email": invitation.email,
        "url": base + link_path(token),
        "expires_at": rfc3339(invitation.expires_at),
    }
    return {**made, "first_admin_key": first} if first else made


async def _list_here(settings: Settings) -> tuple[list[dict[str, Any]], str | None]:
    from tracklayer.model.moment import rfc3339
    from tracklayer.operate.keys import DEFAULT_WORKSPACE

    async with opened(settings) as (service, first):
        owner = await service.keys.workspace(DEFAULT_WORKSPACE)
        people = await service.people.all(owner.id)
    return [{"id": each.id, "email": each.email, "created_at": rfc3339(each.created_at)} for each in people], first
