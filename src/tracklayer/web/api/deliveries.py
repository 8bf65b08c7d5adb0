"""`/v1/deliveries` and `/v1/dead-letters`: the log, and recovery."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from tracklayer.errors import Invalid, NotFound
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.moment import rfc3339
from tracklayer.operate.dead_letters import BulkReplay, DeadLetter
from tracklayer.operate.replays import FASTEST, SLOWEST
from tracklayer.service import Service
from tracklayer.store.history import DeliveryFilter
from tracklayer.web.api.parameters import PAGE, Code, Cursor, Limit, read_cursor, read_moment
from tracklayer.web.api.views import (
    AttemptView,
    DeliveryView,
    ErrorView,
    Page,
    RequestView,
    ResponseView,
    attempt_view,
    delivery_fields,
    delivery_view,
    page,
    request_view,
    response_view,
)
from tracklayer.web.auth import caller, demand, requires
from tracklayer.web.exchange import ApiRequest, ApiResponse

Mode = Literal["as_sent", "rerender"]

CauseOf = Annotated[
    str | None,
    Parameter(description="What the last attempt failed of: its status, `timeout` and the like, or `success_rule`."),
]

READ = [requires("events:read")]
RECOVER = [requires("destinations:write")]


class DeliveryDetail(DeliveryView, frozen=True, kw_only=True):
    """A delivery with its attempts, and the request of a failed one."""

    attempts: list[AttemptView]
    request: RequestView | None


class DeadLetterView(DeliveryView, frozen=True, kw_only=True):
    """A delivery that gave up, with all that an operator needs to decide."""

    destination_name: str | None
    destination_status: str
    current_version: int | None
    died_at: str
    request: RequestView | None  # its body is the rendered one
    response: ResponseView | None
    error: ErrorView | None
    rule: str | None


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`as_sent` sends the kept body again; `rerender` uses today's version."""

    mode: Mode = "rerender"


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters: those that meet all that is given; all of them where nothing is."""

    destination_id: str | None = None
    event_id: str | None = None
    event_name: str | None = None
    code: Annotated[int, msgspec.Meta(ge=100, le=999)] | None = None
    cause: str | None = None
    since: str | None = None
    until: str | None = None
    ids: Annotated[list[str], msgspec.Meta(max_length=500)] | None = None

    def filter(self) -> DeliveryFilter:
        """As the store understands it. Raises `Invalid`."""
        return DeliveryFilter(
            destination_id=self.destination_id,
            event_id=self.event_id,
            event_name=self.event_name,
            code=self.code,
            cause=self.cause,
            since=read_moment(self.since, "since"),
            until=read_moment(self.until, "until"),
            ids=None if self.ids is None else tuple(self.ids),
        )


class BulkReplayRequest(Selection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters, how, and whether to only look; with `per_second` in the background, at that pace."""

    mode: Mode = "rerender"
    dry_run: bool = False
    per_second: Annotated[float, msgspec.Meta(ge=SLOWEST, le=FASTEST)] | None = None


class ReplayStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that goes on in the background: `GET /v1/replays/{id}` tells how far it is."""

    id: str
    total: int
    count: int  # the same as total: what will be revived


STARTED = ResponseSpec(ReplayStarted, description="It goes on in the background.", generate_examples=False)


class BulkDiscardRequest(Selection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters, and why they are let go."""

    reason: Annotated[str, msgspec.Meta(min_length=1)]


class BulkDiscard(msgspec.Struct, frozen=True, kw_only=True):
    """How many were let go."""

    count: int


