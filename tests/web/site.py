"""One test's own corner of the session's server: a path of the receiver, an event name, and its destinations."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.harness import Api, ReceiverThread, wait_until
from tests.web.expect import ok
from tracklayer.demo.receiver import Recorded


class Site:
    """Everything that it makes carries `name`; its events reach no destination of another test."""

    def __init__(self, api: Api, receiver: ReceiverThread, name: str) -> None:
        self.api = api
        self.receiver = receiver
        self.name = name
        self.path = f"/{name}"
        self.hook = receiver.url + self.path
        self._made: list[str] = []

    def draft(self, **fields: Any) -> dict[str, Any]:
        """A destination for this site's events; `transport` fields come on top of the URL."""
        transport = {"url": self.hook} | fields.pop("transport", {})
        return {"name": self.name, "transport": transport, "filter": {"event_name": [self.name]}} | fields

    def create(self, **fields: Any) -> dict[str, Any]:
        """A saved destination."""
        made: dict[str, Any] = ok(self.api.post("/v1/destinations", self.draft(**fields)), 201)
        self._made.append(made["id"])
        return made

    def event(self, **fields: Any) -> dict[str, Any]:
        """An event of this site."""
        return {"event_name": self.name} | fields

    def send(self, **fields: Any) -> str:
        """Send an event; its id."""
        return str(ok(self.api.post("/v1/events", self.event(**fields)))["id"])

    def delivery(self, event_id: str) -> dict[str, Any]:
        """The one delivery of an event to a destination of this site."""
        found = ok(self.api.get(f"/v1/events/{quote(event_id, safe='')}"))["deliveries"]
        (delivery,) = [each for each in found if each["destination_id"] in self._made]
        return dict(delivery)

    def settled(self, event_id: str, state: str) -> dict[str, Any]:
        """The one delivery of an event, once it is in `state`."""

        def look() -> dict[str, Any] | None:
            delivery = self.delivery(event_id)
            return delivery if delivery["state"] == state else None

        return wait_until(look, what=f"the delivery of {event_id} to be {state}")

    def deliver(self, **fields: Any) -> Recorded:
        """Send an event and wait until it is delivered; the request that came."""
        self.settled(self.send(**fields), "delivered")
        return self.requests[-1]

    def kill(self, **fields: Any) -> dict[str, Any]:
        """Send an event that will die, and wait for it; its delivery."""
        return self.settled(self.send(**fields), "dead")

    @property
    def requests(self) -> list[Recorded]:
        """What came to this site's path."""
        return self.receiver.on(self.path)

    def clean(self) -> None:
        """Delete what was made."""
        for destination_id in self._made:
            self.api.delete(f"/v1/destinations/{destination_id}?deliveries=discard")
