"""`tracklayer dead-letters`: what gave up, sending it again, letting it go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect, wrong_use
from tracklayer.cli.destinations import find_id
from tracklayer.cli.output import counted, must_agree, write_json, write_line, write_table

if TYPE_CHECKING:
    from tracklayer.client import ApiClient

WORTH_A_BAR = 20  # dead letters

app = typer.Typer(name="dead-letters", help="Deliveries that gave up: list, replay, discard.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Delivery ids (dlv_…); or say a filter, or --all.")]
Destination = Annotated[str | None, typer.Option("--destination", help="Only of this one: id or name.")]
EventName = Annotated[str | None, typer.Option("--event-name", help="Only of this event name.")]
Code = Annotated[int | None, typer.Option("--code", help="Only those whose last answer had this status.")]
Since = Annotated[str | None, typer.Option("--since", help="Only from this RFC 3339 time on.")]
Until = Annotated[str | None, typer.Option("--until", help="Only before this RFC 3339 time.")]
Every = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters a command is about."""

    ids: list[str]
    filter: dict[str, Any]
    every: bool = False

    def checked(self) -> Selection:
        """Itself, when it selects in exactly one way; exits otherwise."""
        if self.ids and (self.filter or self.every):
            raise wrong_use("say either ids or a filter, not both")
        if not (self.ids or self.filter or self.every):
            raise wrong_use("say which: delivery ids, a filter such as --destination, or --all")
        return self


@app.command("list")
def list_all(
    destination: Destination = None,
    event_name: EventName = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", help="The most rows.", min=1)] = 50,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters, newest first."""
    with connect(url, key) as client:
        wanted = _filter(client, destination, event_name, code, since, until)
        found = client.rows("/v1/dead-letters", **wanted)
        rows = [row for _, row in zip(range(limit), found, strict=False)]
        names = {row["id"]: row["name"] for row in client.rows("/v1/destinations")} if rows and not as_json else {}
    if as_json:
        write_json(rows)
        return
    cells = [
        (
            row["id"],
            row["updated_at"][:19] + "Z",
            names.get(row["destination_id"], row["destination_id"]),
            row["event_name"],
            row["code"],
            row["reason"],
        )
        for row in rows
    ]
    headings = ["delivery", "died", "destination", "event", "code", "why"]
    write_table(headings, cells, empty="There are no dead letters.")


@app.command("replay")
def replay(
    ids: Ids = None,
    destination: Destination = None,
    event_name: EventName = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    every: Every = False,
    as_sent: Annotated[bool, typer.Option("--as-sent", help="The body as it was, not rendered anew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and show how bodies would differ.")] = False,
    yes: Yes = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, under the same delivery ids and within the rate limit."""
    mode = "as_sent" if as_sent else "rerender"
    with connect(url, key) as client:
        wanted = _filter(client, destination, event_name, code, since, until)
        selected = Selection(ids=ids or [], filter=wanted, every=every).checked()
        if dry_run:
            query = {"ids": selected.ids} if selected.ids else selected.filter
            found = client.post("/v1/dead-letters/replay", {**query, "mode": mode, "dry_run": True})
            write_json(found) if as_json else _show_diffs(found)
            return

        def send(delivery_id: str) -> None:
            client.post(f"/v1/dead-letters/{delivery_id}/replay", {"mode": mode})

        _for_each(client, selected, send, words=("Replay", "replayed"), yes=yes, as_json=as_json)


@app.command("discard")
def discard(
    ids: Ids = None,
    destination: Destination = None,
    event_name: EventName = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    every: Every = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the delivery.")] = "discarded by an operator",
    yes: Yes = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Let dead letters go. They stay in the log as discarded."""
    with connect(url, key) as client:
        wanted = _filter(client, destination, event_name, code, since, until)
        selected = Selection(ids=ids or [], filter=wanted, every=every).checked()

        def let_go(delivery_id: str) -> None:
            client.post(f"/v1/dead-letters/{delivery_id}/discard", {"reason": reason})

        _for_each(client, selected, let_go, words=("Discard", "discarded"), yes=yes, as_json=as_json)


def _filter(
    client: ApiClient,
    destination: str | None,
    event_name: str | None,
    code: int | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    known_by_id = destination is None or destination.startswith("dst_")  # it may be deleted by now
    given = {
        "destination_id": destination if known_by_id else find_id(client, str(destination)),
        "event_name": event_name,
        "code": code,
        "since": since,
        "until": until,
    }
    return {name: value for name, value in given.items() if value is not None}


def _for_each(
    client: ApiClient,
    selected: Selection,
    act: Callable[[str], None],
    *,
    words: tuple[str, str],
    yes: bool,
    as_json: bool,
) -> None:
    """Do `act` for every selected dead letter and tell what was done, whatever fails; exits with 1 for a refusal."""
    from tracklayer.client import ApiError, segment

    ids = selected.ids or [row["id"] for row in client.rows("/v1/dead-letters", **selected.filter)]
    if not selected.ids and ids:
        must_agree(f"{words[0]} {counted(len(ids), 'dead letter')}?", yes=yes)
    done: list[str] = []
    refused: list[dict[str, str]] = []
    try:
        for delivery_id in _with_progress(ids, words[0]):
            try:
                act(segment(delivery_id))
                done.append(delivery_id)
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
                refused.append({"id": delivery_id, "detail": error.detail})
    finally:
        if as_json:
            write_json({words[1]: done, "refused": refused})
        else:
            typer.echo(f"{len(done)} {words[1]}")
            for each in refused:
                typer.echo(f"{each['id']}: {each['detail']}", err=True)
    if refused:
        raise typer.Exit(1)


def _with_progress(ids: list[str], word: str) -> Iterator[str]:
    """The ids, with a bar on standard error where somebody sees it and it takes long enough to matter."""
    from rich.console import Console
    from rich.progress import track

    stderr = Console(stderr=True)
    yield from track(ids, description=word, console=stderr, transient=True, disable=len(ids) < WORTH_A_BAR)


def _show_diffs(found: dict[str, Any]) -> None:
    write_line(f"{counted(found['count'], 'dead letter')} would be replayed.")
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for each in found["diffs"]:
        write_line(f"\n{each['delivery_id']}: {each['error'] or ('' if each['diff'] else 'the same body')}")
        for line in each["diff"].splitlines():
            write_line(f"  {line}", colours.get(line[0], ""))
