"""`/v1/replays`: the replays that go on in the background. `POST /v1/dead-letters/replay` starts one."""

from __future__ import annotations

import msgspec
from litestar import Controller, get, post

from tracklayer.model.moment import rfc3339
from tracklayer.operate.replays import Replay
from tracklayer.service import Service
from tracklayer.web.api.views import Page
from tracklayer.web.auth import caller, requires
from tracklayer.web.exchange import ApiRequest


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay has come."""

    id: str
    total: int
    done: int
    skipped: int  # no longer dead when their turn came, or of a deleted destination
    mode: str
    per_second: float | None
    started_at: str
    ended_at: str | None  # null: it runs
    cancelled: bool
    author: str


class ReplaysController(Controller):
    """Replays, remembered since the server started."""

    path = "/v1/replays"
    tags = ("dead letters",)

    @get("/", guards=[requires("events:read")])
    async def all(self, request: ApiRequest, service: Service) -> Page[ReplayView]:
        """The replays that run, and the last that did, newest first."""
        replays = service.replays.all(caller(request.scope).workspace_id)
        return Page(data=[_view(each) for each in replays])

    @get("/{replay_id:str}", guards=[requires("events:read")])
    async def one(self, request: ApiRequest, service: Service, replay_id: str) -> ReplayView:
        """One replay."""
        return _view(service.replays.get(caller(request.scope).workspace_id, replay_id))

    @post("/{replay_id:str}/cancel", guards=[requires("destinations:write")], status_code=200)
    async def cancel(self, request: ApiRequest, service: Service, replay_id: str) -> ReplayView:
        """Stop a replay; what it has not revived stays a dead letter. One that has ended stays as it is."""
        key = caller(request.scope)
        return _view(await service.replays.cancel(key.workspace_id, replay_id, author=key.name))


def _view(replay: Replay) -> ReplayView:
    return ReplayView(
        id=replay.id,
        total=replay.total,
        done=replay.done,
        skipped=replay.skipped,
        mode=replay.mode,
        per_second=replay.per_second,
        started_at=rfc3339(replay.started_at),
        ended_at=None if replay.ended_at is None else rfc3339(replay.ended_at),
        cancelled=replay.cancelled,
        author=replay.author,
    )
