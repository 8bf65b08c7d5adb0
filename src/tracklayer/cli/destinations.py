"""`tracklayer destinations`: what is configured, files of configuration, and tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect, wrong_use
from tracklayer.cli.events import decode, read_text
from tracklayer.cli.output import must_agree, write_json, write_line, write_table

if TYPE_CHECKING:
    from tracklayer.client import ApiClient
    from tracklayer.destination_plan import Plan, Step

app = typer.Typer(name="destinations", help="Destinations: list, apply a file, test.", no_args_is_help=True)


@app.command("list")
def list_all(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show every destination."""
    with connect(url, key) as client:
        rows = list(client.rows("/v1/destinations"))
    if as_json:
        write_json(rows)
        return
    cells = [
        (row["name"], row["status"], row["version"], row["transport"]["method"], row["transport"]["url"], row["id"])
        for row in rows
    ]
    write_table(["name", "status", "version", "", "url", "id"], cells, empty="There are no destinations.")


@app.command("apply")
def apply_file(
    file: Annotated[str, typer.Option("-f", "--file", help='destinations.yaml, or .json; "-" reads a pipe.')],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make the server's destinations what a file says. Those that the file does not name are left alone."""
    from tracklayer.destination_file import parse_destinations
    from tracklayer.destination_plan import apply, make_plan

    drafts = parse_destinations(read_text(file), "standard input" if file == "-" else file, os.environ)
    with connect(url, key) as client:
        plan = make_plan(client, drafts)
        if not as_json:
            _show_plan(plan)
        saved: list[dict[str, Any]] = []
        try:
            if not dry_run and plan.pending:
                must_agree("Apply this?", yes=yes)
                for step, row in apply(client, plan):
                    saved.append(row)
                    if not as_json:
                        _show_saved(step, row)
        finally:
            if as_json:
                write_json(_as_json(plan, saved))


@app.command("test")
def send_test(
    destination: Annotated[str, typer.Argument(help="Its id or its name.")],
    event: Annotated[str | None, typer.Option("--event", help="A JSON file; otherwise the synthetic purchase.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send a test event through the real path and show every step; ends with 1 unless it is delivered."""
    body = None if event is None else {"event": decode(read_text(event), event)}
    with connect(url, key) as client:
        answer = client.post(f"/v1/destinations/{find_id(client, destination)}/test", body)
    if as_json:
        write_json(answer)
    else:
        _show_test(answer)
    if answer["state"] != "delivered":
        raise typer.Exit(1)


def find_id(client: ApiClient, destination: str) -> str:
    """The id of the destination with that id or name. Exits where there is none, or more than one of that name."""
    rows = list(client.rows("/v1/destinations"))
    found = [row for row in rows if row["id"] == destination] or [row for row in rows if row["name"] == destination]
    if not found:
        names = ", ".join(sorted(row["name"] for row in rows)) or "none yet"
        raise wrong_use(f"there is no destination {destination!r}; there are: {names}")
    if len(found) > 1:
        raise wrong_use(f"{len(found)} destinations are named {destination!r}: say which id")
    found_id: str = found[0]["id"]
    return found_id


_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "unchanged": ("=", "dim")}


def _show_plan(plan: Plan) -> None:
    for step in plan.steps:
        sign, style = _SIGNS[step.action]
        write_line(f"{sign} {step.action} {step.draft.name}", style)
        for change in step.changes:
            for line in change.lines():
                write_line(f"    {line}")
    for name in plan.others:
        write_line(f"  not in the file, left alone: {name}", "dim")
    if not plan.pending:
        write_line("Nothing to change.")


def _show_saved(step: Step, row: dict[str, Any]) -> None:
    typer.echo(f"{'created' if step.id is None else 'updated'} {row['name']}: version {row['version']}")
    for warning in row["warnings"]:
        write_line(f"    warning: {warning}", "yellow")


def _as_json(plan: Plan, saved: list[dict[str, Any]]) -> dict[str, Any]:
    return {"plan": [_step_json(step) for step in plan.steps], "left_alone": plan.others, "applied": saved}


def _step_json(step: Step) -> dict[str, Any]:
    return {"action": step.action, "name": step.draft.name, "id": step.id, "changes": step.changes}


def _show_test(answer: dict[str, Any]) -> None:
    steps = answer["steps"]
    rows = [(name, *_verdict(name, steps.get(name))) for name in ("filter", "consent", "suppression", "render", "sign")]
    send = steps.get("send")
    if send:
        response = send["response"]
        got = f"{response['status']} in {send['latency_ms']} ms" if response else send["error"]
        rows.append(("send", "ok" if answer["state"] == "delivered" else "failed", f"{got}; {send['rule']}"))
    write_table(["step", "", ""], [row for row in rows if row[1]], empty="")
    if send:
        _show_exchange(send)
    typer.echo(f"{answer['delivery_id']} is {answer['state']}")


def _verdict(name: str, step: dict[str, Any] | None) -> tuple[str, str]:
    if step is None:
        return ("", "")
    match name:
        case "filter":
            return ("ok" if step["matched"] else "stopped", step["reason"] or "matched")
        case "consent":
            return ("ok" if step["allowed"] else "stopped", step["reason"] or "allowed")
        case "suppression":
            return ("stopped", step["reason"])
        case "render":
            missing = f"missing: {', '.join(step['missing'])}" if step["missing"] else ""
            return ("ok" if step["valid"] else "failed", step["error"] or missing)
        case _:
            return ("ok" if step["verified"] else "failed", f"{step['header']} ({step['scheme']})")


def _show_exchange(send: dict[str, Any]) -> None:
    request, response = send["request"], send["response"]
    write_line(f"> {request['method']} {request['url']}", "cyan")
    for name, value in request["headers"].items():
        write_line(f"> {name}: {value}", "cyan")
    write_line(f"\n{request['body'] or ''}\n")
    if response:
        write_line(f"< {response['status']}", "magenta")
        write_line(f"{response['body']}\n")
