"""Where sources send to, in plain ASGI: the Segment protocol, and `/v1/sources/{id}/ingest` for signed webhooks.

Like `ingest_app`, it answers its calls itself and hands every other request on. A sender that is known and can be read
is answered 200 whatever is wrong with an item: it could not mend it, and would only send it again. What is wrong is
kept as rejected, durable before the answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable
from urllib.parse import parse_qs

import msgspec
import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from tracklayer.errors import Forbidden, NotFound, TrackLayerError, Unauthorized
from tracklayer.model.event import decode_json, encode_json
from tracklayer.operate.intake import About, refused
from tracklayer.operate.sources import Source
from tracklayer.service import Service
from tracklayer.sources import segment_webhook, shopify
from tracklayer.sources.body import read_json
from tracklayer.sources.segment import PATHS, read_calls
from tracklayer.sources.signature import signed_by_segment, signed_by_shopify
from tracklayer.web.plain_asgi import Headers, answer_with, json_answer, read_body, text_of
from tracklayer.web.problems import INTERNAL, Problem, problem
from tracklayer.web.unpack import unpack

LONGEST_WEBHOOK_ID = 200  # characters

_WEBHOOK = re.compile(r"/v1/sources/([0-9a-z_]{1,64})/ingest")
_SUCCESS = json_answer(200, {"success": True})
_ANY_ORIGIN = (b"access-control-allow-origin", b"*")  # a write key is no secret of a page's; no cookie counts here
_PREFLIGHT = Problem(
    status=204,
    headers=(
        _ANY_ORIGIN,
        (b"access-control-allow-methods", b"POST"),
        # RudderStack sends AnonymousId. Any header may come, but to older browsers "*" is a name, and it never means
        # Authorization.
        (b"access-control-allow-headers", b"authorization, content-type, content-encoding, anonymousid, *"),
        (b"access-control-max-age", b"86400"),
    ),
    body=b"",
)

log = structlog.get_logger("tracklayer.web")


class SourceApp:
    """Answers what sources send, and hands every other request on."""

    def __init__(self, service: Service, rest: ASGIApp) -> None:
        self._service = service
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        path, method = str(scope.get("path", "")).rstrip("/"), scope.get("method")
        webhook = _WEBHOOK.fullmatch(path) if method == "POST" else None
        if webhook is not None:
            await self._answer(self._webhook(webhook[1], dict(scope["headers"]), receive), path, send)
        elif path in PATHS and method == "POST":
            calls = self._calls(PATHS[path], dict(scope["headers"]), scope["query_string"], receive)
            await self._answer(calls, path, send, _ANY_ORIGIN)
        elif path in PATHS and method == "OPTIONS":
            await answer_with(send, _PREFLIGHT)
        else:
            await self._rest(scope, receive, send)

    async def _answer(self, work: Awaitable[Problem], path: str, send: Send, *headers: tuple[bytes, bytes]) -> None:
        try:
            answer = await work
        except TrackLayerError as error:
            self._service.metrics.events["refused"] += 1
            answer = _refusal(error)
        except Exception:
            log.exception("request_failed", method="POST", path=path)
            answer = INTERNAL
        await answer_with(send, msgspec.structs.replace(answer, headers=(*answer.headers, *headers)))

    async def _calls(self, kind: str | None, headers: Headers, query: bytes, receive: Receive) -> Problem:
        """A request of the Segment protocol; `kind` is the type of its one call, None for a batch."""
        service = self._service
        known = self._by_header(text_of(headers, b"authorization"))
        limit = service.settings.request_limit
        body = unpack(await read_body(headers, receive, limit), text_of(headers, b"content-encoding"), limit)
        now = service.clock.now()
        about = About(type="segment")
        try:
            calls = read_calls(body, kind, gpc=headers.get(b"sec-gpc") == b"1")
        except TrackLayerError as error:
            if known is not None:
                await self._keep(known, about, body, error, now)
            raise
        source = known or self._by_key(calls.write_key or _key_of(query))
        if known is None:
            _check_enabled(source)
        await service.intake.take(source, about, calls.items, now=now, size=len(body))
        return _SUCCESS

    async def _webhook(self, source_id: str, headers: Headers, receive: Receive) -> Problem:
        """A signed webhook: one payload."""
        service = self._service
        source = service.sources.by_id(source_id)
        if source is None or source.secret is None:
            raise NotFound(f"there is no source {source_id!r} that takes webhooks")
        limit = service.settings.request_limit
        raw = await read_body(headers, receive, limit)
        is_shopify = source.record.type == "shopify"
        name = shopify.SIGNATURE if is_shopify else segment_webhook.SIGNATURE
        is_signed = signed_by_shopify if is_shopify else signed_by_segment
        if not is_signed(source.secret, raw, text_of(headers, name.encode())):
            raise Unauthorized(f"{name} is not the signature of this body with this source's secret", code="signature")
        _check_enabled(source)
        body = unpack(raw, text_of(headers, b"content-encoding"), limit)
        webhook_id = (text_of(headers, shopify.WEBHOOK_ID.encode()) or "")[:LONGEST_WEBHOOK_ID] if is_shopify else ""
        now = service.clock.now()
        if webhook_id and await service.intake.came(source, webhook_id, now=now):
            return json_answer(200, {"success": True, "status": "duplicate"})
        about = _about_shopify(headers) if is_shopify else About(type="segment_webhook")
        try:
            payload = read_json(body)
        except TrackLayerError as error:
            await self._keep(source, about, body, error, now)
            status = "rejected"
        else:
            taken = await service.intake.take(source, about, [payload], now=now, size=len(body))
            status = "accepted" if taken.accepted else "duplicate" if taken.duplicates else "rejected"
        if webhook_id:
            await service.intake.note_webhook(source, webhook_id, now=now)
        return json_answer(200, {"success": True, "status": status})

    async def _keep(self, source: Source, about: About, body: bytes, error: TrackLayerError, now: float) -> None:
        bad = [refused(body, error)]
        await self._service.intake.keep(source.record.workspace_id, source.id, about, bad, now=now)

    def _by_header(self, header: str | None) -> Source | None:
        """The source of an Authorization header, which may be used; None where there is no such header."""
        if header is None:
            return None
        kind, _, text = header.partition(" ")
        key = _basic_user(text.strip()) if kind.lower() == "basic" else text.strip()
        if kind.lower() not in ("basic", "bearer") or not key:
            raise Unauthorized("the Authorization header is not of the form: Basic, with the write key as user")
        source = self._by_key(key)
        _check_enabled(source)
        return source

    def _by_key(self, key: str | None) -> Source:
        if not key:
            raise Unauthorized("no write key: expected Basic authorization, or writeKey in the body", code="no_key")
        source = self._service.sources.by_key(key)
        if source is None:
            raise Unauthorized("this write key is not known: it was replaced, or is mistyped", code="unknown_key")
        return source


def _check_enabled(source: Source) -> None:
    if not source.record.enabled:
        raise Forbidden(f"the source {source.id} is switched off", code="source_disabled")


def _key_of(query: bytes) -> str | None:
    """The write key of an address: a beacon, which a browser sends for a page that is closed, has no headers."""
    return next(iter(parse_qs(query.decode("latin-1")).get("writeKey", ())), None)


def _basic_user(text: str) -> str:
    """The user of Basic credentials (RFC 7617)."""
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def _about_shopify(headers: Headers) -> About:
    topic, shop, at = (
        (text_of(headers, name.encode()) or "")[:300] for name in (shopify.TOPIC, shopify.SHOP, shopify.TRIGGERED_AT)
    )
    return About(type="shopify", topic=topic, shop=shop, triggered_at=at or None)


def _refusal(error: TrackLayerError) -> Problem:
    """A problem with a `message`, too, which is what the Segment protocol's SDKs look for."""
    made = problem(error)
    return msgspec.structs.replace(made, body=encode_json({**decode_json(made.body), "message": error.detail}))
