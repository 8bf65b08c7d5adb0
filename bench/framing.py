"""The least HTTP/1.1 that the load generator and the receiver need: cut a stream into messages, cheaply."""

from __future__ import annotations

_LENGTH = b"\r\ncontent-length:"


class Framer:
    """Cuts a stream of HTTP/1.1 messages into heads and bodies.

    Knows `Content-Length` only; a message without it has no body. Raises `ValueError` for a chunked message.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The messages that `data` completes, each as (head in lower case without the blank line, body as it came)."""
        self._rest = self._rest + data if self._rest else data
        messages = []
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end].lower()
            start = end + 4
            stop = start + _body_length(head)
            if len(self._rest) < stop:
                break
            messages.append((head, self._rest[start:stop]))
            self._rest = self._rest[stop:]
        return messages


def header(head: bytes, name: bytes) -> bytes | None:
    """The value of header `name` (lower case) in a `head` from `Framer`; None where it is absent."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _body_length(head: bytes) -> int:
    at = head.find(_LENGTH)
    if at < 0:
        if b"\r\ntransfer-encoding:" in head:
            raise ValueError(f"a message with Content-Length was expected, not a chunked one: {head!r}")
        return 0
    start = at + len(_LENGTH)
    end = head.find(b"\r\n", start)
    return int(head[start : end if end >= 0 else len(head)])
