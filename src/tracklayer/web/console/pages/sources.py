"""`/settings/sources`: where events come from, and who may send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Conflict, Invalid, TrackLayerError
from tracklayer.model.event import Json
from tracklayer.operate.source_counting import DAY
from tracklayer.operate.sources import Source
from tracklayer.service import Service
from tracklayer.store.sources import Status
from tracklayer.web.console.access import origin_of, signed_in, visitor
from tracklayer.web.console.examples import KEY_FROM_ENVIRONMENT, example_call
from tracklayer.web.console.pages.forms import id_drawn, problems_of
from tracklayer.web.console.rendering import render, see
from tracklayer.web.console.sender_setup import TYPES, address_of, lines_of, steps_of
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]
Sums = Mapping[Status, int]

WEEK = 7  # days, today among them


class Row(NamedTuple):
    """A source in the list."""

    source: Source
    address: str
    today: Sums
    week: Sums


class SourcePages(Controller):
    """The native API and every source."""

    path = "/settings/sources"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service) -> Response[str]:
        """What came in, how to send, and a form for one more source."""
        return await _list(request, service)

    @post("/", status_code=200)
    async def create(self, request: AnyRequest, service: Service) -> Response[str]:
        """Make a source; this answer alone shows its key."""
        who, form = visitor(request), await _fields(request)
        secret = form.get("secret", "").strip()
        settings: dict[str, Json] = {"secret": secret} if secret else {}
        try:
            source, key = await service.sources.create(
                who.workspace_id,
                type=form.get("type", ""),
                name=form.get("name", ""),
                settings=settings,
                author=who.name,
                source_id=id_drawn(form, "src"),
            )
        except (Invalid, Conflict) as error:
            return await _list(request, service, error=error, typed=form)
        return await _show(request, service, source.id, key=key, is_new=True)

    @get("/{source_id:str}")
    async def one(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """One source: what came, how its sender is set up, its settings."""
        return await _show(request, service, source_id)

    @post("/{source_id:str}", status_code=200)
    async def change(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """Save its name and settings."""
        who, form = visitor(request), await _fields(request)
        try:
            source = service.sources.get(who.workspace_id, source_id)
            await service.sources.change(
                who.workspace_id,
                source_id,
                name=form.get("name", ""),
                settings=_settings(source, form),
                author=who.name,
            )
        except Invalid as error:
            return await _show(request, service, source_id, error=error, typed=form)
        return see(request, f"/settings/sources/{source_id}?saved=settings#settings")

    @post("/{source_id:str}/enable", status_code=200)
    async def enable(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """Let it send again."""
        who = visitor(request)
        await service.sources.change(who.workspace_id, source_id, enabled=True, author=who.name)
        return see(request, f"/settings/sources/{source_id}")

    @post("/{source_id:str}/disable", status_code=200)
    async def disable(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """Refuse what it sends."""
        who = visitor(request)
        await service.sources.change(who.workspace_id, source_id, enabled=False, author=who.name)
        return see(request, f"/settings/sources/{source_id}")

    @post("/{source_id:str}/rotate-key", status_code=200)
    async def rotate(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """Replace its key or secret; this answer alone shows one that is made here."""
        who, form = visitor(request), await _fields(request)
        secret = form.get("secret", "").strip() or None
        try:
            source, key = await service.sources.rotate(
                who.workspace_id, source_id, secret=secret, seen=form.get("seen") or None, author=who.name
            )
        except (Invalid, Conflict) as error:
            return await _show(request, service, source_id, error=error)
        if key is None:
            return see(request, f"/settings/sources/{source.id}?saved=secret#secret-form")
        return await _show(request, service, source.id, key=key)

    @post("/{source_id:str}/delete", status_code=200)
    async def remove(self, request: AnyRequest, service: Service, source_id: str) -> Response[str]:
        """Delete it, once its name is typed."""
        who, form = visitor(request), await _fields(request)
        name = service.sources.get(who.workspace_id, source_id).record.name
        if form.get("typed_name", "").strip() != name:
            wrong = Invalid(f"type {name} to delete it", code="not_confirmed", pointer="/typed_name")
            return await _show(request, service, source_id, error=wrong)
        await service.sources.remove(who.workspace_id, source_id, author=who.name)
        return see(request, "/settings/sources")


async def _list(
    request: AnyRequest,
    service: Service,
    *,
    error: TrackLayerError | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response[str]:
    origin = origin_of(request, service.settings)
    return render(
        request,
        "settings/sources.html",
        status=status_of(error) if error else 200,
        origin=origin,
        example=example_call(origin, KEY_FROM_ENVIRONMENT, ("events:write",)),
        counts=service.metrics.events,
        started_at=service.started_at,
        settings=service.settings,
        rows=await _rows(request, service, service.sources.all(visitor(request).workspace_id)),
        types=TYPES,
        typed=typed or {},
        new_id=service.ids.new("src"),
        problems=problems_of(error),
    )


async def _show(
    request: AnyRequest,
    service: Service,
    source_id: str,
    *,
    key: str | None = None,
    is_new: bool = False,
    error: TrackLayerError | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response[str]:
    """One source's page; `key` was just made, `typed` is what could not be saved."""
    source = service.sources.get(visitor(request).workspace_id, source_id)
    (row,) = await _rows(request, service, [source])
    return render(
        request,
        "settings/source.html",
        status=status_of(error) if error else 200,
        row=row,
        source=source.record,
        kind=TYPES[source.record.type],
        key=key,
        is_new=is_new,
        lines=lines_of(source, origin_of(request, service.settings), key),
        steps=steps_of(source),
        typed=_typed(source) | dict(typed or {}),
        problems=problems_of(error),
        saved=request.query_params.get("saved"),
    )


async def _rows(request: AnyRequest, service: Service, sources: list[Source]) -> list[Row]:
    origin, today = origin_of(request, service.settings), int(service.clock.now() // DAY)
    counts = await service.sources.counts(sources)
    return [
        Row(
            source,
            address_of(source, origin),
            _sums(counts[source.id], since=today),
            _sums(counts[source.id], since=today - WEEK + 1),
        )
        for source in sources
    ]


def _sums(days: Mapping[int, Sums], *, since: int) -> Sums:
    recent = [of_day for day, of_day in days.items() if day >= since]
    statuses: tuple[Status, ...] = ("accepted", "duplicate", "rejected")
    return {status: sum(of_day[status] for of_day in recent) for status in statuses}


async def _fields(request: AnyRequest) -> dict[str, str]:
    """What was typed; a file, which no form of ours has, counts as nothing."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _typed(source: Source) -> dict[str, str]:
    """The settings as their form shows them."""
    settings = source.record.settings
    topics = settings.get("topics")
    lines = [f"{topic} = {name}" for topic, name in topics.items()] if isinstance(topics, dict) else []
    return {
        "name": source.record.name,
        "platform": str(settings.get("platform") or ""),
        "topics": "\n".join(lines),
    }


def _settings(source: Source, form: Mapping[str, str]) -> dict[str, Json]:
    """What the form makes of the settings. Raises `Invalid` for a line that says no topic."""
    if source.record.type != "shopify":
        platform = form.get("platform", "").strip()
        return {"platform": platform} if platform else {}
    topics: dict[str, Json] = {}
    for line in filter(None, map(str.strip, form.get("topics", "").splitlines())):
        topic, equals, name = line.partition("=")
        if not equals:
            raise Invalid(
                f"{line[:80]!r} names no event: expected such as orders/paid = purchase",
                code="invalid_settings",
                pointer="/settings",
            )
        topics[topic.strip()] = name.strip()
    return {"topics": topics} if topics else {}
