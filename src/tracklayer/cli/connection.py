"""How commands reach a server: `--url` and `--key`, or the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from tracklayer.settings import KEY_VARIABLE, URL_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from tracklayer.client import ApiClient

Url = Annotated[
    str | None,
    typer.Option("--url", envvar=URL_VARIABLE, help="The server to call.", show_default="http://HOST:PORT of settings"),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", envvar=KEY_VARIABLE, help="The API key to call it with.", show_default="TRACKLAYER_ADMIN_KEY"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read, not listened on)


def connect(url: str | None, key: str | None) -> ApiClient:
    """A client of the server that the options and the settings name. Raises `SettingsError`; exits without a key."""
    from tracklayer.client import ApiClient

    settings = load_settings(os.environ)
    key = key or settings.admin_key
    if not key:
        raise wrong_use(
            f"no API key: give --key or {KEY_VARIABLE}; the server printed its first admin key when it first started"
        )
    return ApiClient(url or local_url(settings), key)


def wrong_use(detail: str) -> typer.Exit:
    """Say what was asked wrongly; raise the result."""
    typer.echo(f"tracklayer: {detail}", err=True)
    return typer.Exit(2)


def local_url(settings: Settings) -> str:
    """Where a server with these settings answers on this machine. Exits where only the server can know."""
    if settings.port == 0:
        raise wrong_use(f"the settings say any free port: give --url or {URL_VARIABLE}")
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
