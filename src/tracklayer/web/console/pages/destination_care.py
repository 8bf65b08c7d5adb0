"""One destination over time: its versions, its signing secret, its suppressions, its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post

from tracklayer.delivery.sign import hint
from tracklayer.errors import Conflict, Invalid, TrackLayerError, at
from tracklayer.model.duration import parse_duration
from tracklayer.model.event import Json, encode_json
from tracklayer.model.moment import given_moment
from tracklayer.model.records import VersionRecord
from tracklayer.operate.body_diff import line_diff
from tracklayer.operate.draft import config_json
from tracklayer.operate.snippets import snippets
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages.destination_tabs import frame_of
from tracklayer.web.console.pages.forms import id_drawn, problems_of, read_object, version_seen
from tracklayer.web.console.rendering import inside, render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version, and what it changed of the one before; `diff` is empty for the first."""

    record: VersionRecord
    diff: str
    is_current: bool


class DestinationCarePages(Controller):
    """The tabs behind the overview."""

    path = "/settings/destinations/{destination_id:str}"
    guards = (signed_in,)
    include_in_schema = False

    @get("/versions")
    async def versions(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Every version with what it changed."""
        workspace_id = visitor(request).workspace_id
        destination = service.destinations.get(workspace_id, destination_id)
        found = await service.destinations.versions(workspace_id, destination_id)
        return render(
            request,
            "destinations/versions.html",
            **frame_of(service, destination),
            rows=_version_rows(found, destination.record.version),
        )

    @get("/versions/{number:int}")
    async def version(self, request: AnyRequest, service: Service, destination_id: str, number: int) -> Response[str]:
        """What restoring a version would change: its configuration beside today's, and real events under both."""
        workspace_id = visitor(request).workspace_id
        destination = service.destinations.get(workspace_id, destination_id)
        comparison = await service.reviews.compare(workspace_id, destination_id, {}, number)
        proposed = await service.destinations.proposed(workspace_id, destination_id, {}, number)
        return render(
            request,
            "destinations/version.html",
            **frame_of(service, destination),
            number=number,
            proposed=config_json(proposed.plan.config),
            diff=_config_diff(config_json(destination.plan.config), config_json(proposed.plan.config)),
            comparison=comparison,
        )

    @post("/versions/{number:int}/restore", status_code=200)
    async def restore(self, request: AnyRequest, service: Service, destination_id: str, number: int) -> Response[str]:
        """Save an old version as the newest one."""
        who = visitor(request)
        seen = version_seen(await request.form(), "seen")
        await service.destinations.restore(who.workspace_id, destination_id, number, author=who.name, seen=seen)
        return see(request, f"/settings/destinations/{destination_id}/versions")

    @get("/signing")
    async def signing(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """How its requests are signed, and how a receiver verifies them."""
        return _signing(request, service, destination_id)

    @post("/signing/rotate", status_code=200)
    async def rotate(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Sign with a new secret, and with the old one beside it for a while."""
        who = visitor(request)
        form = await request.form()
        try:
            with at("overlap"):
                overlap = parse_duration(str(form.get("overlap", "24h")))
            rotated = await service.destinations.rotate_secret(
                who.workspace_id,
                destination_id,
                secret=str(form.get("secret", "")).strip() or None,
                overlap=overlap,
                author=who.name,
                seen=str(form.get("seen", "")) or None,
            )
        except (Invalid, Conflict) as error:
            return _signing(request, service, destination_id, problem=error, given=form)
        return _signing(request, service, destination_id, generated=rotated.generated, rotated=True)

    @get("/suppressions")
    async def suppressions(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """What is kept from it."""
        return _suppressions(request, service, destination_id)

    @post("/suppressions", status_code=200)
    async def suppress(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Keep events from it, with a reason."""
        who = visitor(request)
        form = await request.form()
        try:
            with at("filter"):
                event_filter = read_object(
                    str(form.get("filter", "")), 'a filter is an object, such as {"event_name": ["purchase"]}'
                )
            await service.destinations.suppress(
                who.workspace_id,
                destination_id,
                event_filter=event_filter,
                reason=str(form.get("reason", "")),
                until=_until(str(form.get("until", "")), service.clock.now()),
                author=who.name,
                suppression_id=id_drawn(form, "sup"),
            )
        except (Invalid, Conflict) as error:
            return _suppressions(request, service, destination_id, problem=error, given=form)
        standing = f"/settings/destinations/{destination_id}/suppressions"
        return see(request, inside(str(form.get("return", "")), standing))

    @post("/suppressions/{suppression_id:str}/lift", status_code=200)
    async def lift(
        self, request: AnyRequest, service: Service, destination_id: str, suppression_id: str
    ) -> Response[str]:
        """End a suppression."""
        who = visitor(request)
        await service.destinations.lift(who.workspace_id, destination_id, suppression_id, author=who.name)
        return see(request, f"/settings/destinations/{destination_id}/suppressions")

    @get("/settings")
    async def settings(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Its name in the API, and its end."""
        return await _settings(request, service, destination_id)

    @post("/delete", status_code=200)
    async def remove(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """Delete it, once its name is typed."""
        who = visitor(request)
        form = await request.form()
        name = service.destinations.get(who.workspace_id, destination_id).plan.config.name
        if str(form.get("name", "")).strip() != name.strip():
            return await _settings(request, service, destination_id, status=422, problem=f"Type {name} to delete it.")
        try:
            await service.destinations.delete(
                who.workspace_id, destination_id, discard=form.get("discard") == "yes", seen=None, author=who.name
            )
        except Conflict as error:
            if error.code != "deliveries_waiting":
                raise
            problem = "Deliveries wait for it: say above that they are to be discarded, or deliver them first."
            return await _settings(request, service, destination_id, status=409, problem=problem)
        return see(request, "/settings/destinations")


def _version_rows(found: Sequence[VersionRecord], current: int) -> list[VersionRow]:
    before = {each.version + 1: each for each in found}
    return [
        VersionRow(
            record=each,
            diff=_config_diff(config_json(before[each.version].config), config_json(each.config))
            if each.version in before
            else "",
            is_current=each.version == current,
        )
        for each in found
    ]


def _config_diff(old: dict[str, Json], new: dict[str, Json]) -> str:
    """A unified diff of two configurations as people read them: the template line by line, the rest as JSON."""
    return line_diff(_config_lines(old), _config_lines(new), names=("before", "after"))


def _config_lines(config: dict[str, Json]) -> list[str]:
    template = config.get("template")
    rest = {name: value for name, value in config.items() if name != "template"}
    lines = msgspec.json.format(encode_json(rest), indent=2).decode().splitlines()
    return [*lines, *([] if template is None else ["template:", *str(template).splitlines()])]


def _signing(
    request: AnyRequest,
    service: Service,
    destination_id: str,
    *,
    problem: TrackLayerError | None = None,
    given: Any = None,
    generated: str | None = None,
    rotated: bool = False,
) -> Response[str]:
    destination = service.destinations.get(visitor(request).workspace_id, destination_id)
    signing = destination.plan.config.signing
    until = destination.record.previous_until
    now = service.clock.now()
    return render(
        request,
        "destinations/signing.html",
        status=status_of(problem) if problem else 200,
        **frame_of(service, destination),
        scheme=signing.scheme if signing else None,
        hint=hint(destination.signing_secret or ""),
        previous_until=until if until is not None and now < until else None,
        snippets=snippets(signing.scheme, destination.plan.config.name) if signing else {},
        problems=problems_of(problem),
        given=given or {},
        generated=generated,
        rotated=rotated,
    )


def _suppressions(
    request: AnyRequest,
    service: Service,
    destination_id: str,
    *,
    problem: TrackLayerError | None = None,
    given: Any = None,
) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    destination = service.destinations.get(workspace_id, destination_id)
    return render(
        request,
        "destinations/suppressions.html",
        status=status_of(problem) if problem else 200,
        **frame_of(service, destination),
        suppressions=service.destinations.suppressions(workspace_id, destination_id),
        new_id=service.ids.new("sup"),
        problems=problems_of(problem),
        given=given or {},
    )


async def _settings(
    request: AnyRequest, service: Service, destination_id: str, *, status: int = 200, problem: str | None = None
) -> Response[str]:
    workspace_id = visitor(request).workspace_id
    destination = service.destinations.get(workspace_id, destination_id)
    health = (await service.health.overview(workspace_id, [destination_id]))[destination_id]
    return render(
        request,
        "destinations/settings.html",
        status=status,
        **frame_of(service, destination, health),
        problem=problem,
        as_json=config_json(destination.plan.config),
    )


def _until(text: str, now: float) -> float | None:
    """When a suppression ends: a duration from now, a moment, or nothing for "until it is lifted"."""
    given = text.strip()
    if not given:
        return None
    with at("until"):
        try:
            return now + parse_duration(given)
        except Invalid:
            try:
                return given_moment(given)
            except ValueError as error:
                raise Invalid(f"{given!r} is no time: expected 2h, 7d, or 2026-05-05T10:30:00Z", pointer="") from error
