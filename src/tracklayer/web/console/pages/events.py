"""`/events`: what came in, found by id, user or name; and one event's fate: why it was, or was not, sent."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlencode

import msgspec
from litestar import Controller, Request, Response, get

from tracklayer.errors import NotFound
from tracklayer.model.event import Event, encode_json, event_fields
from tracklayer.model.moment import parse_rfc3339
from tracklayer.operate.explain import Explanation
from tracklayer.operate.search import Found
from tracklayer.service import Service
from tracklayer.store.history import StoredDelivery, StoredEvent
from tracklayer.web.console.access import origin_of, signed_in, visitor
from tracklayer.web.console.examples import KEY_FROM_ENVIRONMENT, example_call
from tracklayer.web.console.pages.delivery_rows import row_facts
from tracklayer.web.console.rendering import is_fragment, render

AnyRequest = Request[Any, Any, Any]

SHOWN = 50  # rows of a page
TESTS = {"": "Shown", "no": "Left out", "yes": "Only tests"}
_KEY = re.compile(r"evt_[0-9a-z]{1,40}")


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One destination's part in an event's fate."""

    explanation: Explanation
    is_sending: bool

    @property
    def is_open(self) -> bool:
        """Whether there is something to look at: it took the event, or nearly did."""
        return self.explanation.matched or self.explanation.delivery is not None

    @property
    def reason(self) -> str:
        """Why it went this way. A paused destination is no reason where the filter already says no."""
        told, delivery = self.explanation, self.explanation.delivery
        if delivery is not None:
            if not delivery.attempts:
                return delivery.reason or "not tried yet"
            tried = f"after {delivery.attempts} attempt{'' if delivery.attempts == 1 else 's'}"
            return f"{tried}: {delivery.reason}" if delivery.reason else tried
        refused = [step.reason for step in told.steps if not step.passed and step.step.startswith("filter")]
        return told.reason if told.matched or not refused else refused[0]


class EventsPages(Controller):
    """The list and one event."""

    path = "/events"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(
        self, request: AnyRequest, service: Service, q: str = "", name: str = "", test: str = "", before: str = ""
    ) -> Response[str]:
        """The events that are searched for, newest first. With `id`: the event of that id."""
        if "id" in request.query_params:
            return await _show(request, service, request.query_params["id"])
        if before and not _KEY.fullmatch(before):
            raise NotFound("There is no such page of the events: begin with the newest.")
        found = await service.search.events(
            visitor(request).workspace_id,
            text=q.strip() or None,
            event_name=name.strip() or None,
            test={"yes": True, "no": False}.get(test),
            limit=SHOWN,
            before=before or None,
        )
        asked = {key: value for key, value in (("q", q.strip()), ("name", name.strip()), ("test", test)) if value}
        return render(
            request,
            "events/list.html",
            found=found,
            said=_said(found, q.strip()),
            asked=asked,
            narrowed=urlencode(asked),
            older=urlencode(asked | {"before": found.next}) if found.next else None,
            before=before,
            tests=TESTS,
            happened_at=_happened_at,
            example=_example(request, service),
        )

    @get("/{event_id:path}")
    async def one(self, request: AnyRequest, service: Service) -> Response[str]:
        """One event with its deliveries, and every destination's part in its fate."""
        return await _show(request, service, _exact_id(request))


async def _show(request: AnyRequest, service: Service, event_id: str) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    beside = is_fragment(request) and request.headers.get("hx-target") == "drawer"
    try:
        stored, explanations = await service.explain.event(workspace_id, event_id)
    except NotFound:
        raise NotFound(f"There is no event {event_id[:200]} in this workspace.") from None
    return render(
        request,
        "events/drawer.html" if beside else "events/one.html",
        stored=stored,
        json=event_text(stored),
        happened_at=_happened_at,
        branches=_branches(service, explanations),
        deliveries=await service.history.deliveries_of(stored.pk),
        facts=row_facts(service, workspace_id),
    )


def event_text(stored: StoredEvent) -> str:
    """The canonical event as JSON for reading: numbers digit for digit, characters as they are."""
    return msgspec.json.format(encode_json(event_fields(stored.event)), indent=2).decode()


def _happened_at(event: Event) -> float:
    return parse_rfc3339(event.occurred_at)


def _branches(service: Service, explanations: list[Explanation]) -> list[Branch]:
    """Those that took the event first, then those that wanted it, then the rest; each by name."""

    def rank(branch: Branch) -> tuple[bool, bool, str]:
        told = branch.explanation
        return told.delivery is None, not told.matched, told.destination.plan.config.name.lower()

    return sorted(
        (Branch(explanation=each, is_sending=_sends(service, each.delivery)) for each in explanations), key=rank
    )


def _sends(service: Service, delivery: StoredDelivery | None) -> bool:
    return delivery is not None and service.engine.is_sending(delivery.destination_id, delivery.id)


def _said(found: Found, text: str) -> str:
    """What a search was taken for, in words."""
    return {
        "id": f"The event with the id {text}.",
        "user": f"Events of the user {text}.",
        "name": f"Events with the name {text}. No event has it as its id or its user.",
        None: "",
    }[found.matched]


def _exact_id(request: AnyRequest) -> str:
    """The id as the address has it: routing drops slashes that belong to an id."""
    path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    return unquote(path.removeprefix("/events/"))


def _example(request: AnyRequest, service: Service) -> str | None:
    return example_call(origin_of(request, service.settings), KEY_FROM_ENVIRONMENT, ("events:write",))
