"""`/audiences`: lists and rules that give events their segment, who is in them, and why."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Conflict, Invalid, NotFound, PreconditionFailed, TrackLayerError, at
from tracklayer.model.event import Json
from tracklayer.model.facts import BY_EMAIL, BY_ID
from tracklayer.operate.as_told import without_added_audiences
from tracklayer.operate.audiences import Belonging
from tracklayer.pipeline.member import LineError, member_fields, member_key
from tracklayer.service import Service
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.pages.forms import number_seen, placed_problems_of, problems_of, read_object
from tracklayer.web.console.pages.members_upload import read_upload
from tracklayer.web.console.rendering import render, see
from tracklayer.web.console.words import count
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

SHOWN = 50  # members of a page
OFFERED = 50  # recent events that can be tried

_DONE = {
    "added": "is on the list now.",
    "known": "was on the list already.",
    "removed": "is no longer on the list.",
}
_NUMBER = re.compile("[0-9]{1,9}")


class Given(msgspec.Struct, frozen=True):
    """What an answer to a form of an audience's page shows beside the page itself."""

    form: str = ""  # which form it was
    values: dict[str, str] = {}
    problems: dict[str, str] = {}
    status: int = 200
    lines: tuple[LineError, ...] = ()  # of a file that cannot be taken
    wrong: int = 0  # how many lines are wrong in all
    belonging: Belonging | None = None


