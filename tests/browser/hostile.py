"""A workspace in which every text that can come from outside, or from a colleague, attacks whoever looks at it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from tests.harness import Answer, Api, ReceiverThread, wait_until
from tracklayer.demo.answers import Raw

TURN = "\N{RIGHT-TO-LEFT OVERRIDE}"
"""Turns round what follows, unless the page keeps it inside of its own text."""
LINK = "javascript:canary()"
EMAIL = "<img/src=x/onerror=canary()>@example.com"


def attack(where: str) -> str:
    """Breaks out of an attribute, an element, a script and a template, where it can; `where` names the field."""
    return f"{where}\"'></script><img src=x onerror=canary()><script>canary()</script>{{{{7*7}}}}{TURN}{where}"


def header_attack(where: str) -> str:
    """The same in the letters of a header, which is a template as well."""
    return attack(where).replace(TURN, "").replace("{{7*7}}", "")


EVENT = {
    "event_id": attack("id"),
    "event_name": attack("name"),
    "platform": attack("platform"),
    "segment": [attack("segment")],
    "user_data": {"external_id": attack("user"), attack("user-key"): attack("user-value")},
    "properties": {"order_id": attack("order"), "link": LINK, attack("key"): {attack("inner-key"): attack("inner")}},
}
ANSWER = (
    f"HTTP/1.1 422 {header_attack('reason-phrase')}\r\nContent-Type: text/html\r\n"
    f"X-Attack: {header_attack('answered')}\r\nLocation: {LINK}\r\nConnection: close\r\n\r\n{attack('answer-body')}"
).encode()
TEMPLATE = '{"order": "{{properties.order_id}}", "all": {{json properties}}, "lacks": "{{lost}}"}'


class HostileWorkspace:
    """Made over the API as it stands, so that what the API refuses is no attack."""

    def __init__(self, api: Api, receiver: ReceiverThread) -> None:
        self.api = api
        receiver.script("/hostile", Raw(ANSWER))
        self.destination_id = self._destination(receiver.url)
        self._post("/v1/events", EVENT)
        self._post("/v1/events", EVENT | {"event_id": attack("second-id")})
        self.delivery_id, self.discarded_id = (self._dead()[index]["id"] for index in (0, 1))
        self._post(f"/v1/dead-letters/{self.discarded_id}/discard", {"reason": attack("reason")})
        self._post("/v1/api-keys", {"name": attack("key-name"), "scopes": ["events:read"]})

    @property
    def event_path(self) -> str:
        """The page of the event."""
        return f"/events/{quote(str(EVENT['event_id']), safe='')}"

    @property
    def cause_path(self) -> str:
        """The page of its cause."""
        return "/dead-letters?" + urlencode({"destination_id": self.destination_id, "cause": "422"})

    def _destination(self, receiver_url: str) -> str:
        draft: dict[str, Any] = {
            "name": attack("destination").replace(TURN, ""),
            "note": attack("note"),
            "transport": {
                "url": f"{receiver_url}/hostile?by={{{{properties.order_id}}}}",
                "headers": {"X-Attack": header_attack("header")},
            },
            "signing": {"secret": "dest_live_9f3b27"},
            "filter": {"event_name": [attack("name")], "properties.link": LINK},
            "template": TEMPLATE,
            "retry": {"attempts": 0},
        }
        made = self._post("/v1/destinations", draft)
        path = f"/v1/destinations/{made['id']}"
        headers = {"X-Attack": header_attack("changed-header")}
        changed = self.api.patch(path, {"transport": {"headers": headers}, "note": attack("changed-note")})
        assert changed.status == 200, changed.body
        self._post(f"{path}/suppressions", {"reason": attack("why"), "filter": {"platform": [attack("elsewhere")]}})
        return str(made["id"])

    def _dead(self) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]] | None:
            rows: list[dict[str, Any]] = self.api.get("/v1/dead-letters").body["data"]
            return rows if len(rows) == 2 else None

        return wait_until(found, what="two dead letters")

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: Answer = self.api.post(path, body)
        assert 200 <= answer.status < 300, f"{path} answered {answer.status}: {answer.body}"
        made: dict[str, Any] = answer.body
        return made
