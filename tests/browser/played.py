"""Three days of a shop's work, played by the product itself in virtual time: `play(data_dir, seed, events)`.

The network acts as tests/browser/shop.py has it, and nobody outside is asked. So events, attempts, counts, versions and
the audit trail are of the times that they tell. The same seed plays the same days; only what comes from the system's
generator differs (keys, salts).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from structlog.testing import capture_logs

from tests.browser import shop
from tests.browser.shop import DAY, HOUR, MINUTE, SPAN
from tests.console.client import EMAIL, PASSWORD
from tests.harness import ADMIN_KEY
from tests.virtual_time import START, VirtualClock, run_in_virtual_time
from tracklayer.errors import Unauthorized
from tracklayer.model.delivery import Failure, Request, Response, Timings
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import encode_json
from tracklayer.operate.draft import read_draft
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.sources.native import parse_event
from tracklayer.store.history import DeliveryFilter

COLLEAGUE, GUEST = "jonas@example.com", "kim@example.com"
_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari"


def play(data_dir: Path, seed: int, events: int) -> dict[str, str]:
    """Play until now; answers the destinations' ids by their short names. No loop may run in this thread."""
    with capture_logs():  # thousands of lines that nobody reads
        return run_in_virtual_time(_play(data_dir, seed, events))


async def _play(data_dir: Path, seed: int, events: int) -> dict[str, str]:
    clock, rng = _Clock(time.time()), random.Random(seed)
    receivers = _Receivers(clock, rng)
    settings = Settings(data_dir=data_dir, admin_key=ADMIN_KEY)
    service = Service(settings, clock=clock, rng=random.Random(seed), transport=receivers)
    await service.start()
    people = _People(service, clock)
    await people.set_up()
    scenes = people.scenes() + [_Scene(told.ago, people.buys(told.fields)) for told in shop.events(rng, events)]
    for scene in sorted(scenes, key=lambda scene: -scene.ago):
        await clock.sleep(clock.ago() - scene.ago)
        await scene.act()
    await clock.sleep(clock.ago())
    await service.stop()
    return people.destinations


class _Clock(VirtualClock):
    """Virtual time that comes to its end after `SPAN` seconds, at `end` (unix time)."""

    def __init__(self, end: float) -> None:
        self._end = end

    def now(self) -> float:
        """Unix time in seconds."""
        return super().now() - START + self._end - SPAN

    def ago(self) -> float:
        """Seconds until the end."""
        return self._end - self.now()


