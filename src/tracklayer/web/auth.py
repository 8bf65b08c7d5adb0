"""Who calls: an API key as a bearer token, and the scope that a handler asks for."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from tracklayer.errors import Forbidden, Unauthorized
from tracklayer.model.records import ApiKey
from tracklayer.operate.keys import Keys


def requires(scope: str) -> Guard:
    """A guard that lets a key with `scope` (or `admin`) pass, and puts its record where `caller` finds it."""

    # A coroutine, because the framework runs plain functions in a thread.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        keys: Keys = connection.app.state.service.keys
        connection.scope["auth"] = authorize(keys, connection.headers.get("authorization"), scope)

    return guard


def caller(scope: Any) -> ApiKey:
    """The key of a request that has passed `requires`."""
    key: ApiKey = scope["auth"]
    return key


def authorize(keys: Keys, header: str | None, scope: str) -> ApiKey:
    """The key behind an Authorization header, if it has `scope` or is an admin's.

    Raises `Unauthorized` or `Forbidden`.
    """
    if header is None:
        raise Unauthorized("no API key: expected the header Authorization: Bearer tl_live_…", code="missing_key")
    kind, _, text = header.partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthorized("the Authorization header is not of the form: Bearer tl_live_…", code="bad_authorization")
    key = keys.find(text.strip())
    if key is None:
        raise Unauthorized("this API key is not known: it was revoked, or is mistyped", code="unknown_key")
    demand(key, scope)
    return key


def demand(key: ApiKey, scope: str) -> None:
    """Raise `Forbidden` for a key without `scope`."""
    if not may(key, scope):
        raise Forbidden(f"this key lacks the scope {scope}", code="missing_scope")


def may(key: ApiKey, scope: str) -> bool:
    """Whether a key has `scope`, or is an admin's."""
    return scope in key.scopes or "admin" in key.scopes
