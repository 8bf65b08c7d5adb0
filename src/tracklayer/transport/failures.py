"""From the HTTP client's errors to ours.

The client files a hang and a reset under "connect", so the phase is read from the chain of causes (texts of reqwest,
hyper and rustls; the transport's tests hold them against real sockets). The first cause names the whole URL, which may
hold secrets; only those after it are shown.
"""

from __future__ import annotations

from pyreqwest.exceptions import (
    ClientClosedError,
    DetailedPyreqwestError,
    NetworkError,
    RequestError,
    RequestTimeoutError,
)

from tracklayer.model.delivery import Failure, FailureKind, Request
from tracklayer.transport.origin import Origin

_CONNECTING = "client error (Connect)"
_TCP = "tcp connect error"
_BROKEN = ("closed before message completed", "end of file", "unexpected EOF", "Connection reset", "Broken pipe")
_SENTENCES: dict[FailureKind, str] = {
    "connect": "no connection to {where}: {reason}",
    "tls": "the TLS handshake with {where} failed: {reason}",
    "reset": "{where} broke the connection before its answer was complete: {reason}",
    "protocol": "{where} did not answer in valid HTTP: {reason}",
    "validate": "the request to {where} cannot be sent: its method, a header's name or a header's value is not HTTP",
}
_EARLY = 0.01  # seconds by which the client's timer may be early


def was_connecting(error: Exception) -> bool:
    """True where no byte of the request can have left: the error is of the TCP connection or the TLS handshake."""
    return _CONNECTING in _causes(error)


def describe(error: Exception, request: Request, origin: Origin, elapsed: float) -> Failure:
    """What went wrong at `origin` after `elapsed` seconds of the attempt."""
    if isinstance(error, RequestTimeoutError):
        return Failure(kind="timeout", detail=_late(request, origin, elapsed, connecting=was_connecting(error)))
    if isinstance(error, ClientClosedError):
        return Failure(kind="reset", detail=f"the exchange with {origin.where} was cut off: TrackLayer is stopping")
    causes = _causes(error)
    kind = _kind(error, causes, origin)
    reason = causes[-1].split(" (os error")[0] if causes else type(error).__name__
    return Failure(kind=kind, detail=_SENTENCES[kind].format(where=origin.where, reason=reason))


def too_late(request: Request, origin: Origin) -> Failure:
    """The attempt's whole time is over."""
    return Failure(kind="timeout", detail=f"{origin.where} did not answer completely within {request.timeout:g} s")


def _late(request: Request, origin: Origin, elapsed: float, *, connecting: bool) -> str:
    if elapsed + _EARLY >= request.timeout:
        return too_late(request, origin).detail
    if connecting:
        return f"no connection to {origin.where} within {request.connect_timeout:g} s"
    return f"{origin.where} was silent for {request.read_timeout:g} s"


def _kind(error: Exception, causes: list[str], origin: Origin) -> FailureKind:
    if not isinstance(error, RequestError):
        return "validate"  # the client refused to build the request
    if _CONNECTING in causes:
        return "tls" if origin.scheme == "https" and _TCP not in causes else "connect"
    broken = isinstance(error, NetworkError) or any(sign in cause for cause in causes for sign in _BROKEN)
    return "reset" if broken else "protocol"


def _causes(error: Exception) -> list[str]:
    """The messages of the chain, from the outside in, without those that show the URL."""
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or () if "for url (" not in cause["message"]]
