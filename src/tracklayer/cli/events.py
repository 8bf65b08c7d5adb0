"""`tracklayer events`: sending events from a file, a pipe or the command line; importing many is `event_import`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect, wrong_use
from tracklayer.cli.event_import import import_file
from tracklayer.cli.output import write_json, write_table
from tracklayer.model.event import Json, decode_json, encode_json

if TYPE_CHECKING:
    from tracklayer.client import ApiClient

BATCH_EVENTS = 500
BATCH_BYTES = 512 * 1024

app = typer.Typer(name="events", help="Send events.", no_args_is_help=True)
app.command("import")(import_file)


@app.callback()
def _group() -> None:
    """Send events."""


@app.command("send")
def send(
    file: Annotated[
        str | None,
        typer.Argument(help='JSON: an event, a list, {"events": […]}, or one event a line. "-" reads a pipe.'),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Send one event of this name.")] = None,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", help="Of that event, as key=value: value=149.99 is a number, sku='\"007\"' a text."),
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send events; ends with 1 when one is rejected."""
    if (file is None) == (name is None):
        raise wrong_use("say either a FILE (or - for a pipe) or --name")
    if file is not None and properties:
        raise wrong_use("--property goes with --name, not with a FILE")
    if file is None:
        events: list[Json] = [{"event_name": name, "properties": dict(map(_property, properties or []))}]
    else:
        events = _read(file)
    with connect(url, key) as client:
        results = [each for batch in _batches(events) for each in _sent(client, batch)]
    if as_json:
        write_json({"results": results})
    else:
        _report(results)
    if any(each["status"] == "rejected" for each in results):
        raise typer.Exit(1)


def read_text(file: str) -> str:
    """The content of a file, or of standard input for "-". Exits where it cannot be read."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise wrong_use(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise wrong_use(f"{file} is not UTF-8 text: {error}") from error


def decode(text: str, file: str) -> Json:
    """JSON, its numbers exact. Exits where it is none."""
    try:
        return decode_json(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise wrong_use(f"{file} is not valid JSON: {error}") from error


def _read(file: str) -> list[Json]:
    text, name = read_text(file), "standard input" if file == "-" else file
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and _is_object(lines[0][1]):
        return [decode(line, f"{name} line {number}") for number, line in lines]
    value = decode(text, name)
    if isinstance(value, dict) and isinstance(value.get("events"), list):
        value = value["events"]
    return value if isinstance(value, list) else [value]


def _is_object(line: str) -> bool:
    try:
        return isinstance(decode_json(line), dict)
    except (ValueError, ArithmeticError, RecursionError):
        return False


def _property(text: str) -> tuple[str, Json]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise wrong_use(f"--property {text!r} is not of the form key=value")
    try:
        return name, decode_json(value)
    except (ValueError, ArithmeticError, RecursionError):
        return name, value


def _batches(events: Iterable[Json]) -> Iterator[list[Json]]:
    """In order, each small enough for one request."""
    batch: list[Json] = []
    size = 0
    for event in events:
        length = len(encode_json(event))
        if batch and (len(batch) == BATCH_EVENTS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def _sent(client: ApiClient, batch: list[Json]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = client.post("/v1/events/batch", {"events": batch})["results"]
    return results


def _report(results: list[dict[str, Any]]) -> None:
    counts = {word: sum(each["status"] == word for each in results) for word in ("accepted", "duplicate", "rejected")}
    if len(results) == 1 and results[0]["id"]:
        typer.echo(f"{results[0]['status']}: {results[0]['id']}")
    else:
        typer.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    rejected = [(number, each["error"]) for number, each in enumerate(results, 1) if each["status"] == "rejected"]
    if rejected:
        rows = [(number, error["detail"], error.get("pointer")) for number, error in rejected]
        write_table(["event", "rejected because", "at"], rows, empty="")
