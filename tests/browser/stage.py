"""A shop's workspace after three days of work (played.py), served in real time by a server of its own.

    with stage(tmp_path) as shop:
        shop.console.get("/dead-letters")

Its receivers stand on this machine (stage_server.py) and act as tests/browser/shop.py has it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.browser import shop
from tests.browser.played import play
from tests.console.client import Console
from tests.harness import Api, ReceiverThread, ServerProcess
from tracklayer.demo.receiver import Answer, Behaviour, Hang, Recorded

EVENTS = 1_600  # that are drawn; about two thirds of them happen


class Stage:
    """The workspace, served; `console` is signed in as its first person."""

    def __init__(self, server: ServerProcess, destinations: dict[str, str]) -> None:
        self.server = server
        self.destinations = destinations  # ids, by the short names of tests/browser/shop.py
        self.api = Api(server.url, server.key)
        self.console = Console(server.url)
        page = self.console.sign_in()
        assert page.status == 303, page.words

    def delivery(self, **wanted: object) -> str:
        """The id of the newest delivery that the API finds by `wanted`."""
        found = self.api.get("/v1/deliveries", limit=1, **wanted).body["data"]
        assert found, f"the stage has no delivery with {wanted}"
        return str(found[0]["id"])


@contextmanager
def stage(folder: Path, *, seed: int = 7, events: int = EVENTS, **settings: object) -> Iterator[Stage]:
    """Play the days in `folder`, and serve what they left."""
    with ThreadPoolExecutor(1) as elsewhere:  # a thread in which no loop runs, such as Playwright's
        destinations = elsewhere.submit(play, folder / "data", seed, events).result()
    with ReceiverThread() as receiver:
        receiver.receiver.respond = _responding(random.Random(seed))
        with _StageServer(folder / "data", stage_receiver=receiver.url, **settings) as server:
            yield Stage(server, destinations)


class _StageServer(ServerProcess):
    program = ("tests.browser.stage_server",)


def _responding(rng: random.Random) -> Callable[[Recorded], Behaviour]:
    """How the receivers act now; the first part of a request's path is the host that was asked."""

    def respond(request: Recorded) -> Behaviour:
        reply = shop.reply(rng, request.target.split("/")[1], request.body, 0.0)
        if not reply.status:
            return Hang()
        return Answer(status=reply.status, headers=reply.headers, body=reply.body.encode(), delay=reply.seconds)

    return respond
