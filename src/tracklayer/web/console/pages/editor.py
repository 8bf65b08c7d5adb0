"""`/settings/destinations/new` and `/{id}/edit`: the guide's five steps, and beside them what becomes of an event."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import FormMultiDict

from tracklayer.delivery.limits import PROFILES
from tracklayer.delivery.sign import hint
from tracklayer.errors import Invalid, NotFound, PreconditionFailed
from tracklayer.model.destination import DestinationConfig, Transport
from tracklayer.model.event import encode_json
from tracklayer.operate.draft import draft_config, read_draft
from tracklayer.operate.rehearsal import SYNTHETIC_EVENT
from tracklayer.presets import Preset, presets
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages import editor_actions as actions
from tracklayer.web.console.pages.editor_actions import Refused
from tracklayer.web.console.pages.editor_form import STEPS, Problem, Values, posted, step_of, values_of
from tracklayer.web.console.pages.editor_preview import (
    NOWHERE,
    Desk,
    Sample,
    indented,
    last_version,
    look,
    missing_marks,
    problem_marks,
    problem_texts,
    samples,
)
from tracklayer.web.console.pages.forms import read_json, version_seen
from tracklayer.web.console.pages.rehearsal_test import has_passed_test, outcome
from tracklayer.web.console.rendering import inside, is_fragment, render, see
from tracklayer.web.console.words import pretty

AnyRequest = Request[Any, Any, Any]

BLANK = values_of(DestinationConfig(name="", transport=Transport(url="")))
TITLES = {
    "transport": "Transport",
    "filter": "Event filter",
    "template": "Payload template",
    "retry": "Retry policy",
    "test": "Synthetic test",
}


class Edited(NamedTuple):
    """A form as it was sent: what is in it, and what goes along with it."""

    values: Values
    sample: Sample
    seen: int | None  # the version that the form was made from
    back: str  # where to go after saving; empty: stay
    preset: str
    step: str  # the one that is open


class EditorPages(Controller):
    """Making and changing destinations."""

    include_in_schema = False
    path = "/settings/destinations"
    guards = [signed_in]  # noqa: RUF012 (a list, as the framework's own class has it)

    @get("/new")
    async def new(self, request: AnyRequest, service: Service, preset: str = "") -> Response[str]:
        """The presets to choose from; or, with one chosen, the five steps."""
        if not preset:
            return render(request, "editor/choose.html", presets=presets(), back=_back(request))
        values = BLANK
        if preset != "blank":
            given = read_draft(encode_json(_preset(preset).destination))
            values = values_of(draft_config(given, signed=False))
        edited = Edited(values, Sample("synthetic", ""), None, _back(request), preset, "transport")
        return await _show(request, _desk(request, service), edited)

    @get("/{destination_id:str}/edit")
    async def edit(
        self, request: AnyRequest, service: Service, destination_id: str, event: str = "", saved: str = ""
    ) -> Response[str]:
        """The five steps of a destination that stands."""
        desk = _desk(request, service, destination_id)
        standing = _standing(desk)
        sample = Sample(f"event:{event}" if event else "synthetic", "")
        values = values_of(standing.plan.config)
        edited = Edited(values, sample, standing.record.version, _back(request), "", "transport")
        return await _show(request, desk, edited, saved=saved == str(standing.record.version))

    @post("/new", status_code=200)
    async def create(self, request: AnyRequest, service: Service) -> Response[str]:
        """What a button asks for a new destination."""
        return await _act(request, _desk(request, service))

    @post("/{destination_id:str}/edit", status_code=200)
    async def change(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """What a button asks for one that stands."""
        return await _act(request, _desk(request, service, destination_id))

    @post("/new/look", status_code=200)
    async def look_at_new(self, request: AnyRequest, service: Service) -> Response[str]:
        """What becomes of the event, with every keystroke."""
        return await _look(request, _desk(request, service))

    @post("/{destination_id:str}/edit/look", status_code=200)
    async def look_at_edited(self, request: AnyRequest, service: Service, destination_id: str) -> Response[str]:
        """What becomes of the event, with every keystroke."""
        return await _look(request, _desk(request, service, destination_id))

    @post("/new/matches", status_code=200)
    async def matches(self, request: AnyRequest, service: Service) -> Response[str]:
        """How many of the newest events the filter lets through."""
        text = str((await request.form()).get("filter", "")).strip()
        try:
            wanted = read_json(text) if text else {}
            found = await service.recent.matches(visitor(request).workspace_id, wanted)
        except (Invalid, ValueError):
            found = None  # what is wrong stands at the field
        return render(request, "editor/matches.html", matches=found)

    @get("/new/paths")
    async def paths(self, request: AnyRequest, service: Service) -> Response[bytes]:
        """What the editor completes: the paths of real events, and the secrets by name."""
        workspace_id = visitor(request).workspace_id
        fields = msgspec.to_builtins(await service.recent.paths(workspace_id))
        secrets = [{"path": f"secrets.{each.name}", "kind": "secret"} for each in service.secrets.all(workspace_id)]
        return Response(encode_json([*fields, *secrets]), media_type="application/json")

    @get("/new/values")
    async def values(self, request: AnyRequest, service: Service, path: str = "") -> Response[bytes]:
        """The values that a filter's chips suggest."""
        found = await service.recent.values(visitor(request).workspace_id, path)
        return Response(encode_json(found), media_type="application/json")


