"""`tracklayer demo`: a server, a receiver, the story between them, and then time to play."""

from __future__ import annotations

import asyncio
import signal

from rich import box
from rich.console import Console
from rich.table import Table

from tracklayer.client import ApiClient
from tracklayer.demo.receiver import Receiver, Recorded
from tracklayer.demo.server import DemoServer, ServerFailed
from tracklayer.demo.story import Check, Story


def run(*, once: bool) -> int:
    """Play the demo; answers 0 only if everything arrived and verified. Without `once` it stays up until Ctrl-C."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        return asyncio.run(_play(console, once=once))
    except (ServerFailed, TimeoutError) as error:
        console.print(f"The demo's server did not start. {error}", style="red")
        return 1


async def _play(console: Console, *, once: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Receiver() as receiver, DemoServer() as server:
        console.print("TrackLayer", style="bold", end="")
        console.print(f"  server {server.url}, receiver {receiver.url}: both on this machine, both real\n")
        with ApiClient(server.url, server.key) as client:
            checks = await _told(console, client, receiver, stop)
            _show_checks(console, checks)
            passed = bool(checks) and all(check.passed for check in checks)
            for complaint in [] if passed else server.complaints():
                console.print(f"server: {complaint}", style="red")
            if not once and passed and not stop.is_set():
                invitation = await asyncio.to_thread(client.post, "/v1/people/invitations", {})
                _invite(console, server, invitation["url"])
                receiver.respond = lambda request: _show_request(console, request)
                await stop.wait()
                console.print("\nStopping.")
        status = await server.stop()
    if status != 0:
        console.print(f"The server ended with status {status}.", style="red")
    return 0 if passed and status == 0 else 1


async def _told(console: Console, client: ApiClient, receiver: Receiver, stop: asyncio.Event) -> list[Check]:
    """The checks of the story, as far as it came before somebody stopped it."""
    story = Story(
        client,
        receiver,
        lambda line: console.print(f"   {line}", style="dim"),
        heading=lambda line: console.print(line, style="bold cyan"),
    )
    play = asyncio.create_task(story.play())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({play, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not play.done():
        play.cancel()
        story.checks.append(Check("interrupted", "stopped before the end", passed=False))
    return story.checks


def _show_checks(console: Console, checks: list[Check]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    for check in checks:
        table.add_row("✓" if check.passed else "✗", check.name, check.detail, style="green" if check.passed else "red")
    console.print(table)


def _invite(console: Console, server: DemoServer, link: str) -> None:
    event = '{"event_name": "purchase", "properties": {"order_id": "7", "value": 42, "item": "Hat"}}'
    console.print("Now you. The server and the receiver stay up until Ctrl-C.\n", style="bold")
    console.print(f"  url  {server.url}\n  key  {server.key}\n")
    console.print(f"  Open the console: {link}")
    console.print("  (this link is good once, for 24 hours: choose a password there)\n", style="dim")
    console.print(
        f"  curl {server.url}/v1/events -H 'Authorization: Bearer {server.key}' \\\n"
        f"       -H 'Content-Type: application/json' -d '{event}'\n"
    )


def _show_request(console: Console, request: Recorded) -> None:
    console.print(f"the receiver got {request.method} {request.target}", style="bold")
    console.print(request.body.decode(errors="replace"), style="dim")
