"""Request bodies that come packed (RFC 9110 §8.4): gzip, and nothing else, bounded once it is unpacked."""

from __future__ import annotations

import zlib

from tracklayer.errors import Malformed, TooLarge

_GZIP = 16 + zlib.MAX_WBITS


def unpack(raw: bytes, encoding: str | None, limit: int) -> bytes:
    """The body behind a Content-Encoding. Raises `Malformed`, or `TooLarge` over `limit` bytes."""
    encoding = (encoding or "identity").strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Malformed(f"Content-Encoding {encoding!r} is not understood: expected gzip", code="unsupported_encoding")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not valid gzip: {error}") from error
    if len(body) > limit:
        raise too_large(limit)
    if not unpacker.eof:
        raise Malformed("the body is not valid gzip: it ends too early")
    return body


def too_large(limit: int) -> TooLarge:
    """A body over the request limit."""
    return TooLarge(f"the request's body is over {limit} bytes (unpacked)", code="request_too_large")
