"""The live tail as server-sent events: heard over HTTP, narrowed, kept alive, refused and ended."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.console.client import Console, first_person
from tests.console.place import Place
from tests.harness import ServerProcess, wait_until
from tests.virtual_time import in_virtual_time
from tracklayer.errors import Unavailable
from tracklayer.flow.tail import MOST_NOTES, MOST_WATCHERS, Note, Tail
from tracklayer.model.delivery import DeliveryState
from tracklayer.web.console.pages.delivery_filter import Narrowed
from tracklayer.web.console.pages.delivery_stream import BEAT, open_stream

OPENING = b"retry: 3000\n\n"


@contextmanager
def listening(console: Console, query: str = "") -> Iterator[http.client.HTTPResponse]:
    """A connection of its own on the stream."""
    parts = urlsplit(console.url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
        cookies = "; ".join(f"{name}={value}" for name, value in console.cookies.items())
        connection.request(
            "GET", f"/deliveries/stream{query}", headers={"Accept": "text/event-stream", "Cookie": cookies}
        )
        yield connection.getresponse()


def opened(stream: http.client.HTTPResponse) -> None:
    assert stream.status == 200, stream.read()
    assert stream.readline() + stream.readline() == OPENING


def message(stream: http.client.HTTPResponse) -> dict[str, Any]:
    """The next message; it is one line of data and an empty one."""
    line, end = stream.readline(), stream.readline()
    assert line.startswith(b"data: "), line
    assert end == b"\n"
    told: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
    return told


def told_of(stream: http.client.HTTPResponse, *delivery_ids: str, count: int) -> list[dict[str, Any]]:
    """The next messages about these; the server is other tests', too, and what they sent may move on meanwhile."""
    told: list[dict[str, Any]] = []
    while len(told) < count:
        one = message(stream)
        if one["delivery_id"] in delivery_ids:
            told.append(one)
    return told


def note(**fields: Any) -> Note:
    given: dict[str, Any] = {
        "workspace_id": "ws_1",
        "delivery_id": "dlv_1",
        "destination_id": "dst_1",
        "event_name": "purchase",
        "event_id": "ord_1",
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "code": None,
        "cause": None,
        "test": False,
        "at": 0.0,
    }
    return Note(**(given | fields))


async def stays() -> bool:
    return True


def test_a_stream_without_a_session_is_refused_and_led_to_no_page(console_url: str) -> None:
    with listening(Console(console_url)) as stream:
        assert stream.status == 401
        assert stream.headers["location"] is None


def test_a_delivery_is_heard_of_when_it_is_made_and_when_it_moves_on(place: Place) -> None:
    made = place.create()
    with listening(place.console, f"?destination_id={made['id']}") as stream:
        opened(stream)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "no-store" in stream.headers["cache-control"]
        event_id = place.send()
        delivery_id = place.delivery(event_id)["id"]
        first, second = told_of(stream, delivery_id, count=2)
        assert first == {"delivery_id": delivery_id, "admitted": True}
        assert second == {"delivery_id": delivery_id, "admitted": False}  # it moves on, and is no new one


def test_a_stream_is_narrowed_as_its_list_is(place: Place) -> None:
    made = place.create()
    with listening(place.console, "?state=delivered&event_id=wanted-1") as stream:
        opened(stream)
        place.send(event_id="other-1")
        place.settled("other-1", "delivered")
        place.send(event_id="wanted-1")
        ids = [place.delivery(event_id)["id"] for event_id in ("other-1", "wanted-1")]
        told = told_of(stream, *ids, count=4)
    assert [each["admitted"] for each in told] == [False, False, False, True]
    assert made["id"] == place.delivery("wanted-1")["destination_id"]


def test_what_the_list_refuses_the_stream_refuses(console: Console) -> None:
    assert console.get("/deliveries/stream", code="abc").status == 422


def test_who_is_not_signed_in_hears_nothing(console_url: str) -> None:
    assert Console(console_url).get("/deliveries/stream").status == 303


