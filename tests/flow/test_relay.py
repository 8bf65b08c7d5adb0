"""The live tail over many processes, in virtual time over a bus that carries announcements at once."""

from __future__ import annotations

import asyncio

from tests.virtual_time import VirtualClock, in_virtual_time
from tracklayer.errors import Unavailable
from tracklayer.flow.relay import FLUSH_EVERY, GOOD_FOR, MOST, NOTE, SAY_EVERY, WATCH, Relay
from tracklayer.flow.tail import Missed, Note, Tail, Watcher
from tracklayer.model.delivery import DeliveryState


class Bus:
    """What the database carries between processes."""

    def __init__(self) -> None:
        self.relays: list[Relay] = []
        self.said: list[tuple[str, str]] = []
        self.down = False

    async def tell(self, topic: str, texts: list[str]) -> None:
        if self.down:
            raise Unavailable("down")
        for text in texts:
            self.said.append((topic, text))
            for relay in self.relays:
                relay.hear(topic, text)

    def of(self, topic: str) -> list[str]:
        return [text for each, text in self.said if each == topic]


def process(bus: Bus, name: str) -> Tail:
    tail = Tail()
    relay = Relay(tail, bus.tell, VirtualClock(), name)
    tail.on_watch, tail.on_note = relay.watching, relay.pass_on
    bus.relays.append(relay)
    return tail


def note(number: int = 1, workspace_id: str = "ws_1") -> Note:
    return Note(
        workspace_id=workspace_id,
        delivery_id=f"dlv_{number}",
        destination_id="dst_1",
        event_name="purchase",
        event_id=f"a b {number}",
        state=DeliveryState.DELIVERED,
        attempts=1,
        code=200,
        cause=None,
        test=False,
        at=1.5,
    )


async def next_of(watcher: Watcher) -> Note | Missed:
    return await asyncio.wait_for(anext(watcher), 60)


@in_virtual_time
async def test_who_watches_here_is_told_what_happens_there_and_nobody_hears_it_twice() -> None:
    bus = Bus()
    here, there = process(bus, "wrk_1"), process(bus, "wrk_2")
    async with here.watch("ws_1") as watcher:
        await asyncio.sleep(0.1)
        assert there.watched
        there._publish(note(1))
        here._publish(note(2))
        assert {(await next_of(watcher)), (await next_of(watcher))} == {note(1), note(2)}
        await asyncio.sleep(1)
        assert watcher._notes == type(watcher._notes)()
    for relay in bus.relays:
        await relay.stop()


@in_virtual_time
async def test_nobody_announces_where_nobody_watches_and_not_long_after_the_last_one_left() -> None:
    bus = Bus()
    here, there = process(bus, "wrk_1"), process(bus, "wrk_2")
    there._publish(note(1))
    async with here.watch("ws_1"):
        await asyncio.sleep(3 * SAY_EVERY)
        there._publish(note(2, workspace_id="ws_other"))
        there._publish(note(3))
        await asyncio.sleep(1)
    await asyncio.sleep(SAY_EVERY + GOOD_FOR)
    asked = len(bus.of(WATCH))
    there._publish(note(4))
    await asyncio.sleep(10 * SAY_EVERY)
    assert len(bus.of(NOTE)) == 1
    assert "dlv_3" in bus.of(NOTE)[0]
    assert len(bus.of(WATCH)) == asked
    assert not there.watched


@in_virtual_time
async def test_a_flood_is_cut_and_a_database_that_is_down_stops_nothing() -> None:
    bus = Bus()
    here, there = process(bus, "wrk_1"), process(bus, "wrk_2")
    async with here.watch("ws_1") as watcher:
        await asyncio.sleep(0.1)
        bus.down = True
        there._publish(note(0))
        await asyncio.sleep(2 * FLUSH_EVERY)
        bus.down = False
        for number in range(1, MOST + 50):
            there._publish(note(number))
        await asyncio.sleep(2 * FLUSH_EVERY)
        assert len(bus.of(NOTE)) == MOST
        assert await next_of(watcher) == note(1)
    for relay in bus.relays:
        await relay.stop()
