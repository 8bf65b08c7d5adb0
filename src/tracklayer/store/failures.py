"""How often somebody has failed to sign in lately, for each of many keys; counted by all processes together."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, Update, delete, select, update

from tracklayer.errors import TooMany
from tracklayer.model.event import encode_json
from tracklayer.store.database import Database
from tracklayer.store.tables import sign_in_failures

WINDOW = 900.0  # seconds in which failures are counted
MOST_KEYS = 20_000  # that are remembered, or strangers could fill the disk: those that failed longest ago go first

_OF = sign_in_failures.c
_TIMES = msgspec.json.Decoder(list[float])


class Failures:
    """Failures by key. A try counts as one from its beginning (`begin`) until it turns out otherwise (`take_back`,
    `forget`), or many at once would slip through.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        adding = database.insert(sign_in_failures)
        # An update that changes nothing locks what is there, until this try is counted.
        self._hold = adding.on_conflict_do_update(index_elements=["key"], set_={"until": _OF.until}).returning(
            _OF.times
        )

    async def begin(self, most: Mapping[str, int], now: float) -> None:
        """Count a try for each key, which may fail so often. Raises `TooMany`, and counts none, where one has."""

        def work(connection: Connection) -> None:
            _forget_old(connection, now)
            wait = 0.0
            for key, limit in sorted((_digest(key), limit) for key, limit in most.items()):  # or two would deadlock
                row = {"key": key, "times": b"[]", "until": now}
                times = _recent(connection.execute(self._hold, row).scalar_one(), now)
                if len(times) >= limit:
                    wait = max(wait, times[-limit] + WINDOW - now)
                connection.execute(_counted(key, [*times, now]))
            if wait > 0:
                raise TooMany(
                    f"too many failed tries: try again in {math.ceil(wait / 60)} min",
                    code="too_many_failures",
                    retry_after=math.ceil(wait),
                )

        await self._database.write(work)

    async def take_back(self, key: str, at: float) -> None:
        """The try that began then was none that failed."""
        kept = select(_OF.times).where(_OF.key == _digest(key)).with_for_update()

        def work(connection: Connection) -> None:
            times = _recent(connection.execute(kept).scalar() or b"[]", at)
            if at in times:
                times.remove(at)
                connection.execute(_counted(_digest(key), times))

        await self._database.write(work)

    async def forget(self, key: str) -> None:
        """Forget every failure of a key."""
        statement = delete(sign_in_failures).where(_OF.key == _digest(key))
        await self._database.write(lambda connection: connection.execute(statement))


def _counted(key: str, times: list[float]) -> Update:
    until = max(times, default=0.0) + WINDOW
    return update(sign_in_failures).where(_OF.key == key).values(times=encode_json(times), until=until)


def _recent(kept: bytes, now: float) -> list[float]:
    return [at for at in _TIMES.decode(kept) if at > now - WINDOW]


def _forget_old(connection: Connection, now: float) -> None:
    newest = select(_OF.until).order_by(_OF.until.desc()).offset(MOST_KEYS).limit(1).scalar_subquery()
    connection.execute(delete(sign_in_failures).where((_OF.until <= now) | (_OF.until <= newest)))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
