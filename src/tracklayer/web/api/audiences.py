"""`/v1/audiences`: lists and rules that give events their segment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
from litestar import Controller, delete, get, post, put

from tracklayer.errors import Invalid, TooLarge, at
from tracklayer.model.event import Json
from tracklayer.model.facts import BY_EMAIL, BY_ID
from tracklayer.model.moment import rfc3339
from tracklayer.model.records import Audience, Member
from tracklayer.operate.audiences import Belonging
from tracklayer.pipeline.member import member_fields, member_key
from tracklayer.service import Service
from tracklayer.web.api.parameters import PAGE, Cursor, Limit
from tracklayer.web.api.views import Page, page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest

MOST = 10_000  # members in one request

READ = [requires("destinations:read")]
WRITE = [requires("destinations:write")]


class AudienceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a rule (a filter whose paths may also begin with `traits`), or `static: true` for a list of members."""

    rule: dict[str, Json] | None = None
    static: bool = False


class AudienceView(msgspec.Struct, frozen=True, kw_only=True):
    """An audience; `members` is null where a rule decides. `warnings` come with one, not in the list of all."""

    name: str
    static: bool
    rule: dict[str, Json] | None
    members: int | None
    created_at: str
    updated_at: str
    warnings: list[str] = []


class MembersDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members, each an object with one of `external_id`, `email` and `email_hash`; at most 10,000 in all."""

    add: list[dict[str, Json]] = []
    remove: list[dict[str, Json]] = []


class MembersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many came that were not on the list and went that were, and how many are on it now."""

    added: int
    removed: int
    members: int


class MemberView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A member, by the one or the other."""

    added_at: str
    external_id: str | None = None
    email_hash: str | None = None


class AudienceTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either a user, with fields as in `user_data`, or a whole event."""

    user: dict[str, Json] | None = None
    event: dict[str, Json] | None = None


class ConditionView(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the rule."""

    path: str
    matched: bool
    reason: str


class BelongingView(msgspec.Struct, frozen=True, kw_only=True):
    """In or out, and why; `steps` are the conditions of the rule, none for a list."""

    member: bool
    reason: str
    steps: list[ConditionView]


class AudiencesController(Controller):
    """Audiences."""

    path = "/v1/audiences"
    tags = ("audiences",)

    @get("/", guards=READ)
    async def all(self, request: ApiRequest, service: Service) -> Page[AudienceView]:
        """Every audience, by name."""
        found = await service.audiences.all(caller(request.scope).workspace_id)
        return Page(data=[_view(audience, members) for audience, members in found])

    @get("/{name:str}", guards=READ)
    async def one(self, request: ApiRequest, service: Service, name: str) -> AudienceView:
        """One audience, with what to know about its rule."""
        return await _answer(service, caller(request.scope).workspace_id, name)

    @put("/{name:str}", guards=WRITE)
    async def save(self, request: ApiRequest, service: Service, name: str, data: AudienceDraft) -> AudienceView:
        """Make an audience, or replace its rule; it holds for events from now on."""
        if (data.rule is None) is not data.static:
            raise Invalid(
                'expected either "rule" with a filter, or "static": true', code="invalid_audience", pointer=""
            )
        key = caller(request.scope)
        await service.audiences.put(key.workspace_id, name, data.rule, author=key.name)
        return await _answer(service, key.workspace_id, name)

    @delete("/{name:str}", guards=WRITE)
    async def remove(self, request: ApiRequest, service: Service, name: str) -> None:
        """Forget an audience, with its list."""
        key = caller(request.scope)
        await service.audiences.remove(key.workspace_id, name, author=key.name)

    @get("/{name:str}/members", guards=READ)
    async def members(
        self, request: ApiRequest, service: Service, name: str, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Page[MemberView]:
        """Who is on a list, in the order of their ids and hashes."""
        found = await service.audiences.members(
            caller(request.scope).workspace_id, name, limit=limit + 1, after=_read_cursor(cursor)
        )
        return page([_member(each) for each in found], [each.key for each in found], limit)

    @post("/{name:str}/members", status_code=200, guards=WRITE)
    async def change_members(
        self, request: ApiRequest, service: Service, name: str, data: MembersDraft
    ) -> MembersAnswer:
        """Take members off a list, then put others on it. The same again changes nothing."""
        if len(data.add) + len(data.remove) > MOST:
            raise TooLarge(f"these are more than {MOST} members: send them in parts", code="too_many", pointer="")
        key = caller(request.scope)
        added, removed = await service.audiences.change_members(
            key.workspace_id,
            name,
            add=_keys("add", data.add),
            remove=_keys("remove", data.remove),
            author=key.name,
        )
        _, members = await service.audiences.get(key.workspace_id, name)
        return MembersAnswer(added=added, removed=removed, members=members or 0)

    @post("/{name:str}/test", status_code=200, guards=READ)
    async def test(self, request: ApiRequest, service: Service, name: str, data: AudienceTrial) -> BelongingView:
        """Whether a user, or an event if it came in now, is in an audience, and why. Nothing is stored."""
        workspace_id = caller(request.scope).workspace_id
        if data.user is not None and data.event is None:
            with at("user"):
                return _belonging(await service.audiences.test_user(workspace_id, name, data.user))
        if data.event is not None and data.user is None:
            with at("event"):
                return _belonging(await service.audiences.test_event(workspace_id, name, data.event))
        raise Invalid('expected either "user" or "event"', code="invalid_test", pointer="")


async def _answer(service: Service, workspace_id: str, name: str) -> AudienceView:
    audience, members = await service.audiences.get(workspace_id, name)
    return _view(audience, members, service.audiences.warnings(audience))


def _keys(field: str, members: list[dict[str, Json]]) -> list[str]:
    keys = []
    for index, each in enumerate(members):
        with at(field, index):
            keys.append(member_key(each))
    return keys


def _read_cursor(text: str | None) -> str | None:
    """The member that a cursor names: an `external_id` may be any text, unlike the ids of other lists."""
    if text is None:
        return None
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not key.startswith((BY_ID, BY_EMAIL)):
        raise Invalid(
            f"{text[:100]!r} is not a cursor of this list: use next_cursor of the page before",
            code="invalid_cursor",
            pointer="/cursor",
        )
    return key


def _view(audience: Audience, members: int | None, warnings: Sequence[str] = ()) -> AudienceView:
    return AudienceView(
        name=audience.name,
        static=audience.rule is None,
        rule=audience.rule,
        members=members,
        created_at=rfc3339(audience.created_at),
        updated_at=rfc3339(audience.updated_at),
        warnings=list(warnings),
    )


def _member(member: Member) -> MemberView:
    return MemberView(added_at=rfc3339(member.added_at), **member_fields(member.key))


def _belonging(belonging: Belonging) -> BelongingView:
    steps = [ConditionView(path=each.path, matched=each.matched, reason=each.reason) for each in belonging.steps]
    return BelongingView(member=belonging.member, reason=belonging.reason, steps=steps)
