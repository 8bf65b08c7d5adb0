"""Request bodies that come packed (RFC 9110 §8.4): gzip, and nothing else, bounded once it is unpacked."""

from __future__ import annotations

import zlib

from tracklayer.errors import Malformed, TooLarge

_GZIP = 16 + zlib.MAX_WBITS
_MEMBERS = 64  # of one body; each costs a copy of what is left


def unpack(raw: bytes, encoding: str | None, limit: int) -> bytes:
    """The body behind a Content-Encoding. Raises `Malformed`, or `TooLarge` over `limit` bytes."""
    encoding = (encoding or "identity").strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Malformed(f"Content-Encoding {encoding!r} is not understood: expected gzip", code="unsupported_encoding")
    parts: list[bytes] = []
    left = limit + 1
    while raw or not parts:
        if len(parts) == _MEMBERS:
            raise Malformed(f"the body is gzip of more than {_MEMBERS} members")
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(raw, left)
        except zlib.error as error:
            raise Malformed(f"the body is not valid gzip: {error}") from error
        parts.append(part)
        left -= len(part)
        if left <= 0:
            raise too_large(limit)
        if not unpacker.eof:
            raise Malformed("the body is not valid gzip: it ends too early")
        raw = unpacker.unused_data  # another member: together they are one body (RFC 1952 §2.2)
    return b"".join(parts)


def too_large(limit: int) -> TooLarge:
    """A body over the request limit."""
    return TooLarge(f"the request's body is over {limit} bytes (unpacked)", code="request_too_large")
