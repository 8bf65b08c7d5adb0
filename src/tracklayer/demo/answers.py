"""What the local receiver can do with a request: answer it, or misbehave in the ways that real receivers do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TypeAlias

_FRAMING = {"content-length", "transfer-encoding"}
_BODILESS = {204, 304}


@dataclass(frozen=True)
class Answer:
    """Answers after `delay` seconds. Headers that frame the body (`Content-Length`) are added where absent."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"
    delay: float = 0.0

    @cached_property
    def raw(self) -> bytes:
        """The bytes on the wire."""
        body = b"" if self.status in _BODILESS else self.body
        return head(self.status, self.headers, None if self.status in _BODILESS else len(body)) + body


@dataclass(frozen=True)
class Hang:
    """Takes the request and never answers."""


@dataclass(frozen=True)
class Drip:
    """Sends the status and headers at once and the body at `bytes_per_second`; with `from_head` all of it so."""

    bytes_per_second: float = 1.0
    body: bytes = b"drip" * 64
    from_head: bool = False


@dataclass(frozen=True)
class Reset:
    """Drops the connection with a TCP reset instead of an answer."""


@dataclass(frozen=True)
class CloseMidBody:
    """Announces a body, sends half of it and closes the connection."""

    body: bytes = b"a body of which only half arrives"


@dataclass(frozen=True)
class Raw:
    """Writes these bytes, whatever they are, and closes the connection."""

    data: bytes


@dataclass(frozen=True)
class Echo:
    """Answers with the request as JSON: `{"method", "target", "headers": [[name, value]…], "body"}`."""


Behaviour: TypeAlias = Answer | Hang | Drip | Reset | CloseMidBody | Raw | Echo


def head(status: int, headers: tuple[tuple[str, str], ...], length: int | None) -> bytes:
    """The status line and the headers of an HTTP/1.1 answer whose body has `length` bytes (None: no body)."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:  # an unregistered status such as 599
        reason = "Unregistered"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    if length is not None and not any(name.lower() in _FRAMING for name, _ in headers):
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
