"""`POST /v1/events` and `/v1/events/batch`, in plain ASGI.

This is the one hot surface: a request here costs what its event costs, and the framework's routing, injection and
response objects would triple it (docs/performance.md). Everything else goes on to the framework's application.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from tracklayer.errors import TrackLayerError, Unavailable, pointer
from tracklayer.model.event import Event
from tracklayer.model.moment import rfc3339
from tracklayer.model.work import Accepted
from tracklayer.operate.intake import NATIVE, Refused, encoded, refused
from tracklayer.service import Service
from tracklayer.sources.native import Rejected, parse_batch, parse_event
from tracklayer.web.auth import authorize
from tracklayer.web.plain_asgi import answer_with, json_answer, read_body, text_of
from tracklayer.web.problems import INTERNAL, problem, problem_fields
from tracklayer.web.unpack import unpack

log = structlog.get_logger("tracklayer.web")

_SCOPE = "events:write"


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event."""

    id: str
    received_at: str
    dedup_status: str


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one event of a batch; `id` is null where a rejected one has none."""

    id: str | None
    status: str
    error: dict[str, Any] | None = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch; `results` is in the order of the request."""

    batch_id: str
    accepted: int
    duplicates: int
    rejected: int
    results: list[BatchItem]


class _Kept(Exception):
    """An event that is refused and kept as rejected, where it is counted."""

    def __init__(self, error: TrackLayerError) -> None:
        super().__init__(error.detail)
        self.error = error


class IngestApp:
    """Answers the two ingest calls itself, and hands every other request on."""

    def __init__(self, service: Service, rest: ASGIApp) -> None:
        self._service = service
        self._rest = rest
        self._calls = {"/v1/events": (200, self._event), "/v1/events/batch": (202, self._batch)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        call = self._calls.get(scope["path"].rstrip("/")) if scope.get("method") == "POST" else None
        if call is None:
            await self._rest(scope, receive, send)
            return
        status, take = call
        try:
            headers = dict(scope["headers"])
            key = authorize(self._service.keys, text_of(headers, b"authorization"), _SCOPE)
            limit = self._service.settings.request_limit
            body = unpack(await read_body(headers, receive, limit), text_of(headers, b"content-encoding"), limit)
            answer = await take(key.workspace_id, body, headers.get(b"sec-gpc") == b"1")
        except _Kept as kept:
            await answer_with(send, problem(kept.error))
        except TrackLayerError as error:
            self._service.metrics.events["refused"] += 1
            await answer_with(send, problem(error))
        except Exception:
            log.exception("request_failed", method="POST", path=scope["path"])
            await answer_with(send, INTERNAL)
        else:
            await answer_with(send, json_answer(status, answer))

    async def _event(self, workspace_id: str, body: bytes, gpc: bool) -> EventAnswer:
        """Take one event in; answered once it and its deliveries are durable."""
        service = self._service
        now = service.clock.now()
        rules = service.catalog.tenant(workspace_id).rules.before_enriching
        try:
            event = parse_event(body, now=now, new_id=service.ids.event_uuid, limits=service.input_limits, rules=rules)
        except TrackLayerError as error:
            await self._keep(workspace_id, [refused(body, error)], now)
            raise _Kept(error) from error
        (answer,) = await service.ingest.accept(workspace_id, [event], now=now, size=len(body), gpc=gpc)
        received_at = rfc3339(answer.received_at) if answer.duplicate else event.received_at
        return EventAnswer(id=event.event_id, received_at=received_at, dedup_status=_word(answer))

    async def _batch(self, workspace_id: str, body: bytes, gpc: bool) -> BatchAnswer:
        """Take up to 500 events in; a bad one does not spoil the good ones."""
        service = self._service
        now = service.clock.now()
        rules = service.catalog.tenant(workspace_id).rules.before_enriching
        parsed = parse_batch(body, now=now, new_id=service.ids.event_uuid, limits=service.input_limits, rules=rules)
        events = [each for each in parsed if isinstance(each, Event)]
        accepted = await service.ingest.accept(workspace_id, events, now=now, size=len(body), gpc=gpc) if events else []
        stored = iter(accepted)
        results = [
            BatchItem(id=each.event_id, status="rejected", error=problem_fields(each.error))
            if isinstance(each, Rejected)
            else BatchItem(id=each.event_id, status=_word(next(stored)))
            for each in parsed
        ]
        statuses = [result.status for result in results]
        rejected = statuses.count("rejected")
        if rejected:
            bad = [
                refused(encoded(each.item), each.error, below=pointer("events", index))
                for index, each in enumerate(parsed)
                if isinstance(each, Rejected)
            ]
            await self._keep(workspace_id, bad, now)
        return BatchAnswer(
            batch_id=service.ids.new("bat"),
            accepted=statuses.count("accepted"),
            duplicates=statuses.count("duplicate"),
            rejected=rejected,
            results=results,
        )

    async def _keep(self, workspace_id: str, bad: Sequence[Refused], now: float) -> None:
        """Keep what was rejected for people to see; where that cannot be, the caller has the reasons all the same."""
        try:
            await self._service.intake.keep(workspace_id, None, NATIVE, bad, now=now)
        except Unavailable as error:
            log.warning("rejected_not_kept", count=len(bad), error=error.detail)


def _word(answer: Accepted) -> str:
    return "duplicate" if answer.duplicate else "accepted"
