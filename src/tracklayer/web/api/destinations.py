"""`/v1/destinations`: configuring, versions, pausing, rotating, suppressing, and trying out."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response
from msgspec import UnsetType

from tracklayer.catalog import Destination
from tracklayer.errors import Invalid, NotFound, at
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.duration import parse_duration
from tracklayer.model.event import Event, Json
from tracklayer.model.moment import rfc3339
from tracklayer.model.records import ApiKey
from tracklayer.operate.draft import Change, DestinationDraft, SigningDraft, signing_warnings
from tracklayer.operate.review import Comparison
from tracklayer.service import Service
from tracklayer.web.api.parameters import PAGE, Cursor, IfMatch, Limit, read_cursor, read_if_match, read_moment
from tracklayer.web.api.rehearsal import RehearsalView, preview_view, test_view
from tracklayer.web.api.views import (
    DestinationView,
    Page,
    SuppressionView,
    VersionView,
    destination_view,
    page,
    suppression_view,
    version_view,
)
from tracklayer.web.auth import caller, demand, may, requires
from tracklayer.web.exchange import ApiRequest, ApiResponse

READ = [requires("destinations:read")]
WRITE = [requires("destinations:write")]


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret` absent: a new one is made, and shown in this answer only."""

    secret: str | None = None
    overlap: str | int | float = "24h"


class RotationAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The destination after a rotation."""

    id: str
    version: int
    signing: dict[str, Any] | None
    previous_until: str | None = None
    secret: str | None = None


class SuppressionDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events to keep back (absent: all), why, and until when (absent: until it is lifted)."""

    reason: str
    filter: dict[str, Json] | None = None
    until: str | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`event` absent: the synthetic one."""

    event: dict[str, Json] | None = None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a save would do."""

    changed: bool
    changes: list[Change]


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A destination that is gone, and how many waiting deliveries went with it."""

    id: str
    discarded: int


class DestinationsController(Controller):
    """Destinations."""

    path = "/v1/destinations"
    tags = ("destinations",)

    @get("/", guards=READ)
    async def all(
        self,
        request: ApiRequest,
        service: Service,
        limit: Limit = PAGE,
        cursor: Cursor = None,
        name: str | None = None,
    ) -> Page[DestinationView]:
        """Destinations, newest first; `name` finds by the exact name."""
        before = read_cursor(cursor, "dst_")
        found = [
            each
            for each in reversed(service.destinations.all(caller(request.scope).workspace_id))
            if (before is None or each.id < before) and (name is None or each.plan.config.name == name)
        ]
        now = service.clock.now()
        rows = [destination_view(each, now) for each in found[: limit + 1]]
        return page(rows, [row.id for row in rows], limit)

    @post("/", guards=WRITE, responses={200: ResponseSpec(Planned, description="A dry run.", generate_examples=False)})
    async def create(
        self, request: ApiRequest, service: Service, data: DestinationDraft, dry_run: bool = False
    ) -> Response[DestinationView | Planned]:
        """Save a new destination; `?dry_run=true` only checks it."""
        key = caller(request.scope)
        if dry_run:
            service.destinations.checked(data)
            return ApiResponse(Planned(changed=True, changes=[]), status_code=200)
        created = await service.destinations.create(key.workspace_id, data, author=key.name)
        return await _answer(created, key, service, status=201, signing=data.signing)

    @get("/{destination_id:str}", guards=READ)
    async def one(self, request: ApiRequest, service: Service, destination_id: str) -> Response[DestinationView]:
        """One destination."""
        key = caller(request.scope)
        found = service.destinations.get(key.workspace_id, destination_id)
        return await _answer(found, key, service)

    @put("/{destination_id:str}", guards=WRITE)
    async def replace(
        self,
        request: ApiRequest,
        service: Service,
        destination_id: str,
        data: DestinationDraft,
        if_match: IfMatch = None,
        dry_run: bool = False,
    ) -> Response[DestinationView | Planned]:
        """Save a new version; absent fields get their defaults, an absent `signing` stays as it is."""
        key, seen = caller(request.scope), read_if_match(if_match)
        destinations = service.destinations
        if dry_run:
            return _planned(destinations.planned(key.workspace_id, destination_id, data, seen=seen))
        saved = await destinations.replace(key.workspace_id, destination_id, data, author=key.name, seen=seen)
        return await _answer(saved, key, service, signing=data.signing)

    @patch("/{destination_id:str}", guards=WRITE)
    async def merge(
        self,
        request: ApiRequest,
        service: Service,
        destination_id: str,
        data: dict[str, Any],
        if_match: IfMatch = None,
        dry_run: bool = False,
    ) -> Response[DestinationView | Planned]:
        """Save a new version with some fields changed: a JSON Merge Patch (RFC 7396)."""
        key, seen = caller(request.scope), read_if_match(if_match)
        destinations = service.destinations
        draft = destinations.merged(key.workspace_id, destination_id, data)
        if dry_run:
            return _planned(destinations.planned(key.workspace_id, destination_id, draft, seen=seen))
        saved = await destinations.patch(key.workspace_id, destination_id, data, author=key.name, seen=seen)
        return await _answer(saved, key, service, signing=None if data.get("signing") is None else draft.signing)

    @delete("/{destination_id:str}", guards=WRITE, status_code=200)
    async def remove(
        self,
        request: ApiRequest,
        service: Service,
        destination_id: str,
        if_match: IfMatch = None,
        deliveries: Literal["keep", "discard"] = "keep",
    ) -> Deleted:
        """Delete; refused while deliveries wait, unless `?deliveries=discard`."""
        key = caller(request.scope)
        discarded = await service.destinations.delete(
            key.workspace_id,
            destination_id,
            discard=deliveries == "discard",
            seen=read_if_match(if_match),
            author=key.name,
        )
        return Deleted(id=destination_id, discarded=discarded)

    @get("/{destination_id:str}/versions", guards=READ)
    async def versions(
        self,
        request: ApiRequest,
        service: Service,
        destination_id: str,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Page[VersionView]:
        """Every version, newest first."""
        before = _version_of(cursor)
        found = await service.destinations.versions(caller(request.scope).workspace_id, destination_id)
        earlier = {each.version + 1: each for each in found}
        wanted = [each for each in found if before is None or each.version < before][: limit + 1]
        views = [version_view(each, earlier.get(each.version)) for each in wanted]
        return page(views, [f"ver_{each.version}" for each in wanted], limit)

    @post("/{destination_id:str}/versions/{number:int}/restore", guards=WRITE, status_code=200)
    async def restore(
        self, request: ApiRequest, service: Service, destination_id: str, number: int, if_match: IfMatch = None
    ) -> Response[DestinationView]:
        """Save an old version's configuration as the newest one."""
        key = caller(request.scope)
        restored = await service.destinations.restore(
            key.workspace_id, destination_id, number, author=key.name, seen=read_if_match(if_match)
        )
        return await _answer(restored, key, service)

    @post("/{destination_id:str}/pause", guards=WRITE, status_code=200)
    async def pause(self, request: ApiRequest, service: Service, destination_id: str) -> Response[DestinationView]:
        """Let its deliveries wait."""
        return await _set_status(request, service, destination_id, DestinationStatus.PAUSED)

    @post("/{destination_id:str}/resume", guards=WRITE, status_code=200)
    async def resume(self, request: ApiRequest, service: Service, destination_id: str) -> Response[DestinationView]:
        """Let its deliveries flow; this is also how a draft goes live."""
        return await _set_status(request, service, destination_id, DestinationStatus.ACTIVE)

    @post("/{destination_id:str}/rotate-secret", guards=WRITE, status_code=200)
    async def rotate(
        self, request: ApiRequest, service: Service, destination_id: str, data: Rotation | None = None
    ) -> RotationAnswer:
        """Sign with a new secret at once, and with the old one beside it until the overlap ends."""
        rotation = data or Rotation()
        with at("overlap"):
            overlap = parse_duration(rotation.overlap)
        key = caller(request.scope)
        rotated = await service.destinations.rotate_secret(
            key.workspace_id, destination_id, secret=rotation.secret, overlap=overlap, author=key.name
        )
        until = rotated.destination.record.previous_until
        return RotationAnswer(
            id=destination_id,
            version=rotated.destination.record.version,
            signing=destination_view(rotated.destination, service.clock.now()).signing,
            previous_until=None if until is None else rfc3339(until),
            secret=rotated.generated,
        )

    @get("/{destination_id:str}/suppressions", guards=READ)
    async def suppressions(self, request: ApiRequest, service: Service, destination_id: str) -> Page[SuppressionView]:
        """What an operator keeps from this destination."""
        found = service.destinations.suppressions(caller(request.scope).workspace_id, destination_id)
        return Page(data=[suppression_view(each) for each in found])

    @post("/{destination_id:str}/suppressions", guards=WRITE)
    async def suppress(
        self, request: ApiRequest, service: Service, destination_id: str, data: SuppressionDraft
    ) -> SuppressionView:
        """Keep events from this destination, with a reason."""
        key = caller(request.scope)
        suppression = await service.destinations.suppress(
            key.workspace_id,
            destination_id,
            event_filter=data.filter or {},
            reason=data.reason,
            until=read_moment(data.until, "until"),
            author=key.name,
        )
        return suppression_view(suppression)

    @delete("/{destination_id:str}/suppressions/{suppression_id:str}", guards=WRITE)
    async def lift(self, request: ApiRequest, service: Service, destination_id: str, suppression_id: str) -> None:
        """End a suppression."""
        key = caller(request.scope)
        await service.destinations.lift(key.workspace_id, destination_id, suppression_id, author=key.name)

    @post("/{destination_id:str}/preview", guards=READ, status_code=200)
    async def preview(
        self, request: ApiRequest, service: Service, destination_id: str, data: dict[str, Any] | None = None
    ) -> RehearsalView:
        """Render without sending, for `event`, a stored one (`event_id`) or the synthetic one.

        `version` renders as that version did; any other field overrides the configuration for this once, which needs
        the scope `destinations:write`: whoever chooses a template can ask it what a secret is. An event needs
        `events:read`, too, for what is known of its user is shown. The signature is shown to who may change the
        destination: with it anybody could send what a receiver takes for ours.
        """
        key = caller(request.scope)
        workspace_id = key.workspace_id
        overrides = dict(data or {})
        event, event_id = _event(overrides.pop("event", None)), overrides.pop("event_id", None)
        version = _whole(overrides.pop("version", None))
        if event is not None and event_id is not None:
            raise Invalid("give an event or an event_id, not both", code="ambiguous", pointer="/event_id")
        if event is not None or event_id is not None:
            demand(key, "events:read")
        if overrides:
            demand(key, "destinations:write")
        wanted = await service.rehearsals.event(workspace_id, event) if event is not None else None
        if event_id is not None:
            wanted = await _stored(service, workspace_id, event_id)
        rehearsal = await service.rehearsals.preview(workspace_id, destination_id, wanted, overrides, version)
        return preview_view(rehearsal, signed=may(key, "destinations:write"))

    @post("/{destination_id:str}/compare", guards=READ, status_code=200)
    async def compare(
        self, request: ApiRequest, service: Service, destination_id: str, data: dict[str, Any]
    ) -> Comparison:
        """What a save of these fields, or restoring `version`, would do to the newest 100 events that match, which
        are shown: it needs the scope `events:read`, too, and for fields `destinations:write`."""
        key = caller(request.scope)
        demand(key, "events:read")
        overrides = dict(data)
        version = _whole(overrides.pop("version", None))
        if overrides:
            demand(key, "destinations:write")
        return await service.reviews.compare(key.workspace_id, destination_id, overrides, version)

    @post("/{destination_id:str}/test", guards=WRITE, status_code=200)
    async def test(
        self, request: ApiRequest, service: Service, destination_id: str, data: Trial | None = None
    ) -> RehearsalView:
        """Send the synthetic event, or the caller's, through the real path."""
        event = data.event if data else None
        rehearsal = await service.rehearsals.test(caller(request.scope).workspace_id, destination_id, event)
        return test_view(rehearsal)


