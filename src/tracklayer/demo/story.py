"""The demo's story: one destination, one receiver, and what happens to events between them. All of it is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tracklayer.client import ApiClient
from tracklayer.demo.door import Door, header
from tracklayer.demo.receiver import Receiver, Recorded

PATIENCE = 8.0  # seconds until something that should have happened has not
GLANCE = 0.05  # seconds between two looks
FIRST_TOKEN, SECOND_TOKEN = "receiver-token-1", "receiver-token-2"
SIGNING_SECRET = "demo_signing_secret_9f3b27"  # noqa: S105 (as above)
TEMPLATE = """{
  "type": "{{event_name}}",
  "order_id": "{{properties.order_id}}",
  "value": {{properties.value}},
  "item": "{{properties.item}}",
  "customer": "{{user_data.email_hash}}"
}"""

Say = Callable[[str], None]


class Failed(Exception):
    """A check of the demo did not hold."""


@dataclass(frozen=True)
class Check:
    """One thing that the demo proves."""

    name: str
    detail: str
    passed: bool


class Story:
    """Plays the scenes in order; every scene tells what it sees and proves it."""

    def __init__(self, client: ApiClient, receiver: Receiver, say: Say, *, heading: Say) -> None:
        self._client = client
        self._receiver = receiver
        self._say = say
        self._heading = heading
        self._door = Door(token=FIRST_TOKEN, signing_secret=SIGNING_SECRET)
        self._destination_id = ""
        self._dead_id = ""
        receiver.respond = self._door
        self.checks: list[Check] = []

    async def play(self) -> list[Check]:
        """Every scene; the first that fails ends the play."""
        scenes: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("configured", self._configure),
            ("delivered", self._deliver),
            ("filtered out", self._filter_out),
            ("retried", self._retry),
            ("dead-lettered", self._bury),
            ("fixed and replayed", self._replay),
            ("tested", self._test),
            ("complete", self._count),
        ]
        for number, (name, scene) in enumerate(scenes, 1):
            self._heading(f"{number}  {name}")
            try:
                self.checks.append(Check(name, await scene(), passed=True))
            except Exception as error:  # whatever it is, the demo says so and ends with 1
                self.checks.append(Check(name, f"{type(error).__name__}: {error}", passed=False))
                break
        return self.checks

    async def _configure(self) -> str:
        await self._call(self._client.put, "/v1/secrets/receiver_token", {"value": FIRST_TOKEN})
        destination = await self._call(
            self._client.post,
            "/v1/destinations",
            {
                "name": "demo-receiver",
                "transport": {
                    "url": f"{self._receiver.url}/events",
                    "headers": {"Authorization": "Bearer {{secrets.receiver_token}}"},
                },
                "signing": {"secret": SIGNING_SECRET},
                "filter": {"event_name": ["purchase", "refund_requested"], "properties.value": {"$gte": 10}},
                "template": TEMPLATE,
                "retry": {"attempts": 3, "backoff": "200ms, 400ms, 800ms"},
            },
        )
        self._destination_id = destination["id"]
        self._say(f"PUT /v1/secrets/receiver_token, POST /v1/destinations → {self._destination_id}, version 1")
        self._say("purchases and refunds of at least 10, in the receiver's own schema, signed, with a secret header")
        return "a secret and a signed destination, over the API"

    async def _deliver(self) -> str:
        properties = {"order_id": "100045", "value": 149.99, "item": 'Mug "Best of 2026" ☕ </script>'}
        event_id = await self._send("purchase", properties, email="Jane@Example.com")
        delivery = await self._settled(event_id, "delivered")
        request = self._receiver.requests[-1]
        self._show(request)
        body = json.loads(request.body)
        _expect({name: body[name] for name in properties} == properties, f"another body arrived: {body}")
        _expect(self._door.verifies(request), "the signature does not verify")
        _expect(header(request, "x-tracklayer-delivery-id") == delivery["id"], "another delivery id arrived")
        self._say("the receiver checked the signature with its own few lines: it is right")
        return "the body as the template has it, signature verified"

    async def _filter_out(self) -> str:
        before = self._receiver.count
        event_id = await self._send("page_view", {"path": "/sale"})
        explained = await self._call(self._client.get, f"/v1/events/{event_id}/explain")
        (verdict,) = explained["destinations"]
        self._say(f"GET /v1/events/{event_id}/explain → matched: {str(verdict['matched']).lower()}")
        self._say(verdict["reason"])
        _expect(verdict["matched"] is False and verdict["delivery"] is None, f"it was routed: {verdict}")
        _expect(self._receiver.count == before, "the receiver got a request")
        return str(verdict["reason"])

    async def _retry(self) -> str:
        self._say("the receiver is out of order for two requests")
        self._door.outages = 2
        event_id = await self._send("purchase", {"order_id": "100046", "value": 20, "item": "Pen"})
        delivery = await self._settled(event_id, "delivered")
        detail = await self._call(self._client.get, f"/v1/deliveries/{delivery['id']}")
        for attempt in detail["attempts"]:
            self._say(f"attempt {attempt['number']}: {attempt['rule']}")
        statuses = [attempt["status"] for attempt in detail["attempts"]]
        _expect(statuses == [503, 503, 200], f"the attempts were answered {statuses}")
        seen = [header(each, "x-tracklayer-attempt") for each in self._receiver.requests[-3:]]
        _expect(seen == ["1", "2", "3"], f"the receiver saw the attempts {seen}")
        return "503, 503, then 200: one delivery id, three attempts"

    async def _bury(self) -> str:
        self._say("the receiver has a new token, and nobody told TrackLayer")
        self._door.token = SECOND_TOKEN
        event_id = await self._send("refund_requested", {"order_id": "100045", "value": 149.99, "item": "Mug"})
        delivery = await self._settled(event_id, "dead")
        self._dead_id = delivery["id"]
        letter = await self._call(self._client.get, f"/v1/dead-letters/{self._dead_id}")
        self._say(f"GET /v1/dead-letters/{self._dead_id} → {letter['code']} {letter['response']['body']}")
        self._say(f"{letter['rule']}; its Authorization was {letter['request']['headers']['Authorization']}")
        _expect(letter["code"] == 401 and letter["attempt_count"] == 1, f"it died otherwise: {letter}")
        _expect(FIRST_TOKEN not in json.dumps(letter), "the secret shows in the dead letter")
        return "401 is not retried; kept with its request and answer, the secret masked"

    async def _replay(self) -> str:
        await self._call(self._client.put, "/v1/secrets/receiver_token", {"value": SECOND_TOKEN})
        await self._call(self._client.post, f"/v1/dead-letters/{self._dead_id}/replay", {"mode": "rerender"})
        self._say(f"PUT /v1/secrets/receiver_token, POST /v1/dead-letters/{self._dead_id}/replay")
        await self._until(lambda: self._state(self._dead_id), "delivered")
        request = self._receiver.requests[-1]
        replayed = header(request, "x-tracklayer-delivery-id")
        self._say(f"delivered, attempt {header(request, 'x-tracklayer-attempt')}, still {replayed}")
        _expect(replayed == self._dead_id, f"the replay had another delivery id: {replayed}")
        return "the new secret value, the same delivery id: delivered"

    async def _test(self) -> str:
        answer = await self._call(self._client.post, f"/v1/destinations/{self._destination_id}/test")
        steps = answer["steps"]
        self._say(f"POST /v1/destinations/{self._destination_id}/test → {answer['state']}")
        sent = steps["send"]["response"]["status"] if steps["send"] and steps["send"]["response"] else "nothing"
        self._say(f"filter matched, consent given, body rendered, signature verified, the receiver said {sent}")
        _expect(answer["state"] == "delivered", f"it is {answer['state']}: {steps}")
        _expect(steps["filter"]["matched"] and steps["render"]["valid"] and steps["sign"]["verified"], f"{steps}")
        return "a synthetic purchase through the real path"

    async def _count(self) -> str:
        expected = 1 + 3 + 2 + 1
        self._say(f"the receiver took {self._receiver.count} requests; {self._door.unverified} failed its own check")
        _expect(self._receiver.count == expected, f"expected {expected} requests, the receiver got more or fewer")
        _expect(self._door.unverified == 0, "a signature was wrong")
        return f"{expected} requests, every one verified, none lost, none too many"

    async def _send(self, name: str, properties: dict[str, Any], email: str | None = None) -> str:
        event = {"event_name": name, "properties": properties, "user_data": {"email": email}}
        answer = await self._call(self._client.post, "/v1/events", event)
        self._say(f"POST /v1/events {name} → {answer['dedup_status']}")
        return str(answer["id"])

    async def _settled(self, event_id: str, state: str) -> dict[str, Any]:
        """The one delivery of an event, once it is in `state`."""
        event = await self._call(self._client.get, f"/v1/events/{event_id}")
        (delivery,) = event["deliveries"]
        await self._until(lambda: self._state(delivery["id"]), state)
        return dict(delivery)

    async def _state(self, delivery_id: str) -> str:
        delivery = await self._call(self._client.get, f"/v1/deliveries/{delivery_id}")
        return str(delivery["state"])

    async def _until(self, look: Callable[[], Awaitable[str]], wanted: str) -> None:
        for _ in range(int(PATIENCE / GLANCE)):
            seen = await look()
            if seen == wanted:
                return
            await asyncio.sleep(GLANCE)
        raise Failed(f"expected {wanted} within {PATIENCE:g} s, it is {seen}")

    async def _call(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        """A call of the blocking client, beside the receiver that runs on this loop."""
        return await asyncio.to_thread(verb, *arguments)

    def _show(self, request: Recorded) -> None:
        self._say(f"the receiver got {request.method} {request.target}")
        for name in ("Authorization", "X-TrackLayer-Delivery-Id", "X-TrackLayer-Signature"):
            self._say(f"  {name}: {header(request, name.lower())}")
        for line in request.body.decode().splitlines():
            self._say(f"  {line}")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)
