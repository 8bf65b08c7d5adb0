from __future__ import annotations

import pytest

from bench.framing import Framer, header

STREAM = (
    b"POST /a HTTP/1.1\r\nX-Name: One\r\nContent-Length: 5\r\n\r\nHELLO"
    b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    b"POST /c HTTP/1.1\r\ncontent-length:2\r\n\r\nok"
)
MESSAGES = [
    (b"post /a http/1.1\r\nx-name: one\r\ncontent-length: 5", b"HELLO"),
    (b"get /b http/1.1\r\nhost: x", b""),
    (b"post /c http/1.1\r\ncontent-length:2", b"ok"),
]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_messages_are_the_same_however_the_stream_is_cut(size: int) -> None:
    framer = Framer()
    found = [message for at in range(0, len(STREAM), size) for message in framer.feed(STREAM[at : at + size])]
    assert found == MESSAGES


def test_a_chunked_message_is_refused() -> None:
    with pytest.raises(ValueError, match="not a chunked one"):
        Framer().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_header_is_found_by_its_whole_name() -> None:
    head = b"post / http/1.1\r\nx-id-other: 1\r\nx-id: 2\r\nlast: 3"
    assert (header(head, b"x-id"), header(head, b"last"), header(head, b"id")) == (b"2", b"3", None)