async def _answer(
    destination: Destination,
    key: ApiKey,
    service: Service,
    status: int = 200,
    signing: SigningDraft | UnsetType | None = None,
) -> Response[Any]:
    """`signing` is what the caller gave, where this answers a save."""
    recent = await service.reviews.warnings(destination, quoting=may(key, "events:read"))
    warnings = [*signing_warnings(signing), *recent]
    view = destination_view(destination, service.clock.now(), warnings)
    etag = f'"{destination.record.version}"'
    return ApiResponse(view, status_code=status, headers={"ETag": etag})


def _planned(changes: list[Change]) -> Response[Any]:
    return ApiResponse(Planned(changed=bool(changes), changes=changes))


async def _set_status(
    request: ApiRequest, service: Service, destination_id: str, status: DestinationStatus
) -> Response[Any]:
    key = caller(request.scope)
    changed = await service.destinations.set_status(key.workspace_id, destination_id, status, author=key.name)
    return await _answer(changed, key, service)


def _version_of(cursor: str | None) -> int | None:
    key = read_cursor(cursor, "ver_")
    if key is None:
        return None
    number = key.removeprefix("ver_")
    return int(number) if number.isdecimal() else 0


def _whole(value: Json) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Invalid("the version must be a whole number", code="wrong_type", pointer="/version")
    return value


async def _stored(service: Service, workspace_id: str, event_id: Json) -> Event:
    found = await service.history.event(workspace_id, event_id) if isinstance(event_id, str) else None
    if found is None:
        raise NotFound(f"there is no event {event_id!r} in this workspace", pointer="/event_id")
    return found.event


def _event(value: Json) -> dict[str, Json] | None:
    if value is not None and not isinstance(value, dict):
        raise Invalid("the event must be a JSON object", code="wrong_type", pointer="/event")
    return value
