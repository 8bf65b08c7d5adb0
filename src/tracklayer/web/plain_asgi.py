"""Requests and answers without the framework, for the hot surfaces (docs/performance.md)."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.types import Receive, Send

from tracklayer.errors import Malformed
from tracklayer.model.event import encode_json
from tracklayer.web.problems import Problem
from tracklayer.web.unpack import too_large

Headers = Mapping[bytes, bytes]
"""Lower-case names; of a header that came twice, the last."""

_JSON = (b"content-type", b"application/json")


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The body as it came, still packed. Raises `TooLarge` over `limit` bytes, and `Malformed` where it breaks off."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Malformed("the connection closed before the whole body had come")
        part = message["body"]
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def text_of(headers: Headers, name: bytes) -> str | None:
    """A header's value."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def json_answer(status: int, content: object) -> Problem:
    """An answer in JSON."""
    return Problem(status=status, headers=(_JSON,), body=encode_json(content))


async def answer_with(send: Send, answer: Problem) -> None:
    """Send an answer, whole."""
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