async def _act(request: AnyRequest, desk: Desk) -> Response[str]:
    form = await request.form()
    edited = _edited(form)
    try:
        return await _ACTIONS.get(str(form.get("action", "save")), _save)(request, desk, edited, form)
    except Refused as error:
        first = next(iter(error.problems), "")
        step = edited.step if first.startswith("secret_") else "test" if first in ("skip", "sample") else step_of(first)
        return await _show(request, desk, edited._replace(step=step), problems=error.problems, status=422)
    except PreconditionFailed:
        return await _show(request, desk, edited, conflict=await last_version(desk), status=409)


async def _save(request: AnyRequest, desk: Desk, edited: Edited, _form: FormMultiDict) -> Response[str]:
    saved = await actions.save(desk, edited.values, edited.seen)
    stay = f"/settings/destinations/{saved.id}/edit?saved={saved.record.version}#{edited.step}"
    return see(request, edited.back or stay)


async def _go_live(request: AnyRequest, desk: Desk, edited: Edited, form: FormMultiDict) -> Response[str]:
    skips = form.get("skip") == "yes"
    live = await actions.go_live(desk, edited.values, edited.seen, skips=skips)
    return see(request, edited.back or f"/settings/destinations/{live.id}")


async def _test(request: AnyRequest, desk: Desk, edited: Edited, _form: FormMultiDict) -> Response[str]:
    tested = await actions.test(desk, edited.values, edited.seen, edited.sample)
    if not actions.is_live(desk):  # of a live one the form stays as it is: it was not saved
        desk = desk._replace(standing=tested.destination)
        values = values_of(tested.destination.plan.config)
        edited = edited._replace(values=values, seen=tested.destination.record.version)
    headers = {"HX-Replace-Url": f"/settings/destinations/{tested.destination.id}/edit#test"}
    return await _show(request, desk, edited._replace(step="test"), tested=tested, headers=headers)


async def _compare(request: AnyRequest, desk: Desk, edited: Edited, _form: FormMultiDict) -> Response[str]:
    found = await actions.compare(desk, edited.values)
    return await _show(request, desk, edited._replace(step="test"), comparison=found)


async def _new_signing_secret(request: AnyRequest, desk: Desk, edited: Edited, _form: FormMultiDict) -> Response[str]:
    return await _show(request, desk, edited._replace(values=actions.with_new_secret(edited.values)), generated=True)


