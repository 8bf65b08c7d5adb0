"""The command line: `tracklayer serve`, `demo`, `migrate`, `prune`, and commands that call a server over its API."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tracklayer import __version__
from tracklayer.cli import dead_letters, destinations, events, keys, local, people, prune
from tracklayer.errors import TrackLayerError
from tracklayer.settings import SettingsError

app = typer.Typer(
    name="tracklayer",
    help="Takes a customer event once and delivers it, shaped, signed and paced, to every destination that wants it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
local.add_to(app)
app.command("prune")(prune.prune)
app.add_typer(keys.app)
app.add_typer(people.app)
app.add_typer(destinations.app)
app.add_typer(events.app)
app.add_typer(dead_letters.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tracklayer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""


def main() -> None:
    """Run it. Ends with 0 for success, 1 for what failed or was declined, 2 for what was asked wrongly."""
    os.umask(0o077)  # what commands make holds customers' data
    try:
        app()
    except SettingsError as error:
        _fail(error, 2)
    except TrackLayerError as error:
        _fail(error, 1)


def _fail(error: TrackLayerError, status: int) -> None:
    place = f" ({error.pointer})" if error.pointer else ""
    print(f"tracklayer: {error.detail}{place}", file=sys.stderr)
    raise SystemExit(status)