class Discard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is let go."""

    reason: str = "discarded by an operator"


class DeliveriesController(Controller):
    """Every delivery."""

    path = "/v1/deliveries"
    tags = ("deliveries",)

    @get("/", guards=READ)
    async def all(
        self,
        request: ApiRequest,
        service: Service,
        limit: Limit = PAGE,
        cursor: Cursor = None,
        destination_id: str | None = None,
        event_id: str | None = None,
        event_name: str | None = None,
        in_state: Annotated[str | None, Parameter(query="state")] = None,
        code: Code = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Page[DeliveryView]:
        """Deliveries, newest first. `state=sending` finds what is on its way right now, among the pending ones."""
        wanted = DeliveryFilter(
            destination_id=destination_id,
            event_id=event_id,
            event_name=event_name,
            state=_state(in_state),
            code=code,
            since=read_moment(since, "since"),
            until=read_moment(until, "until"),
            ids=tuple(service.engine.sending()) if in_state == DeliveryState.SENDING.value else None,
        )
        rows = await service.history.deliveries(
            caller(request.scope).workspace_id, wanted, limit=limit + 1, before=read_cursor(cursor, "dlv_")
        )
        return page([delivery_view(row, service.engine) for row in rows], [row.id for row in rows], limit)

    @get("/{delivery_id:str}", guards=READ)
    async def one(self, request: ApiRequest, service: Service, delivery_id: str) -> DeliveryDetail:
        """One delivery with every attempt."""
        delivery = await service.history.delivery(caller(request.scope).workspace_id, delivery_id)
        if delivery is None:
            raise NotFound(f"there is no delivery {delivery_id!r} in this workspace")
        return DeliveryDetail(
            **delivery_fields(delivery, service.engine),
            attempts=[attempt_view(each) for each in await service.history.attempts(delivery_id)],
            request=request_view(await service.history.kept_request(delivery_id)),
        )


class DeadLettersController(Controller):
    """Deliveries that gave up."""

    path = "/v1/dead-letters"
    tags = ("dead letters",)

    @get("/", guards=READ)
    async def all(
        self,
        request: ApiRequest,
        service: Service,
        limit: Limit = PAGE,
        cursor: Cursor = None,
        destination_id: str | None = None,
        event_id: str | None = None,
        event_name: str | None = None,
        code: Code = None,
        cause: CauseOf = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Page[DeliveryView]:
        """Dead letters, newest first."""
        wanted = DeliveryFilter(
            destination_id=destination_id,
            event_id=event_id,
            event_name=event_name,
            code=code,
            cause=cause,
            since=read_moment(since, "since"),
            until=read_moment(until, "until"),
        )
        rows = await service.dead_letters.page(
            caller(request.scope).workspace_id, wanted, limit=limit + 1, before=read_cursor(cursor, "dlv_")
        )
        return page([delivery_view(row, service.engine) for row in rows], [row.id for row in rows], limit)

    @get("/{delivery_id:str}", guards=READ)
    async def one(self, request: ApiRequest, service: Service, delivery_id: str) -> DeadLetterView:
        """One dead letter: what was sent, what came back, and the destination's state."""
        letter = await service.dead_letters.get(caller(request.scope).workspace_id, delivery_id)
        return _letter_view(letter, service)

    @post("/replay", guards=RECOVER, status_code=200, responses={202: STARTED})
    async def replay_all(
        self, request: ApiRequest, service: Service, data: BulkReplayRequest
    ) -> Response[BulkReplay | ReplayStarted]:
        """Replay all that the filter selects; a dry run counts and shows how the bodies would differ, so it needs the
        scope `events:read`, too."""
        key = caller(request.scope)
        if data.dry_run:
            demand(key, "events:read")
        wanted = data.filter()
        if data.per_second is None or data.dry_run:
            done = await service.dead_letters.replay_all(
                key.workspace_id, wanted, data.mode, dry_run=data.dry_run, author=key.name
            )
            return ApiResponse(done)
        replay = await service.replays.start(
            key.workspace_id, wanted, data.mode, per_second=data.per_second, author=key.name
        )
        return ApiResponse(ReplayStarted(id=replay.id, total=replay.total, count=replay.total), status_code=202)

    @post("/discard", guards=RECOVER, status_code=200)
    async def discard_all(self, request: ApiRequest, service: Service, data: BulkDiscardRequest) -> BulkDiscard:
        """Let go of all that the filter selects; the reason stays with each of them."""
        key = caller(request.scope)
        count = await service.dead_letters.discard_all(key.workspace_id, data.filter(), data.reason, author=key.name)
        return BulkDiscard(count=count)

    @post("/{delivery_id:str}/replay", guards=RECOVER, status_code=200)
    async def replay(
        self, request: ApiRequest, service: Service, delivery_id: str, data: Replay | None = None
    ) -> DeliveryView:
        """Send one again, under the same delivery id."""
        key, mode = caller(request.scope), (data or Replay()).mode
        delivery = await service.dead_letters.replay(key.workspace_id, delivery_id, mode, author=key.name)
        return delivery_view(delivery, service.engine)

    @post("/{delivery_id:str}/discard", guards=RECOVER, status_code=200)
    async def discard(
        self, request: ApiRequest, service: Service, delivery_id: str, data: Discard | None = None
    ) -> DeliveryView:
        """Let one go."""
        key, reason = caller(request.scope), (data or Discard()).reason
        delivery = await service.dead_letters.discard(key.workspace_id, delivery_id, reason, author=key.name)
        return delivery_view(delivery, service.engine)


def _letter_view(letter: DeadLetter, service: Service) -> DeadLetterView:
    destination, last = letter.destination, letter.last
    error = ErrorView(kind=last.error_kind, detail=last.error or "") if last is not None and last.error_kind else None
    fields: dict[str, Any] = delivery_fields(letter.delivery, service.engine)
    return DeadLetterView(
        **fields,
        destination_name=destination.plan.config.name if destination else None,
        destination_status=destination.record.status.value if destination else "deleted",
        current_version=destination.record.version if destination else None,
        died_at=rfc3339(letter.delivery.updated_at),
        request=request_view(letter.request),
        response=response_view(last),
        error=error,
        rule=last.rule if last else None,
    )


def _state(text: str | None) -> DeliveryState | None:
    if text is None:
        return None
    try:
        state = DeliveryState(text)
    except ValueError as error:
        names = ", ".join(state.value for state in DeliveryState)
        detail = f"{text[:100]!r} is not a state: expected one of {names}"
        raise Invalid(detail, code="invalid_state", pointer="/state") from error
    return DeliveryState.PENDING if state is DeliveryState.SENDING else state
