"""Errors as RFC 9457 problem details, the same for ours and the framework's."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from tracklayer.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooMany,
    TrackLayerError,
    Unauthorized,
    Unavailable,
    pointer,
)
from tracklayer.model.event import encode_json

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[TrackLayerError], tuple[int, str]] = {
    Malformed: (400, "Malformed request"),
    Unauthorized: (401, "Unauthorized"),
    Forbidden: (403, "Forbidden"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    PreconditionFailed: (412, "Precondition failed"),
    TooLarge: (413, "Too large"),
    Invalid: (422, "Invalid value"),
    TooMany: (429, "Too many requests"),
    Unavailable: (503, "Unavailable"),
}
_FRAMEWORK = {
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    413: ("too_large", "Too large"),
}

log = structlog.get_logger("tracklayer.web")


def problem_fields(error: TrackLayerError) -> dict[str, Any]:
    """What an error says, without its HTTP clothing: for an item of a batch."""
    fields = {"code": error.code, "detail": error.detail}
    return fields if error.pointer is None else {**fields, "pointer": error.pointer}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it goes out."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def status_of(error: TrackLayerError) -> int:
    """The HTTP status of one of ours."""
    return _known(error)[0]


def _known(error: TrackLayerError) -> tuple[int, str]:
    return next(known for kind, known in _STATUS.items() if isinstance(error, kind))


def problem(error: TrackLayerError) -> Problem:
    """One of ours as an answer."""
    status, title = _known(error)
    headers = {}
    if isinstance(error, TooMany | Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="TrackLayer"'
    return _problem(status, title, problem_fields(error), headers)


def on_error(_request: Request[Any, Any, Any], error: TrackLayerError) -> Response[bytes]:
    """One of ours, raised in a handler."""
    return _response(problem(error))


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """One of the framework's: no such route, a wrong method, a query that does not fit."""
    code, title = _FRAMEWORK.get(error.status_code, ("bad_request", "Malformed request"))
    extra = error.extra if isinstance(error.extra, list) else []
    detail = "; ".join(f"{each.get('key')}: {each.get('message')}" for each in extra) or error.detail
    if error.status_code in (404, 405):
        detail = f"there is no {request.method} {request.url.path[:200]}"
    fields = {"code": code, "detail": detail}
    if extra and extra[0].get("key"):
        fields["pointer"] = pointer(str(extra[0]["key"]))
    return _response(_problem(error.status_code, title, fields, dict(error.headers or {})))


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged whole, shown without a word of it."""
    log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return _response(INTERNAL)


def _problem(status: int, title: str, fields: dict[str, Any], headers: dict[str, str]) -> Problem:
    body = {"type": "about:blank", "title": title, "status": status, **fields}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Problem(status=status, headers=((b"content-type", MEDIA_TYPE.encode()), *encoded), body=encode_json(body))


def _response(problem: Problem) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in problem.headers if name != b"content-type"}
    return Response(problem.body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


INTERNAL = _problem(
    500, "Internal error", {"code": "internal", "detail": "something went wrong on our side; it is in the log"}, {}
)

EXCEPTION_HANDLERS: dict[Any, Any] = {
    TrackLayerError: on_error,
    HTTPException: on_http_exception,
    Exception: on_crash,
}
