"""A database as it is after days of work, made quickly: `fill(path, 1_000_000)`.

    python -m bench.filled tracklayer-data/tracklayer.db 1000000

Fifty destinations in the workspace `default`, five deliveries an event. Of the deliveries 1 % are dead, 2 % wait for
their next attempt (due from an hour after `now` on, so that a server that is started on it leaves them alone), 1 % are
suppressed; the rest are delivered. What is counted agrees with the attempts that are there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.events import event
from tracklayer.identity import IdFactory
from tracklayer.model.delivery import Timings
from tracklayer.model.destination import DestinationConfig, DestinationStatus, Transport
from tracklayer.model.event import Event, encode_json, event_to_json
from tracklayer.model.moment import rfc3339
from tracklayer.model.records import DestinationRecord, VersionRecord, Workspace
from tracklayer.model.work import AttemptRecord
from tracklayer.operate.keys import DEFAULT_WORKSPACE
from tracklayer.store import Configuration, open_database
from tracklayer.store.counts import HOUR, MINUTE, SUPPRESSED, bucket_of
from tracklayer.store.search import user_keys

DESTINATIONS = 50
PER_EVENT = 5
USERS = 20_000
SPAN = 2 * 86_400.0  # seconds before `now` over which everything has happened
WORKSPACE = "ws_filled"
LOT = 2_000  # events that are inserted at once
NAMES = ("purchase", "purchase", "purchase", "refund_requested", "lead", "initiate_checkout")
CAUSES = (401, 400, 410, 503, 500, "timeout", "connect", "render")
RULES = {"delivered": "200 is a success (default rule)"}


def fill(path: Path, deliveries: int, *, now: float | None = None, seed: int = 7) -> None:
    """Make a database with about so many deliveries at `path`, where none may be yet."""
    if path.exists():
        raise FileExistsError(f"{path} is there already: expected a new file")
    until = time.time() if now is None else now
    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(_configure(path, until))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-800000", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        _Filling(connection, until, seed).run(max(1, deliveries // PER_EVENT))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")


async def _configure(path: Path, now: float) -> None:
    """The schema, the workspace and its destinations; every tenth is paused."""
    database = open_database(f"sqlite:///{path}")
    await database.migrate()
    configuration = Configuration(database)
    made_at = now - SPAN
    await configuration.add_workspace(Workspace(id=WORKSPACE, name=DEFAULT_WORKSPACE, created_at=made_at))
    for number in range(DESTINATIONS):
        config = DestinationConfig(
            name=f"receiver {number:02}", transport=Transport(url=f"https://receiver-{number:02}.example.com/events")
        )
        record = DestinationRecord(
            id=destination_id(number),
            workspace_id=WORKSPACE,
            status=DestinationStatus.PAUSED if number % 10 == 9 else DestinationStatus.ACTIVE,
            version=1,
            config=config,
            signing_sealed=None,
            previous_sealed=None,
            previous_until=None,
            created_at=made_at,
            updated_at=made_at,
        )
        version = VersionRecord(
            destination_id=record.id, version=1, config=config, author="bench", note=None, created_at=made_at
        )
        await configuration.add_destination(record, version)
    await database.close()


def destination_id(number: int) -> str:
    """The id of the `number`-th destination, from 0 on."""
    return f"dst_filled_{number:04}"


TABLES = {
    "events": "workspace_id, pk, event_id, event_name, received_at, test, body",
    "event_users": "workspace_id, user_key, event_pk",
    "event_keys": "workspace_id, event_id, event_pk, accepted_at",
    "deliveries": "id, workspace_id, destination_id, event_pk, event_id, event_name, state, reason, test, as_sent,"
    " version, attempts, retries, status_code, cause, created_at, updated_at, due_at, available_at",
    "attempts": "delivery_id, number, version, started_at, action, rule, status_code, error_kind, error, record",
    "kept_requests": "delivery_id, version, method, url, headers, body",
    "attempt_counts": "destination_id, step, slot, action, outcome, bucket, count",
}


class _Filling:
    """One run: rows are collected in lots, counts until the end."""

    def __init__(self, connection: sqlite3.Connection, until: float, seed: int) -> None:
        self._connection = connection
        self._until = until
        self._rng = random.Random(seed)
        self._clock = until - SPAN
        self._ids = IdFactory(lambda: self._clock, self._rng)
        self._rows: dict[str, list[tuple[object, ...]]] = {table: [] for table in TABLES}
        self._counts: Counter[tuple[object, ...]] = Counter()

    def run(self, events: int) -> None:
        """Insert that many events with their deliveries, evenly over the span."""
        start = self._clock
        for number in range(events):
            self._clock = start + SPAN * number / events
            self._event(number)
            if number % LOT == LOT - 1:
                self._write()
        self._rows["attempt_counts"] = [(*key, count) for key, count in self._counts.items()]
        self._write()

    def _event(self, number: int) -> None:
        at, pk = self._clock, self._ids.new("evt")
        fields = event("filled", number)
        user = number % USERS
        known = {"external_id": f"u_{user}", "email": f"user{user}@example.com", "phone": f"+1555{user:07}"}
        made = Event(
            event_id=fields["event_id"],
            event_name=NAMES[number % len(NAMES)],
            occurred_at=fields["occurred_at"],
            received_at=rfc3339(at),
            platform=fields["platform"],
            segment=fields["segment"],
            user_data=fields["user_data"] | known,
            properties=fields["properties"],
            context=fields["context"],
            consent=fields["consent"],
        )
        body = event_to_json(made)
        self._rows["events"].append((WORKSPACE, pk, made.event_id, made.event_name, at, False, body))
        self._rows["event_users"].extend((WORKSPACE, key, pk) for key in user_keys(made))
        self._rows["event_keys"].append((WORKSPACE, made.event_id, pk, at))
        for place in range(PER_EVENT):
            self._delivery(destination_id((number * PER_EVENT + place) % DESTINATIONS), pk, made, body)

    def _delivery(self, destination: str, pk: str, made: Event, body: bytes) -> None:
        at, delivery, chance = self._clock, self._ids.new("dlv"), self._rng.random()
        state, reason, due_at = "delivered", None, at
        tries: Sequence[tuple[str, object]] = [("delivered", 200)]
        if chance < 0.01:
            cause = CAUSES[self._rng.randrange(len(CAUSES))]
            given_up = cause in (503, 500, "timeout", "connect")
            tries = [("retry", cause)] * 5 + [("dead", cause)] if given_up else [("dead", cause)]
            state, reason = "dead", f"{cause} is not a success"
        elif chance < 0.03:
            tries, state, due_at = [("retry", 503)], "pending", self._until + 3600 + 36_000 * self._rng.random()
        elif chance < 0.04:
            tries, state, reason = [], "suppressed", "consent: ad_storage is denied"
            self._count(destination, at, SUPPRESSED, "", 0)
        last = tries[-1][1] if tries else None
        status = last if isinstance(last, int) else None
        cause_text = None if last in (None, 200) else str(last)
        retries = sum(action == "retry" for action, _ in tries)
        what = (delivery, WORKSPACE, destination, pk, made.event_id, made.event_name, state, reason, False, False)
        how = (1, len(tries), retries, status, cause_text, at, at, due_at, due_at)
        self._rows["deliveries"].append((*what, *how))
        self._rows["attempts"].extend(self._attempts(delivery, destination, tries))
        if state in ("dead", "pending"):
            url = "https://receiver.example.com/events"
            headers = b'[["Content-Type","application/json"]]'
            self._rows["kept_requests"].append((delivery, 1, "POST", url, headers, body))

    def _attempts(
        self, delivery: str, destination: str, tries: Sequence[tuple[str, object]]
    ) -> Iterator[tuple[object, ...]]:
        at = self._clock
        for number, (action, answer) in enumerate(tries, 1):
            seconds = 10.0 if answer == "timeout" else self._rng.lognormvariate(-2.5, 0.6)  # a median of 80 ms
            status = answer if isinstance(answer, int) else None
            kind = None if status else str(answer)
            error = f"a {kind} failure" if kind else None
            record = encode_json(AttemptRecord(timings=Timings(total_ms=seconds * 1000), body="ok" if status else ""))
            rule = RULES.get(action, f"{answer} (default rule)")
            yield delivery, number, 1, at, action, rule, status, kind, error, record
            self._count(destination, at, action, f"{status // 100}xx" if status else str(kind), bucket_of(seconds))
            at += 10.0 + seconds

    def _count(self, destination: str, at: float, action: str, outcome: str, bucket: int) -> None:
        for step in (MINUTE, HOUR):
            self._counts[destination, step, int(at) // step * step, action, outcome, bucket] += 1

    def _write(self) -> None:
        for table, columns in TABLES.items():
            places = ", ".join("?" * len(columns.split(",")))
            self._connection.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({places})",
                self._rows[table],
            )
            self._rows[table].clear()


def main() -> None:
    """Fill the file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.filled", description="Make a database full of deliveries.")
    parser.add_argument("path", type=Path)
    parser.add_argument("deliveries", type=int)
    options = parser.parse_args()
    fill(options.path, options.deliveries)


if __name__ == "__main__":
    main()