def test_too_many_are_told_so_and_the_end_of_the_server_ends_them(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, ExitStack() as stack:
        console = first_person(server)
        streams = [stack.enter_context(listening(console)) for _ in range(MOST_WATCHERS - 1)]
        with listening(console) as last:
            for stream in (*streams, last):
                opened(stream)
            refused = console.get("/deliveries/stream")
            assert refused.status == 503
            assert f"{MOST_WATCHERS} watch already" in refused.words
        wait_until(lambda: not _is_full(console), what="one who left to make room")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5, "a stop waits for nobody who only watches"
        assert [stream.read() for stream in streams] == [b""] * len(streams)


def _is_full(console: Console) -> bool:
    with listening(console) as stream:
        return stream.status == 503


@in_virtual_time
async def test_silence_is_broken_by_a_beat() -> None:
    tail = Tail()
    stream = await open_stream(tail, "ws_1", admits=Narrowed().admits, may_stay=stays)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert await anext(stream) == OPENING
    assert await anext(stream) == b": still here\n\n"
    assert loop.time() - start == pytest.approx(BEAT)
    tail._publish(note())
    assert await anext(stream) == b'data: {"delivery_id":"dlv_1","admitted":true}\n\n'


@in_virtual_time
async def test_a_stream_ends_with_the_session_also_in_a_flood() -> None:
    tail, stays_until = Tail(), 20.0
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def may_stay() -> bool:
        return loop.time() - start < stays_until

    stream = await open_stream(tail, "ws_1", admits=Narrowed().admits, may_stay=may_stay)
    async for _ in stream:
        tail._publish(note())
    assert loop.time() - start == pytest.approx(2 * BEAT, abs=0.1)
    assert not tail.watched


@in_virtual_time
async def test_a_flood_is_told_as_a_number() -> None:
    tail = Tail()
    stream = await open_stream(tail, "ws_1", admits=Narrowed().admits, may_stay=stays)
    for number in range(MOST_NOTES + 7):
        tail._publish(note(delivery_id=f"dlv_{number}"))
    tail.close()
    messages = [each async for each in stream]
    assert len(messages) == 1 + MOST_NOTES + 1
    assert messages[-1] == b'data: {"count":7}\n\n'


@in_virtual_time
async def test_a_stream_that_nobody_reads_gives_its_place_back() -> None:
    tail = Tail()
    stream: AsyncIterator[bytes] | None = await open_stream(tail, "ws_1", admits=Narrowed().admits, may_stay=stays)
    assert tail.watched
    assert stream is not None
    del stream
    await asyncio.sleep(0.01)
    assert not tail.watched


@in_virtual_time
async def test_a_refusal_is_raised_before_anything_is_sent() -> None:
    tail = Tail()
    tail.close()
    with pytest.raises(Unavailable, match="stops"):
        await open_stream(tail, "ws_1", admits=Narrowed().admits, may_stay=stays)


@pytest.mark.parametrize(
    "narrowed, admitted",
    [
        ({}, [True, False, False, False, True]),
        ({"state": "pending"}, [True, True, False, False, True]),
        ({"state": "untried"}, [True, False, False, False, True]),
        ({"state": "retrying"}, [False, True, False, False, False]),
        ({"state": "delivered"}, [False, False, True, False, False]),
        ({"state": "sending"}, [False] * 5),
        ({"code": "503"}, [False, True, False, False, False]),
        ({"cause": "dns"}, [False, False, False, True, False]),
        ({"test": "yes"}, [False, False, False, False, True]),
        ({"test": "no"}, [True, False, False, False, False]),
        ({"event_id": "another"}, [False] * 5),
        ({"until": "2026-01-01T00:00:00Z"}, [False] * 5),
        ({"until": "2026-01-01T00:00:00Z", "window": "1h"}, [True, False, False, False, True]),
    ],
)
def test_a_note_counts_where_its_delivery_comes_into_the_list(narrowed: dict[str, str], admitted: list[bool]) -> None:
    notes = [
        note(),
        note(attempts=1, code=503, cause="503"),
        note(attempts=2, code=200, state=DeliveryState.DELIVERED),
        note(attempts=6, cause="dns", state=DeliveryState.DEAD),
        note(test=True),
    ]
    assert [Narrowed(**narrowed).admits(each) for each in notes] == admitted
