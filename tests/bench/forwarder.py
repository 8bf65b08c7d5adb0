"""The smallest server that a trial can measure: `python forwarder.py PORT RECEIVER_PORT [drop|twice|unsigned]`.

Answers a POST before it forwards the event (as a queue would); `drop` forgets every tenth event, `twice` sends each
twice, `unsigned` leaves the signature out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys

from bench.events import SIGNING_SECRET, WEBHOOK_TOKEN, shaped
from bench.framing import Framer


def forwarded(name: str, signed: bool) -> bytes:
    """The request for the event `name`."""
    body = json.dumps(shaped(int(name.rpartition("-")[2]))).encode()
    digest = hmac.new(SIGNING_SECRET.encode(), body, hashlib.sha256).hexdigest()
    lines = [f"X-TrackLayer-Event-Id: {name}", f"Authorization: Bearer {WEBHOOK_TOKEN}", f"Content-Length: {len(body)}"]
    if signed:
        lines.append(f"X-TrackLayer-Signature: sha256={digest}")
    return ("POST /hook HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + body


async def main(port: int, receiver: int, fault: str) -> None:
    """Serve until terminated."""
    _, out = await asyncio.open_connection("127.0.0.1", receiver)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer()
        while data := await reader.read(65536):
            for head, body in framer.feed(data):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                if head.startswith(b"post"):
                    name = json.loads(body)["event_id"]
                    times = 0 if fault == "drop" and name.endswith("0") else 2 if fault == "twice" else 1
                    out.write(forwarded(name, fault != "unsigned") * times)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