async def _new_secret(request: AnyRequest, desk: Desk, edited: Edited, form: FormMultiDict) -> Response[str]:
    name = str(form.get("secret_name", "")).strip()
    await actions.put_secret(desk, name, str(form.get("secret_value", "")))
    return await _show(request, desk, edited, made=name)


_ACTIONS = {
    "save": _save,
    "live": _go_live,
    "test": _test,
    "compare": _compare,
    "generate": _new_signing_secret,
    "secret": _new_secret,
}


_SAYING: dict[str, Any] = {
    "titles": TITLES,
    "step_of": step_of,
    "nowhere": NOWHERE,
    "indented": indented,
    "problem_texts": problem_texts,
    "problem_marks": problem_marks,
    "missing_marks": missing_marks,
}
"""What the templates of the editor say things with."""


async def _look(request: AnyRequest, desk: Desk) -> Response[str]:
    edited = _edited(await request.form())
    found = await look(desk, edited.values, edited.sample)
    headers = {} if found.sent else {"HX-Reswap": "none"}  # what was seen last stays, and a note says why
    told = _SAYING | {"look": found, "problems": found.problems, "values": edited.values}
    return render(request, "editor/look.html", headers=headers, **told)


async def _show(
    request: AnyRequest,
    desk: Desk,
    edited: Edited,
    *,
    problems: dict[str, Problem] | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    tested: actions.Tested | None = None,
    **told: object,
) -> Response[str]:
    """The editor; only itself where htmx asks."""
    record, secret = (desk.standing.record, desk.standing.signing_secret) if desk.standing else (None, None)
    found = await look(desk, edited.values, edited.sample)
    blamed = found.problems if problems is None else problems | found.problems
    values: dict[str, object] = {
        "conflict": None, "comparison": None, "generated": False, "made": "", "saved": False,
        **_SAYING,
        "desk": desk,
        "edited": edited,
        "values": edited.values,
        "look": found,
        "problems": blamed,
        "troubled": {step: sum(field in fields for field in blamed) for step, fields in STEPS.items()},
        "samples": await samples(desk, edited.sample.choice),
        "synthetic": pretty(SYNTHETIC_EVENT),
        "secrets": desk.service.secrets.all(desk.workspace_id),
        "preset": _preset(edited.preset) if edited.preset not in ("", "blank") else None,
        "profiles": PROFILES,
        "live": actions.is_live(desk),
        "is_tested": record is not None
        and await has_passed_test(desk.service, desk.workspace_id, record.id, record.version),
        **outcome(tested.rehearsal if tested else None),
        "signing_hint": hint(secret).lstrip("…") if secret else "",
    }  # fmt: skip
    template = "editor/editor.html" if is_fragment(request) else "editor/page.html"
    return render(request, template, status=status, headers=headers, **(values | told))


def _edited(form: FormMultiDict) -> Edited:
    step = str(form.get("step", ""))
    sample = Sample(str(form.get("sample", "synthetic")), str(form.get("sample_json", "")))
    return Edited(
        values=posted(form),
        sample=sample,
        seen=version_seen(form, "version"),
        back=inside(str(form.get("return", "")), ""),
        preset=str(form.get("preset", "")),
        step=step if step in STEPS else "transport",
    )


def _desk(request: AnyRequest, service: Service, destination_id: str | None = None) -> Desk:
    who = visitor(request)
    standing = None if destination_id is None else service.destinations.get(who.workspace_id, destination_id)
    return Desk(service=service, workspace_id=who.workspace_id, author=who.name, standing=standing)


def _standing(desk: Desk) -> Any:
    if desk.standing is None:
        raise NotFound("There is no such destination.")
    return desk.standing


def _back(request: AnyRequest) -> str:
    return inside(request.query_params.get("return", ""), "")


def _preset(name: str) -> Preset:
    found = next((each for each in presets() if each.name == name), None)
    if found is None:
        raise NotFound(f"There is no preset {name[:100]!r}.")
    return found
