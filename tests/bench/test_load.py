from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bench.framing import Framer, header
from bench.load import MOST_BROKEN, Plan, run

Answer = Callable[[dict[str, Any]], bytes | None]

PLAN = Plan(port=0, path="/v1/events", headers={"Authorization": "Bearer k"}, run="t", events=40, connections=4)


class Server:
    """A tiny server that keeps what it is sent; `answer` makes the bytes to answer (None: hang up)."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.port = 0
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[bytes] = []
        self.most_at_once = 0
        self._open = 0
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._answer_all(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        framer = Framer()
        while data := await reader.read(65536):
            for head, body in framer.feed(data):
                self.heads.append(head)
                self.bodies.append(json.loads(body))
                answer = self._answer(self.bodies[-1])
                if answer is None:
                    break
                writer.write(answer)
            else:
                continue
            break
        self._open -= 1


def reply(status: int, body: object = None, headers: str = "") -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    return f"HTTP/1.1 {status} Any\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode() + content


def accept(_: dict[str, Any]) -> bytes:
    return reply(200, {"dedup_status": "accepted"})


async def test_closed_loop_sends_every_event_once_over_its_connections() -> None:
    async with Server(accept).serving() as server:
        outcome = await run(replace(PLAN, port=server.port))
    assert sorted(body["event_id"] for body in server.bodies) == [f"t-{number:07d}" for number in range(40)]
    assert server.most_at_once == 4
    assert header(server.heads[0], b"authorization") == b"bearer k"
    assert outcome.statuses == {"200": 40}
    assert all(acked >= due > 0 for due, acked in zip(outcome.due, outcome.acked, strict=True))
    assert not outcome.timed_out


async def test_a_batch_is_acknowledged_item_by_item() -> None:
    def answer(body: dict[str, Any]) -> bytes:
        ids = [event["event_id"] for event in body["events"]]
        return reply(
            202,
            {"results": [{"id": name, "status": "rejected" if name == "t-0000003" else "accepted"} for name in ids]},
        )

    async with Server(answer).serving() as server:
        outcome = await run(replace(PLAN, port=server.port, events=25, batch=10))
    assert sorted(len(body["events"]) for body in server.bodies) == [5, 10, 10]
    assert [number for number, acked in enumerate(outcome.acked) if not acked] == [3]
    assert outcome.rejected == 1
    assert len(outcome.due) == 25


async def test_an_open_loop_keeps_its_rate_and_counts_from_the_planned_time() -> None:
    async with Server(accept).serving() as server:
        outcome = await run(replace(PLAN, port=server.port, rate=400.0))
    steps = [later - earlier for earlier, later in zip(outcome.due, outcome.due[1:], strict=False)]
    assert steps == pytest.approx([1 / 400] * 39, abs=1e-6)
    assert all(acked >= due for due, acked in zip(outcome.due, outcome.acked, strict=True))


async def test_a_busy_server_is_asked_again_with_the_same_event() -> None:
    refused: set[str] = set()

    def answer(body: dict[str, Any]) -> bytes:
        if body["event_id"] in refused:
            return reply(200)
        refused.add(body["event_id"])
        return reply(503, headers="Retry-After: 0.01\r\n")

    async with Server(answer).serving() as server:
        outcome = await run(replace(PLAN, port=server.port))
    assert outcome.statuses == {"200": 40, "503": 40}
    assert all(outcome.acked)


async def test_a_refused_event_is_not_acknowledged() -> None:
    async with Server(lambda body: reply(401 if body["event_id"] == "t-0000007" else 200)).serving() as server:
        outcome = await run(replace(PLAN, port=server.port))
    assert outcome.statuses == {"200": 39, "401": 1}
    assert [number for number, acked in enumerate(outcome.acked) if not acked] == [7]


async def test_a_lost_connection_is_counted_and_replaced() -> None:
    async with Server(lambda body: None if body["event_id"] == "t-0000007" else reply(200)).serving() as server:
        outcome = await run(replace(PLAN, port=server.port))
    assert outcome.broken == 1
    assert [number for number, acked in enumerate(outcome.acked) if not acked] == [7]


async def test_a_server_that_only_hangs_up_ends_the_run() -> None:
    async with Server(lambda _: None).serving() as server:
        outcome = await run(replace(PLAN, port=server.port, events=1000))
    assert outcome.broken >= MOST_BROKEN
    assert not any(outcome.acked)


async def test_an_answer_that_is_no_http_fails_the_run() -> None:
    async with Server(lambda _: b"SSH-2.0-nonsense\r\n\r\n").serving() as server:
        with pytest.raises(ValueError, match="invalid literal"):
            await run(replace(PLAN, port=server.port))


async def test_the_deadline_ends_a_run_that_gets_no_answer() -> None:
    async with Server(lambda _: b"").serving() as server:
        outcome = await run(replace(PLAN, port=server.port, deadline=0.1))
    assert outcome.timed_out
    assert not any(outcome.acked)
