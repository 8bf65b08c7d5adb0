"""A backlog on PostgreSQL: a million deliveries wait, and one process drains them. Does it slow down on the way?

The rows are made by the database itself, for a destination that is paused; then it is resumed, and the receiver is
watched until all have arrived.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from bench.events import destination
from bench.process import Process, free_port, stopping
from bench.subjects import ADMIN_KEY, ROOT, ask, await_ready, call
from bench.trial import STALL_SECONDS, Receiver, receiving
from tests.postgres import PostgresServer
from tracklayer.identity import first_id

DELIVERIES = 1_000_000
AIM = 0.20  # the last tenth is at most that much slower than the first
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Drained:
    """How a backlog went."""

    deliveries: int
    filled_in: float  # seconds to make the rows
    rates: tuple[float, ...]  # deliveries a second, of each tenth
    cpu: tuple[float, ...]  # µs a delivery of each tenth, of the server: other work on the machine changes it less
    rss: tuple[float, ...]  # MiB, of the server, at the end of each tenth
    duplicates: int
    missing: int

    @property
    def slowdown(self) -> float:
        """The part by which the last tenth was slower than the first; negative where it was faster."""
        return 1 - self.rates[-1] / self.rates[0]


def measure(deliveries: int, *, say: Callable[[str], None], data_dir: Path | None = None) -> Drained:
    """Fill, drain and watch."""
    with ExitStack() as around:
        folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="tracklayer-bench-", dir=data_dir)))
        receiver = around.enter_context(receiving())
        url = around.enter_context(PostgresServer(durable=True)).url
        port = free_port()
        env = {
            "TRACKLAYER_PORT": str(port),
            "TRACKLAYER_DATA_DIR": str(folder / "data"),
            "TRACKLAYER_ADMIN_KEY": ADMIN_KEY,
            "TRACKLAYER_ALLOW_NETWORKS": "127.0.0.0/8",
            "TRACKLAYER_DATABASE_URL": url,
        }
        command = (sys.executable, "-m", "tracklayer", "serve")
        server = Process("backlog", command, cwd=ROOT, env=env, log=folder / "server.log")
        around.enter_context(stopping([server]))
        await_ready(port, [server])
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        call(port, "PUT", "/v1/secrets/webhook_token", headers, {"value": "t0ken"})
        call(port, "POST", "/v1/destinations", headers, destination(receiver.url) | {"status": "paused"})
        made = json.loads(ask(port, "GET", "/v1/destinations", headers)[1])["data"][0]["id"]
        say(f"making {deliveries:,} deliveries")
        began = time.monotonic()
        asyncio.run(_fill(url, made, deliveries))
        filled_in = time.monotonic() - began
        call(port, "POST", f"/v1/destinations/{made}/resume", headers, {})
        return _watch(receiver, server, deliveries, filled_in, say)


def _watch(
    receiver: Receiver, server: Process, deliveries: int, filled_in: float, say: Callable[[str], None]
) -> Drained:
    """The rate of each tenth, interpolated between looks."""
    rates: list[float] = []
    cpu: list[float] = []
    rss: list[float] = []
    used = _cpu_seconds(server)
    tenth = deliveries // 10
    mark, seen, moved = time.monotonic(), 0, time.monotonic()
    last = (mark, 0)
    while len(rates) < 10 and time.monotonic() - moved < STALL_SECONDS:
        time.sleep(0.2)
        server.check()
        now, arrived = time.monotonic(), int(receiver.status()["arrived"])
        if arrived > seen:
            moved = now
        while arrived >= (len(rates) + 1) * tenth and len(rates) < 10:
            goal = (len(rates) + 1) * tenth
            at = last[0] + (now - last[0]) * (goal - last[1]) / max(1, arrived - last[1])
            rates.append(tenth / (at - mark))
            rss.append(server.rss() / MIB)
            before, used = used, _cpu_seconds(server)
            cpu.append(1e6 * (used - before) / tenth)
            say(f"{goal:,} arrived, {rates[-1]:,.0f}/s, {rss[-1]:.0f} MiB")
            mark = at
        last, seen = (now, arrived), arrived
    status = receiver.status()
    rates += [0.0] * (10 - len(rates))
    return Drained(
        deliveries=deliveries,
        filled_in=filled_in,
        rates=tuple(rates),
        cpu=tuple(cpu),
        rss=tuple(rss),
        duplicates=int(status["duplicates"]),
        missing=deliveries - int(status["arrived"]),
    )


def _cpu_seconds(server: Process) -> float:
    usage = server.usage()
    return usage.user + usage.system


async def _fill(url: str, destination_id: str, deliveries: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        workspace_id = await connection.fetchval("SELECT workspace_id FROM destinations")
        now = time.time()
        event = json.dumps(
            {
                "event_id": "EVENT_ID",
                "event_name": "purchase",
                "occurred_at": "2026-05-05T10:30:00.000Z",
                "received_at": "2026-05-05T10:30:00.000Z",
                "platform": "shopify",
                "segment": ["vip_customers"],
                "user_data": {"external_id": "u_1", "email_hash": "0" * 64},
                "properties": {"order_id": "100045", "value": 149.99, "currency": "USD"},
                "consent": {"ad_storage": "granted"},
            }
        )
        ids = f"lpad(to_hex(n), 16, '0') FROM generate_series(1, {deliveries}) AS n"
        await connection.execute(
            "INSERT INTO events (workspace_id, pk, event_id, event_name, received_at, test, body)"
            f" SELECT '{workspace_id}', '{first_id('evt', now)}' || suffix, 'b-' || suffix, 'purchase', {now}, false,"
            f" convert_to(replace('{event}', 'EVENT_ID', 'b-' || suffix), 'UTF8') FROM (SELECT {ids}) AS made(suffix)"
        )
        await connection.execute(
            "INSERT INTO deliveries (id, workspace_id, destination_id, event_pk, event_id, event_name, state, test,"
            " as_sent, version, attempts, retries, created_at, updated_at, due_at, available_at)"
            f" SELECT '{first_id('dlv', now)}' || suffix, '{workspace_id}', '{destination_id}',"
            f" '{first_id('evt', now)}' || suffix, 'b-' || suffix, 'purchase', 'pending', false, false, 1, 0, 0,"
            f" {now}, {now}, {now}, {now} FROM (SELECT {ids}) AS made(suffix)"
        )
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def page(drained: Drained) -> str:
    """The report."""
    rows = [
        f"{(number + 1) * drained.deliveries // 10:>10,}  {rate:>7,.0f}  {cpu:>6.0f}  {rss:>6.0f}"
        for number, (rate, cpu, rss) in enumerate(zip(drained.rates, drained.cpu, drained.rss, strict=False))
    ]
    met = "met" if drained.slowdown <= AIM and not drained.missing else "missed"
    return "\n".join(
        [
            f"{drained.deliveries:,} deliveries wait on PostgreSQL (made in {drained.filled_in:.0f} s), one process",
            "   arrived       /s  CPU µs  RSS MB",
            *rows,
            f"the last tenth is {drained.slowdown:+.0%} slower than the first (aim: at most {AIM:.0%}): {met};"
            f" missing {drained.missing:,}, arrived again {drained.duplicates:,}",
            "",
        ]
    )


def document(drained: Drained) -> dict[str, object]:
    """For a file."""
    return asdict(drained) | {"slowdown": drained.slowdown}
