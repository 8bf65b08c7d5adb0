"""Callers as they are in the field: they send, they come again when they are told to, and remember what was taken."""

from __future__ import annotations

import http.client
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from tests.harness import PATIENCE, Api, ReceiverThread, wait_until
from tracklayer.demo.receiver import Recorded


def event(event_id: str, **fields: Any) -> dict[str, Any]:
    """An event as a shop would send it."""
    properties = {"order_id": event_id, "value": 149.99, "currency": "USD"}
    return {"event_id": event_id, "event_name": "purchase", "platform": "shopify", "properties": properties} | fields


def send_all(api: Api, event_ids: Iterable[str], **fields: Any) -> None:
    """Send events in batches, each of which must be taken whole."""
    ids = list(event_ids)
    for first in range(0, len(ids), 500):
        lot = [event(event_id, **fields) for event_id in ids[first : first + 500]]
        answer = api.post("/v1/events/batch", {"events": lot})
        assert answer.status == 202, answer
        assert answer.body["accepted"] == len(lot), answer.body


class Caller(threading.Thread):
    """Sends events on one connection, one by one or in batches, until it is told to stop.

    What was not acknowledged it sends again, as any client with a retry does.
    """

    def __init__(self, api: Api, name: str, *, batch: int | None = None, pause: float = 0.0) -> None:
        """`batch` None: one event a request. `pause` is in seconds between requests."""
        super().__init__(daemon=True, name=name)
        self._taken_at: dict[str, float] = {}
        self.answers: Counter[int] = Counter()  # by status; 0: none came
        self.without_retry_after = 0  # refusals that did not say when to come again
        self._api = api
        self._batch = batch
        self._pause = pause
        self._stopped = threading.Event()
        self._writing = threading.Lock()

    @property
    def taken_at(self) -> dict[str, float]:
        """Event id → unix time of its acknowledgement: a copy, for who asks is another thread."""
        with self._writing:
            return self._taken_at.copy()

    @property
    def taken(self) -> int:
        """How many events were acknowledged."""
        with self._writing:
            return len(self._taken_at)

    @property
    def last_taken_at(self) -> float:
        """The unix time of the last acknowledgement; 0 before the first."""
        with self._writing:
            return next(reversed(self._taken_at.values()), 0.0)

    def run(self) -> None:
        """Send."""
        numbers = count()
        while not self._stopped.is_set():
            ids = [f"{self.name}_{next(numbers)}" for _ in range(self._batch or 1)]
            while not self._send(ids) and not self._stopped.wait(0.02):
                pass
            self._stopped.wait(self._pause)

    def stop(self) -> None:
        """No more requests; the last one has ended when this returns."""
        self._stopped.set()
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.name} hangs"

    def _send(self, ids: list[str]) -> bool:
        events = [event(event_id) for event_id in ids]
        try:
            if self._batch is None:
                answer = self._api.post("/v1/events", events[0])
            else:
                answer = self._api.post("/v1/events/batch", {"events": events})
        except (OSError, http.client.HTTPException):
            self.answers[0] += 1
            return False
        self.answers[answer.status] += 1
        if answer.status in (429, 503) and "retry-after" not in answer.headers:
            self.without_retry_after += 1
        if answer.status not in (200, 202):
            return False
        if self._batch is not None:
            assert answer.body["rejected"] == 0, answer.body
        with self._writing:
            self._taken_at |= dict.fromkeys(ids, time.time())
        return True


class Callers:
    """Several at once."""

    def __init__(self, *callers: Caller) -> None:
        self.all = callers

    def __enter__(self) -> Callers:
        for caller in self.all:
            caller.start()
        return self

    def __exit__(self, *_: object) -> None:
        for caller in self.all:
            caller.stop()

    @property
    def taken_at(self) -> dict[str, float]:
        """Event id → unix time of its acknowledgement, of all of them."""
        return {event_id: at for caller in self.all for event_id, at in caller.taken_at.items()}

    @property
    def acknowledged(self) -> set[str]:
        """What was taken, of all of them."""
        return set(self.taken_at)

    def wait_for(self, number: int) -> None:
        """Wait until so many events are acknowledged: a time would be more events on one machine than on another."""
        taken = f"{number} acknowledgements"
        wait_until(lambda: sum(caller.taken for caller in self.all) >= number, what=taken, longest=0.01)

    @property
    def answers(self) -> Counter[int]:
        """Their answers by status, together."""
        return sum((caller.answers for caller in self.all), Counter[int]())


def header(request: Recorded, name: str) -> str:
    """The value of a header."""
    return next(value for known, value in request.headers if known.lower() == name.lower())


def event_ids(requests: Iterable[Recorded]) -> Counter[str]:
    """How often every event came."""
    return Counter(header(request, "X-TrackLayer-Event-Id") for request in requests)


def delivery_ids(requests: Iterable[Recorded]) -> dict[str, set[str]]:
    """The delivery ids under which every event came: one each, however often it was sent."""
    found: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        found[header(request, "X-TrackLayer-Event-Id")].add(header(request, "X-TrackLayer-Delivery-Id"))
    return found


def most_within(seconds: float, times: Sequence[float]) -> int:
    """The most of `times` (sorted) in any window of that length, its end not included."""
    return max(bisect_left(times, start + seconds) - index for index, start in enumerate(times))


def wait_until_arrived(receiver: ReceiverThread, path: str, wanted: set[str], deadline: float = PATIENCE) -> None:
    """Wait until every one of `wanted` has come to `path`; fails with what is missing."""

    missing, looked_at = set(wanted), 0

    def all_came() -> bool:
        nonlocal looked_at
        come = receiver.on(path)[looked_at:]
        looked_at += len(come)
        missing.difference_update(event_ids(come))
        return not missing

    try:
        wait_until(all_came, deadline, what=f"{len(wanted)} events at {path}")
    except AssertionError as error:
        raise AssertionError(f"{len(missing)} of {len(wanted)} never came to {path}: {sorted(missing)[:5]}") from error


def depth(api: Api) -> int:
    """How many deliveries wait, over all destinations."""
    lines = str(api.get("/metrics").body).splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("tracklayer_queue_depth{")))


def made(api: Api, name: str, url: str, **config: Any) -> str:
    """Make a destination; answers its id."""
    body = {"name": name, "transport": {"url": url} | config.pop("transport", {})} | config
    answer = api.post("/v1/destinations", body)
    assert answer.status == 201, answer
    return str(answer.body["id"])