class _Receivers:
    """`tracklayer.ports.Transport` to receivers that act as the shop has it."""

    def __init__(self, clock: _Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng

    async def send(self, request: Request) -> Response | Failure:
        """Answer, after the time that it takes."""
        host = urlsplit(request.url).hostname or ""
        reply = shop.reply(self._rng, host, request.body or b"", self._clock.ago())
        seconds = reply.seconds if reply.status else request.timeout
        await asyncio.sleep(seconds)
        first_byte = 940 * seconds if reply.status else None
        timings = Timings(resolve_ms=0.4, first_byte_ms=first_byte, total_ms=1000 * seconds)
        if not reply.status:
            return Failure(kind="timeout", detail=f"no answer from {host} within {seconds:g} s", timings=timings)
        return Response(status=reply.status, headers=reply.headers, body=reply.body.encode(), timings=timings)

    async def close(self) -> None:
        """Nothing is open."""


class _Scene(NamedTuple):
    """Something that somebody does at a time."""

    ago: float
    act: Callable[[], Awaitable[object]]


class _People:
    """What the shop's people do, and what its customers make happen."""

    def __init__(self, service: Service, clock: _Clock) -> None:
        self.destinations: dict[str, str] = {}
        self._service = service
        self._clock = clock
        key = service.keys.find(ADMIN_KEY)
        assert key is not None
        self._workspace_id = key.workspace_id

    async def set_up(self) -> None:
        """The first person comes, and makes everything."""
        service, workspace_id = self._service, self._workspace_id
        token = await service.people.setup(workspace_id)
        assert token is not None
        await service.people.accept_invitation(token, EMAIL, PASSWORD, "198.51.100.23", _FIREFOX)
        for name, value in shop.SECRETS.items():
            await self._clock.sleep(40)
            await service.secrets.put(workspace_id, name, value, author=EMAIL)
        for name, scopes in (("shop backend", ["events:write"]), ("deploy pipeline", ["destinations:write"])):
            await service.keys.create(workspace_id, name=name, scopes=scopes, author=EMAIL)
        for name, config in shop.destinations().items():
            await self._clock.sleep(170)
            made = await service.destinations.create(workspace_id, read_draft(encode_json(config)), author=EMAIL)
            self.destinations[name] = made.id

    def buys(self, fields: dict[str, Any]) -> Callable[[], Awaitable[object]]:
        """A customer's event comes in."""

        async def act() -> None:
            service, now = self._service, self._clock.now()
            event = parse_event(
                encode_json(fields), now=now, new_id=service.ids.event_uuid, limits=service.input_limits
            )
            await service.ingest.accept(self._workspace_id, [event], now=now)

        return act

    def scenes(self) -> list[_Scene]:
        """What people do on these days."""
        versions = [
            _Scene(ago, partial(self._change, "collector", template=template, note=note))
            for ago, template, note in shop.COLLECTOR_CHANGES
        ]
        return [
            *versions,
            _Scene(2.4 * DAY, self._colleague_joins),
            _Scene(2.2 * DAY, lambda: self._test("slack")),
            _Scene(1.6 * DAY, lambda: self._change("slack", rate_limit={"events_per_second": 2}, note="sale week")),
            _Scene(1.3 * DAY, self._suppress_tests),
            _Scene(10 * HOUR, self._replay_timeouts),
            _Scene(4.6 * HOUR, self._rotate),
            _Scene(3.9 * HOUR, self._sign_in_twice),
            _Scene(3.5 * HOUR, self._replace_secret),
            _Scene(2 * HOUR, self._discard_one),
            _Scene(HOUR, self._invite),
            _Scene(41 * MINUTE, self._pause),
            _Scene(7 * MINUTE, lambda: self._test("collector")),
        ]

    async def _change(self, name: str, **patch: Any) -> None:
        at = self._workspace_id, self.destinations[name]
        await self._service.destinations.patch(*at, patch, author=COLLEAGUE, seen=None)

    async def _colleague_joins(self) -> None:
        people = self._service.people
        token = await people.invite(self._workspace_id, email=COLLEAGUE, author=EMAIL)
        await self._clock.sleep(11 * MINUTE)
        await people.accept_invitation(token, COLLEAGUE, PASSWORD, "198.51.100.77", _SAFARI)

    async def _test(self, name: str) -> None:
        await self._service.rehearsals.test(self._workspace_id, self.destinations[name], None)

    async def _suppress_tests(self) -> None:
        await self._service.destinations.suppress(
            self._workspace_id,
            self.destinations["slack"],
            event_filter={"user_data.email": {"$suffix": "@qa.example.com"}},
            reason="orders of the QA team are no news",
            until=None,
            author=COLLEAGUE,
        )

    async def _replay_timeouts(self) -> None:
        wanted = DeliveryFilter(destination_id=self.destinations["warehouse"], event_name="purchase")
        await self._service.replays.start(self._workspace_id, wanted, "as_sent", per_second=5, author=EMAIL)

    async def _rotate(self) -> None:
        await self._service.destinations.rotate_secret(
            self._workspace_id, self.destinations["collector"], secret=None, overlap=DAY, author=COLLEAGUE
        )

    async def _sign_in_twice(self) -> None:
        for password in ("not this one, I think", PASSWORD):
            with suppress(Unauthorized):
                await self._service.people.sign_in(EMAIL, password, "198.51.100.23", _FIREFOX)
            await self._clock.sleep(9)

    async def _replace_secret(self) -> None:
        await self._service.secrets.put(
            self._workspace_id, "warehouse_key", shop.SECRETS["warehouse_key"] + "!", author=COLLEAGUE
        )

    async def _discard_one(self) -> None:
        wanted = DeliveryFilter(destination_id=self.destinations["returns"])
        (dead, *_) = await self._service.dead_letters.page(self._workspace_id, wanted, limit=1, before=None)
        await self._service.dead_letters.discard(
            self._workspace_id, dead.id, "refunded by hand, see ticket 4711", author=EMAIL
        )

    async def _invite(self) -> None:
        await self._service.people.invite(self._workspace_id, email=GUEST, author=EMAIL)

    async def _pause(self) -> None:
        await self._service.destinations.set_status(
            self._workspace_id, self.destinations["returns"], DestinationStatus.PAUSED, author=EMAIL
        )