class AudiencePages(Controller):
    """The list and one audience."""

    path = "/audiences"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service) -> Response[str]:
        """Every audience, and a form for one more."""
        return await _list(request, service)

    @post("/", status_code=200)
    async def make(self, request: AnyRequest, service: Service) -> Response[str]:
        """Make an audience; one that is there already is not replaced."""
        who, values = visitor(request), await _values(request)
        name = values.get("name", "").strip()
        try:
            if any(known.name == name for known, _ in await service.audiences.all(who.workspace_id)):
                raise Conflict(f"there is an audience {name} already", pointer="/name")
            rule = None
            if values.get("kind") != "list":
                rule = _rule(values.get("rule", ""))
            elif values.get("rule", "").strip():
                raise Invalid("a list has no rule: leave it empty, or let the rule decide", pointer="/rule")
            await service.audiences.put(who.workspace_id, name, rule, author=who.name)
        except (Invalid, Conflict) as error:
            if error.code == "invalid_name":  # the API has the name in its path, and so no pointer
                error.pointer = "/name"
            return await _list(request, service, error=error, values=values)
        return see(request, f"/audiences/{name}")

    @get("/{name:str}")
    async def one(self, request: AnyRequest, service: Service, name: str, after: str = "") -> Response[str]:
        """One audience; `after` is the last member of the page before."""
        return await _one(request, service, name, Given(), after)

    @post("/{name:str}/rule", status_code=200)
    async def save(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Replace the rule."""
        who, values = visitor(request), await _values(request)
        await service.audiences.get(who.workspace_id, name)
        try:
            await service.audiences.put(
                who.workspace_id,
                name,
                _rule(values.get("rule", "")),
                author=who.name,
                seen=number_seen(values, "seen"),
            )
        except Invalid as error:
            return await _one(request, service, name, Given("rule", values, placed_problems_of(error), 422))
        except PreconditionFailed:
            return await _one(request, service, name, Given("rule", values, status=409))
        return see(request, f"/audiences/{name}?saved=rule")

    @post("/{name:str}/members", status_code=200)
    async def add(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Put one member on the list."""
        who, values = visitor(request), await _values(request)
        column = "email" if values.get("by") == "email" else "external_id"
        try:
            member = values.get("member", "").strip()
            if not member:
                raise Invalid("say who is to be on the list", pointer=f"/{column}")
            key = member_key({column: member})
        except Invalid as error:
            given = Given("member", values, {"member": problems_of(error)[column]}, 422)
            return await _one(request, service, name, given, values.get("after", ""))
        came, _ = await service.audiences.change_members(who.workspace_id, name, add=[key], author=who.name)
        return see(request, _page_of(name, values, {"added" if came else "known": key}))

    @post("/{name:str}/members/remove", status_code=200)
    async def take_off(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Take one member off the list."""
        who, values = visitor(request), await _values(request)
        key = _key(values.get("key", ""))
        await service.audiences.change_members(who.workspace_id, name, remove=[key], author=who.name)
        return see(request, _page_of(name, values, {"removed": key}))

    @post("/{name:str}/members/csv", status_code=200)
    async def upload(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Put those on the list whom a file names. One wrong line, and nobody is, unless wrong lines may be passed."""
        who = visitor(request)
        form = await request.form()
        values = {"csv": str(form.get("csv", "")), "skip": str(form.get("skip", ""))}
        try:
            found = await read_upload(form)
        except Invalid as error:
            return await _one(request, service, name, Given("csv", values, {"csv": problems_of(error)[""]}, 422))
        if found.wrong and not values["skip"]:
            given = Given("csv", values, status=422, lines=tuple(found.errors), wrong=found.wrong)
            return await _one(request, service, name, given)
        came, _ = await service.audiences.change_members(who.workspace_id, name, add=found.members, author=who.name)
        return see(request, f"/audiences/{name}?came={came}&of={len(found.members)}&passed={found.wrong}")

    @post("/{name:str}/test", status_code=200)
    async def test(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Whether a user, or an event if it came in now, is in the audience. Nothing is stored."""
        values = {field: value.strip() for field, value in (await _values(request)).items()}
        try:
            belonging = await _tested(service, visitor(request).workspace_id, name, values)
        except Invalid as error:
            return await _one(request, service, name, Given("test", values, problems_of(error), 422))
        return await _one(request, service, name, Given("test", values, belonging=belonging))

    @post("/{name:str}/delete", status_code=200)
    async def remove(self, request: AnyRequest, service: Service, name: str) -> Response[str]:
        """Delete it, once its name is typed."""
        who, values = visitor(request), await _values(request)
        if values.get("name", "").strip() != name:
            return await _one(request, service, name, Given("delete", {}, {"name": f"Type {name} to delete it."}, 422))
        await service.audiences.remove(who.workspace_id, name, author=who.name)
        return see(request, "/audiences")


async def _tested(service: Service, workspace_id: str, name: str, values: dict[str, str]) -> Belonging:
    if event_id := values.get("event"):
        stored = await service.history.event(workspace_id, event_id)
        if stored is None:
            raise Invalid(f"there is no event {event_id[:100]!r}", pointer="/event")
        return await service.audiences.test_event(workspace_id, name, without_added_audiences(stored.event))
    user: dict[str, Json] = {field: values[field] for field in ("external_id", "email") if values.get(field)}
    if not user:
        raise Invalid("name a user, or pick an event", pointer="/external_id")
    if email := values.get("email"):
        member_key({"email": email})  # what is no address could be on no list
    return await service.audiences.test_user(workspace_id, name, user)


async def _list(
    request: AnyRequest,
    service: Service,
    *,
    error: TrackLayerError | None = None,
    values: dict[str, str] | None = None,
) -> Response[str]:
    return render(
        request,
        "audiences/list.html",
        status=status_of(error) if error else 200,
        audiences=await service.audiences.all(visitor(request).workspace_id),
        is_on=service.workspaces.rules(visitor(request).workspace_id).enrichment.audiences,
        given=values or {},
        problems=placed_problems_of(error),
    )


async def _one(request: AnyRequest, service: Service, name: str, given: Given, after: str = "") -> Response[str]:
    workspace_id = visitor(request).workspace_id
    audience, size = await service.audiences.get(workspace_id, name)
    members = []
    if audience.rule is None:
        members = await service.audiences.members(
            workspace_id, name, limit=SHOWN + 1, after=_key(after) if after else None
        )
    return render(
        request,
        "audiences/one.html",
        status=given.status,
        audience=audience,
        size=size,
        asked_for_by=service.audiences.asked_for_by(workspace_id, name),
        members=[(each, member_fields(each.key)) for each in members[:SHOWN]],
        next_after=members[SHOWN - 1].key if len(members) > SHOWN else None,
        after=after,
        events=[stored.event for stored in await service.recent.events(workspace_id, OFFERED)],
        is_on=service.workspaces.rules(workspace_id).enrichment.audiences,
        largest=service.settings.request_limit,
        saved=_saved(request),
        warnings=service.audiences.warnings(audience),
        given=given,
    )


def _saved(request: AnyRequest) -> str | None:
    """What the form has done that led here."""
    asked = request.query_params
    if asked.get("saved") == "rule":
        return "The new rule holds for events from now on."
    for done, words in _DONE.items():
        if done in asked:
            fields = member_fields(_key(asked[done]))
            who = fields.get("external_id") or f"The e-mail address with the SHA-256 {fields['email_hash'][:8]}…"
            return f"{who} {words}"
    numbers = [asked.get(name, "") for name in ("came", "of", "passed")]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    came, named, passed = (int(number) for number in numbers)
    wrong = f" Wrong lines that were passed over: {count(passed)}." if passed else ""
    return f"Members in the file: {count(named)}. New on the list: {count(came)}.{wrong}"


def _page_of(name: str, values: dict[str, str], done: dict[str, str]) -> str:
    """The page of the list that a form stood on, which then says what was done."""
    return f"/audiences/{name}?" + urlencode(({"after": values["after"]} if values.get("after") else {}) | done)


def _key(text: str) -> str:
    """The key of a member, as our pages name it. Raises `NotFound` for what none can be."""
    column, prefix = ("external_id", BY_ID) if text.startswith(BY_ID) else ("email_hash", BY_EMAIL)
    try:
        return member_key({column: text.removeprefix(prefix)})
    except Invalid as error:
        raise NotFound("There is no such member: begin with the first page of the list.") from error


def _rule(text: str) -> dict[str, Json]:
    with at("rule"):
        rule = read_object(text, 'a rule is an object, such as {"traits.plan": ["gold"]}')
        if not rule:
            raise Invalid('say who belongs to it, such as {"traits.plan": ["gold"]}', pointer="")
        return rule


async def _values(request: AnyRequest) -> dict[str, str]:
    return {field: value for field, value in (await request.form()).items() if isinstance(value, str)}
