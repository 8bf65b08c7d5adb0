"""The local receiver, spoken to in raw bytes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from tracklayer.demo.receiver import Answer, CloseMidBody, Drip, Echo, Hang, Raw, Receiver, Reset

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


async def ask(receiver: Receiver, data: bytes, answer_length: int = -1) -> bytes:
    """What comes back for `data` on a connection of its own: so many bytes, or all until the receiver closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    try:
        writer.write(data)
        if answer_length >= 0:
            return await asyncio.wait_for(reader.readexactly(answer_length), 5)
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def test_it_records_a_request_as_it_came(receiver: Receiver) -> None:
    data = b"POST /hook?a=%20b HTTP/1.1\r\nhOsT: x\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 4\r\n\r\n\x00\xffhi"
    assert await ask(receiver, data, len(OK)) == OK
    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?a=%20b", b"\x00\xffhi")
    assert request.headers == [("hOsT", "x"), ("X-Two", "1"), ("x-two", "2"), ("Content-Length", "4")]
    assert request.connection == 1


async def test_it_joins_a_chunked_body_that_comes_in_pieces(receiver: Receiver) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    for piece in (b"POST / HT", b"TP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", b"c\r\n2\r\nde\r\n0\r\n\r\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    assert await reader.readexactly(len(OK)) == OK
    writer.close()
    assert receiver.requests[0].body == b"abcde"


async def test_pipelined_requests_are_answered_in_order_although_the_first_is_slow(receiver: Receiver) -> None:
    receiver.script("/slow", Answer(body=b"slow", delay=0.02))
    receiver.script("/fast", Answer(body=b"fast"))
    answer = await ask(receiver, get("/slow") + get("/fast") + get("/fast", "Connection: close"))
    assert [part[:4] for part in answer.split(b"\r\n\r\n")[1:]] == [b"slow", b"fast", b"fast"]
    assert [request.connection for request in receiver.requests] == [1, 1, 1]


async def test_a_script_goes_answer_by_answer_and_its_last_one_repeats(receiver: Receiver) -> None:
    receiver.script("/hook", Answer(503, (("Retry-After", "1"),)), Answer(204), Answer(299, body=b""))
    answer = await ask(receiver, get("/hook?x") * 3 + get("/hook") + get("/", "Connection: close"))
    assert answer == (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nok"
        b"HTTP/1.1 204 No Content\r\n\r\n" + b"HTTP/1.1 299 Unregistered\r\nContent-Length: 0\r\n\r\n" * 2 + OK
    )


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="'/hook' is empty"):
        Receiver().script("/hook")


async def test_respond_is_asked_first_and_may_leave_it_to_the_script(receiver: Receiver) -> None:
    receiver.script("/b", Answer(body=b"script"))
    receiver.respond = lambda request: Answer(body=b"respond") if request.target == "/a" else None
    answer = await ask(receiver, get("/a") + get("/b", "Connection: close"))
    assert answer.count(b"respond") == answer.count(b"script") == 1


async def test_echo_shows_the_request(receiver: Receiver) -> None:
    receiver.default = Echo()
    answer = await ask(receiver, b"PUT /p HTTP/1.1\r\nX-A: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "method": "PUT",
        "target": "/p",
        "headers": [["X-A", "1"], ["Connection", "close"], ["Content-Length", "2"]],
        "body": "hi",
    }


async def test_a_reset_is_a_tcp_reset(receiver: Receiver) -> None:
    receiver.default = Reset()
    with pytest.raises(ConnectionResetError):
        await ask(receiver, get("/"))


async def test_a_close_in_the_middle_of_the_body_leaves_half_of_it(receiver: Receiver) -> None:
    receiver.default = CloseMidBody(b"0123456789")
    assert await ask(receiver, get("/")) == b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"


async def test_raw_bytes_are_written_as_they_are(receiver: Receiver) -> None:
    receiver.default = Raw(b"nonsense")
    assert await ask(receiver, get("/")) == b"nonsense"


@pytest.mark.parametrize("from_head", [False, True])
async def test_a_drip_arrives_whole_in_the_end(receiver: Receiver, from_head: bool) -> None:
    receiver.default = Drip(10_000, b"drop", from_head=from_head)
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndrop"
    assert await ask(receiver, get("/"), len(whole)) == whole


async def test_a_hang_lasts_until_the_receiver_stops(receiver: Receiver) -> None:
    receiver.default = Hang()
    asking = asyncio.create_task(ask(receiver, get("/")))
    await receiver.wait_for(1)
    assert not asking.done()
    assert receiver.open_connections == 1
    await receiver.stop()
    assert await asking == b""
    assert receiver.open_connections == 0


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", get("/", "Upgrade: websocket", "Connection: upgrade")])
async def test_what_is_not_plain_http_gets_a_400_and_the_connection_ends(receiver: Receiver, data: bytes) -> None:
    assert b"400 Bad Request" in await ask(receiver, data)


async def test_wait_for_says_how_many_came_when_its_time_is_over(receiver: Receiver) -> None:
    await ask(receiver, get("/"), len(OK))
    await receiver.wait_for(1, timeout=0)
    with pytest.raises(TimeoutError, match=r"expected 2 requests within 0\.01 s, got 1"):
        await receiver.wait_for(2, timeout=0.01)


async def test_a_stopped_receiver_can_start_again_on_its_port() -> None:
    receiver = Receiver()
    for _ in range(2):
        await receiver.start(port=receiver.port)
        await ask(receiver, get("/"), len(OK))
        await receiver.stop()
    await receiver.stop()
    assert receiver.count == len(receiver.requests) == 2


async def test_count_only_keeps_nothing_but_the_count() -> None:
    async with Receiver(count_only=True) as receiver:
        await ask(receiver, get("/a") + b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", 2 * len(OK))
        assert (receiver.count, receiver.requests) == (2, [])


async def test_as_a_process_it_says_when_it_is_ready_and_what_it_took() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracklayer.demo.receiver", "--port", "0", "--show", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    ready = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert ready.startswith("receiver ready on http://127.0.0.1:")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ready.rpartition(":")[2]))
    writer.write(b"POST /hook HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    assert await reader.readexactly(len(OK)) == OK
    writer.close()
    process.send_signal(signal.SIGTERM)
    rest, _ = await asyncio.wait_for(process.communicate(), 20)
    assert rest.decode() == "POST /hook {}\nreceiver took 1 requests\n"
    assert process.returncode == 0
