"""`/deliveries`: the log, live; and one delivery: what became of it, why, and what to do."""

from __future__ import annotations

import re
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.response import Stream

from tracklayer.errors import Invalid, NotFound
from tracklayer.service import Service
from tracklayer.store.history import StoredDelivery
from tracklayer.web.console.access import find_visitor, signed_in, visitor
from tracklayer.web.console.pages.delivery_filter import CAUSES, STATES, TESTS, WINDOWS, narrowed
from tracklayer.web.console.pages.delivery_rows import row_facts
from tracklayer.web.console.pages.delivery_story import Sent, shown, tell
from tracklayer.web.console.pages.delivery_stream import open_stream
from tracklayer.web.console.pages.forms import problems_of
from tracklayer.web.console.rendering import count_dead_letters, is_fragment, render, see

AnyRequest = Request[Any, Any, Any]

SHOWN = 50  # rows of a page
MODES = ("rerender", "as_sent")
_ID = re.compile(r"dlv_[0-9a-z]{1,40}")


class DeliveriesPages(Controller):
    """The list, its live tail, and one delivery."""

    path = "/deliveries"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service) -> Response[str]:
        """Every delivery that the filters let through, newest first."""
        workspace_id, asked = visitor(request).workspace_id, narrowed(request.query_params)
        before = request.query_params.get("before") or None
        problems: dict[str, str] = {}
        rows: list[StoredDelivery] = []
        try:
            wanted = asked.wanted(service.clock.now(), service.engine.sending())
            if before is not None and not _ID.fullmatch(before):
                raise NotFound("There is no such page of the deliveries: begin with the newest.")
            rows = await service.history.deliveries(workspace_id, wanted, limit=SHOWN + 1, before=before)
        except Invalid as error:
            problems = problems_of(error)
        return render(
            request,
            "deliveries/list.html",
            status=422 if problems else 200,
            headers=_tidied(request, asked.query(before=before or "")),
            rows=rows[:SHOWN],
            older=asked.query(before=rows[SHOWN - 1].id) if len(rows) > SHOWN else None,
            before=before,
            asked=asked,
            problems=problems,
            facts=row_facts(service, workspace_id),
            choices={"state": STATES, "window": WINDOWS, "test": TESTS, "cause": CAUSES},
        )

    @get("/stream")
    async def stream(self, request: AnyRequest, service: Service) -> Stream:
        """What changes in the list, as server-sent events. 503 where too many watch already."""
        asked = narrowed(request.query_params)
        asked.wanted(service.clock.now(), ())  # what the list would refuse is refused here

        async def may_stay() -> bool:
            return await find_visitor(request) is not None

        messages = await open_stream(
            service.tail, visitor(request).workspace_id, admits=asked.admits, may_stay=may_stay
        )
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Stream(messages, media_type="text/event-stream", headers=headers)

    @get("/{delivery_id:str}")
    async def one(self, request: AnyRequest, service: Service, delivery_id: str, seen: str = "") -> Response[str]:
        """A delivery, beside its list or as a page; nothing where it is as far as whoever follows it has `seen`."""
        return await _show(request, service, delivery_id, seen=seen)

    @get("/{delivery_id:str}/row")
    async def row(
        self, request: AnyRequest, service: Service, delivery_id: str, seen: str | None = None
    ) -> Response[str]:
        """Its row in a list, as it is now; nothing where it is as far as whoever follows it has `seen`."""
        return await _row(request, service, delivery_id, seen=seen)

    @get("/{delivery_id:str}/request")
    async def request_again(
        self, request: AnyRequest, service: Service, delivery_id: str, version: int
    ) -> Response[str]:
        """The request of a delivery rendered once more, by the version that it was sent with."""
        workspace_id = visitor(request).workspace_id
        story = await tell(service, workspace_id, delivery_id)
        again, problem = await _rendered(service, story.delivery, version)
        return render(
            request,
            "deliveries/request.html" if is_fragment(request) else "deliveries/request_page.html",
            story=story,
            version=version,
            again=again,
            problem=problem,
        )

    @post("/{delivery_id:str}/replay", status_code=200)
    async def replay(self, request: AnyRequest, service: Service, delivery_id: str) -> Response[str]:
        """Send a dead letter again."""
        who, form = visitor(request), await request.form()
        mode = str(form.get("mode", "rerender"))
        if mode not in MODES:
            raise Invalid(f"The mode of a replay is {mode[:40]!r}: expected one of {', '.join(MODES)}.")
        as_sent = mode == "as_sent"
        await service.dead_letters.replay(
            who.workspace_id, delivery_id, "as_sent" if as_sent else "rerender", author=who.name
        )
        said = "Replayed as it was sent." if as_sent else "Replayed, rendered anew."
        if form.get("place") == "row" and is_fragment(request):
            return await _row(request, service, delivery_id, seen="" if "follow" in form else None, toast=said)
        return await _changed(request, service, delivery_id, said)

    @post("/{delivery_id:str}/discard", status_code=200)
    async def discard(self, request: AnyRequest, service: Service, delivery_id: str) -> Response[str]:
        """Let a dead letter go; it stays in the log with the reason."""
        who, reason = visitor(request), str((await request.form()).get("reason", ""))
        try:
            await service.dead_letters.discard(who.workspace_id, delivery_id, reason, author=who.name)
        except Invalid as error:
            return await _show(request, service, delivery_id, status=422, problems=problems_of(error))
        return await _changed(request, service, delivery_id, "Discarded. It stays in the log.")


