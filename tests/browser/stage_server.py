"""The server of the stage: `tracklayer serve`, but the receivers' hosts are answered by one on this machine.

TRACKLAYER_STAGE_RECEIVER is that one's URL. A request to https://hooks.example.com/orders goes to its path
/hooks.example.com/orders; what is shown and kept is what was asked for.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from unittest import mock
from urllib.parse import urlsplit

import msgspec

from tracklayer.model.delivery import Failure, Request, Response
from tracklayer.server import run
from tracklayer.service import Service
from tracklayer.settings import load_settings
from tracklayer.transport import HttpTransport


class Elsewhere:
    """`tracklayer.ports.Transport` that leads every host to one receiver."""

    def __init__(self, receiver: str, transport: HttpTransport) -> None:
        self._receiver = receiver
        self._transport = transport

    async def send(self, request: Request) -> Response | Failure:
        """Make the request, to the receiver."""
        asked = urlsplit(request.url)
        url = f"{self._receiver}/{asked.hostname}{asked.path}" + (f"?{asked.query}" if asked.query else "")
        return await self._transport.send(msgspec.structs.replace(request, url=url))

    async def close(self) -> None:
        """Let go of every connection."""
        await self._transport.close()


def main() -> int:
    """Serve until SIGTERM."""
    receiver = os.environ.pop("TRACKLAYER_STAGE_RECEIVER")
    settings = load_settings(os.environ, {})
    service = partial(Service, transport=Elsewhere(receiver, HttpTransport(settings.allow_networks)))
    with mock.patch("tracklayer.server.Service", service):
        return run(settings)


if __name__ == "__main__":
    sys.exit(main())
