"""A rate limit that several processes spend from, in virtual time over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.traffic import most_within
from tests.virtual_time import VirtualClock, in_virtual_time
from tracklayer.delivery.limits import HORIZON, Limit
from tracklayer.errors import Unavailable
from tracklayer.flow.pace import LATE, SharedPace
from tracklayer.store import open_database
from tracklayer.store.paces import Grant, Paces

LIMIT = Limit(rate=25.0, burst=25.0)


class Sender:
    """One process with more to send than it may."""

    def __init__(self, paces: Paces, clock: VirtualClock, limit: Limit = LIMIT) -> None:
        self.woken = asyncio.Event()
        self.clock = clock
        self.pace = SharedPace("dst_1", limit, paces, clock, self.woken.set)

    async def send(self, sent: list[float], until: float, *, pause: float = 0.0) -> None:
        while (now := self.clock.now()) < until:
            wait = self.pace.take(now, 1_000)
            if wait is None:
                await self.woken.wait()
                self.woken.clear()
            elif wait > 0:
                await self.clock.sleep(wait)
            else:
                sent.append(now)
                await self.clock.sleep(pause)


async def opened(folder: Path) -> AsyncIterator[Paces]:
    database = open_database(f"sqlite:///{folder}/paces.db")
    await database.migrate()
    yield Paces(database)
    await database.close()


@pytest.mark.parametrize("senders", [1, 4])
def test_all_together_send_what_one_may_and_no_less(tmp_path: Path, senders: int) -> None:
    @in_virtual_time
    async def run() -> list[float]:
        clock, sent = VirtualClock(), list[float]()
        async for paces in opened(tmp_path):
            end = clock.now() + 40
            await asyncio.gather(*(Sender(paces, clock).send(sent, end) for _ in range(senders)))
        return sorted(sent)

    sent = run()
    assert most_within(10, sent) <= 25 * 10 + 25
    assert len([at for at in sent if at > sent[0] + 10]) >= 25 * 30 * 0.95 - 1


def test_a_process_that_stands_still_gives_back_what_it_did_not_use(tmp_path: Path) -> None:
    @in_virtual_time
    async def run() -> list[float]:
        clock, sent = VirtualClock(), list[float]()
        async for paces in opened(tmp_path):
            end = clock.now() + 40
            slow = Sender(paces, clock).send(sent, end, pause=3 * LATE + HORIZON)
            await asyncio.gather(slow, Sender(paces, clock).send(sent, end))
        return sorted(sent)

    sent = run()
    assert most_within(10, sent) <= 25 * 10 + 25
    assert len([at for at in sent if at > sent[0] + 10]) >= 25 * 30 * 0.95 - 1


@in_virtual_time
async def test_where_the_store_cannot_be_asked_nothing_is_sent_and_it_is_asked_again() -> None:
    class Down(Paces):
        def __init__(self) -> None:
            self.asked = 0

        async def grant(self, destination_id: str, limit: Limit, *, wanted: int, returned: int, now: float) -> Grant:
            self.asked += 1
            if self.asked < 3:
                raise Unavailable("down")
            return Grant(times=[now], again_at=now + 1)

    paces, clock, sent = Down(), VirtualClock(), list[float]()
    began = clock.now()
    sending = asyncio.create_task(Sender(paces, clock).send(sent, began + 1.05))
    await sending
    assert paces.asked >= 3
    assert min(sent) >= began + 1.0