async def _show(
    request: AnyRequest,
    service: Service,
    delivery_id: str,
    *,
    status: int = 200,
    problems: dict[str, str] | None = None,
    toast: str | None = None,
    headers: dict[str, str] | None = None,
    seen: str = "",
) -> Response[str]:
    """The page; for htmx the drawer, or only the story where a form of it was sent."""
    template = "deliveries/one.html"
    if is_fragment(request):
        beside = request.headers.get("hx-target") == "drawer"
        template = "deliveries/drawer.html" if beside else "deliveries/story_fragment.html"
    story = await tell(service, visitor(request).workspace_id, delivery_id)
    if seen and seen == story.mark:
        return Response("", status_code=204)
    return render(request, template, status=status, headers=headers, story=story, problems=problems or {}, toast=toast)


async def _changed(request: AnyRequest, service: Service, delivery_id: str, said: str) -> Response[str]:
    """What stands after a change; every list that shows the delivery is told to get its row anew."""
    if not is_fragment(request):
        return see(request, f"/deliveries/{delivery_id}")
    await count_dead_letters(request)
    headers = {"HX-Trigger": f"changed-{delivery_id}, dead-letters-changed"}
    return await _show(request, service, delivery_id, toast=said, headers=headers)


async def _row(
    request: AnyRequest, service: Service, delivery_id: str, *, seen: str | None = None, toast: str | None = None
) -> Response[str]:
    """A row that hears of changes by its list's live tail; or, with `seen`, one that asks for them itself."""
    workspace_id = visitor(request).workspace_id
    delivery = await service.history.delivery(workspace_id, delivery_id)
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id[:100]} in this workspace.")
    facts = row_facts(service, workspace_id)
    if seen == facts.mark(delivery):
        return Response("", status_code=204)
    if toast is not None:
        await count_dead_letters(request)
    return render(
        request,
        "deliveries/row.html",
        headers={} if toast is None else {"HX-Trigger": "dead-letters-changed"},
        row=delivery,
        facts=facts,
        is_live=seen is None,
        toast=toast,
    )


async def _rendered(service: Service, delivery: StoredDelivery, version: int) -> tuple[Sent | None, str | None]:
    """The request, or why there is none."""
    stored = await service.history.event_of(delivery)
    if stored is None:
        return None, "The event is no longer there."
    try:
        found = await service.rehearsals.preview(
            delivery.workspace_id, delivery.destination_id, stored.event, {}, version
        )
    except (NotFound, Invalid) as error:
        return None, error.detail
    if found.shown is not None:
        return shown(found.shown), None
    refused = found.failure.detail if found.failure else found.filter_reason
    return None, refused or (found.consent.reason if found.consent else None) or "Nothing would be sent."


def _tidied(request: AnyRequest, query: str) -> dict[str, str]:
    """For htmx: the address without the fields that were left empty."""
    if not is_fragment(request) or request.url.query == query:
        return {}
    return {"HX-Push-Url": f"/deliveries?{query}" if query else "/deliveries"}
