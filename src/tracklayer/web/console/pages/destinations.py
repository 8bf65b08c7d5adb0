"""`/settings/destinations`: all receivers at a glance, and one of them: how it does."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get, post

from tracklayer.catalog import Destination
from tracklayer.model.destination import DestinationStatus
from tracklayer.operate.health import OutcomeClass, Series, Window
from tracklayer.presets import presets
from tracklayer.service import Service
from tracklayer.store.history import DeliveryFilter
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages.dead_letter_groups import groups_of
from tracklayer.web.console.pages.delivery_rows import row_facts
from tracklayer.web.console.pages.destination_tabs import frame_of
from tracklayer.web.console.rendering import is_fragment, render, see

AnyRequest = Request[Any, Any, Any]

SHOWN = 50  # rows of the tabs that show a part of a list
PAGE = 100  # destinations on one page


class DestinationsPages(Controller):
    """The list and the overview."""

    path = "/settings/destinations"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(
        self, request: AnyRequest, service: Service, q: str = "", status: str = "", after: int = 0
    ) -> Response[str]:
        """Every destination with its health; `q` looks into names, URLs and event names."""
        workspace_id = visitor(request).workspace_id
        every = service.destinations.all(workspace_id)
        found = [each for each in reversed(every) if _wanted(each, q, status)]
        shown = found[max(after, 0) : max(after, 0) + PAGE]
        health = await service.health.overview(workspace_id, [each.id for each in shown])
        return render(
            request,
            "destinations/list.html",
            total=len(every),
            found=len(found),
            after=after,
            page_size=PAGE,
            destinations=shown,
            health=health,
            q=q,
            chosen_status=status,
            presets=presets(),
            now=service.clock.now(),
        )

    @post("/{destination_id:str}/pause", status_code=200)
    async def pause(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Let its deliveries wait."""
        return await _turned(request, service, destination_id, DestinationStatus.PAUSED)

    @post("/{destination_id:str}/resume", status_code=200)
    async def resume(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Let them flow again."""
        return await _turned(request, service, destination_id, DestinationStatus.ACTIVE)

    @get("/{destination_id:str}")
    async def overview(
        self, request: AnyRequest, service: Service, destination_id: str, window: Window = "24h"
    ) -> Response[str]:
        """How it does: rate, latency, outcomes; what it is set to; what to know."""
        workspace_id = visitor(request).workspace_id
        destination = service.destinations.get(workspace_id, destination_id)
        health = await service.health.overview(workspace_id, [destination_id])
        series = await service.health.series(workspace_id, destination_id, window)
        return render(
            request,
            "destinations/overview.html",
            **frame_of(service, destination, health[destination_id]),
            window=window,
            series=series,
            outcomes=_outcome_lines(series),
            warnings=await service.reviews.warnings(destination),
        )

    @get("/{destination_id:str}/deliveries")
    async def deliveries(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Its newest deliveries."""
        return await _rows(request, service, destination_id, "deliveries")

    @get("/{destination_id:str}/dead-letters")
    async def dead_letters(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Its dead letters, by cause and newest first."""
        return await _rows(request, service, destination_id, "dead_letters")


_COLOURS: dict[OutcomeClass, str] = {
    "delivered": "--delivered",
    "4xx": "--dead",
    "429": "--retrying",
    "5xx": "--chart-2",
    "timeout": "--chart-3",
    "connection": "--pending",
    "unsendable": "--muted",
    "other": "--line-strong",
    "suppressed": "--suppressed",
}


def _outcome_lines(series: Series) -> list[tuple[str, str, tuple[int, ...]]]:
    """The classes that occur, each with its colour; `delivered` always."""
    return [
        (name, _COLOURS[name], values) for name, values in series.outcomes.items() if name == "delivered" or any(values)
    ]


def _wanted(destination: Destination, q: str, status: str) -> bool:
    config = destination.plan.config
    if status and destination.record.status.value != status:
        return False
    names = config.filter.get("event_name", [])
    told = [config.name, config.transport.url, destination.id, *(names if isinstance(names, list) else [str(names)])]
    return q.strip().lower() in " ".join(map(str, told)).lower()


async def _turned(
    request: AnyRequest, service: Service, destination_id: str, status: DestinationStatus
) -> Response[str]:
    who = visitor(request)
    destination = await service.destinations.set_status(who.workspace_id, destination_id, status, author=who.name)
    if not is_fragment(request):
        return see(request, f"/settings/destinations/{destination_id}")
    health = await service.health.overview(who.workspace_id, [destination_id])
    return render(
        request,
        "destinations/row_fragment.html",
        destination=destination,
        health=health[destination_id],
        now=service.clock.now(),
    )


async def _rows(request: AnyRequest, service: Service, destination_id: str, tab: str) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    wanted = DeliveryFilter(destination_id=destination_id)
    destination = service.destinations.get(workspace_id, destination_id)
    health = await service.health.overview(workspace_id, [destination_id])
    if tab == "deliveries":
        rows = await service.history.deliveries(workspace_id, wanted, limit=SHOWN)
        groups = []
    else:
        rows = await service.dead_letters.page(workspace_id, wanted, limit=SHOWN, before=None)
        groups = await groups_of(service, workspace_id, await service.dead_letters.causes(workspace_id, wanted))
    return render(
        request,
        f"destinations/{tab}.html",
        **frame_of(service, destination, health[destination_id]),
        rows=rows,
        groups=groups,
        shown=SHOWN,
        facts=row_facts(service, workspace_id),
    )
