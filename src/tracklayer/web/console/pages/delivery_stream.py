"""The live tail as server-sent events: what changes in a list, while somebody looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from tracklayer.flow.tail import Missed, Note, Tail
from tracklayer.model.event import encode_json

BEAT = 15.0  # seconds: proxies cut what is silent for longer, and so a browser that is gone is noticed
PACE = 0.005  # seconds between messages: of a flood most is counted, and told as a number
RETRY = 3000  # milliseconds after which a browser comes back

_OPENING = f"retry: {RETRY}\n\n".encode()
_BEAT = b": still here\n\n"


async def open_stream(
    tail: Tail,
    workspace_id: str,
    *,
    admits: Callable[[Note], bool],
    may_stay: Callable[[], Awaitable[bool]],
    beat: float = BEAT,
) -> AsyncIterator[bytes]:
    """A stream of what changes from now on: a message a delivery, with whether the list `admits` it.

    It ends when the service stops, when whoever watches leaves, and when they may no longer stay (asked with every
    beat). Raises `Unavailable` where too many watch already.
    """
    stream = _messages(tail, workspace_id, admits, may_stay, beat)
    opening = await anext(stream)  # so that a refusal can still be answered as one
    return _whole(opening, stream)


async def _whole(opening: bytes, stream: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(stream):
        yield opening
        async for message in stream:
            yield message


async def _messages(
    tail: Tail,
    workspace_id: str,
    admits: Callable[[Note], bool],
    may_stay: Callable[[], Awaitable[bool]],
    beat: float,
) -> AsyncGenerator[bytes, None]:
    clock = asyncio.get_running_loop().time
    async with tail.watch(workspace_id) as watcher:
        yield _OPENING
        next_beat = clock() + beat
        while True:
            if clock() >= next_beat:
                if not await may_stay():
                    return
                yield _BEAT
                next_beat = clock() + beat
            try:
                async with asyncio.timeout_at(next_beat):
                    note = await anext(watcher, None)
            except TimeoutError:
                continue
            if note is None:  # the service stops
                return
            yield _message(note, admits)
            await asyncio.sleep(PACE)


def _message(note: Note | Missed, admits: Callable[[Note], bool]) -> bytes:
    if isinstance(note, Missed):
        told: dict[str, object] = {"count": note.count}
    else:
        told = {"delivery_id": note.delivery_id, "admitted": admits(note)}
    return b"data: " + encode_json(told) + b"\n\n"
