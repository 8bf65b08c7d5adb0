"""The answer of a preview and of a synthetic test: each step on the way and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec

from tracklayer.delivery.sign import SIGNATURES
from tracklayer.model.delivery import Failure, Response
from tracklayer.operate.rehearsal import Rehearsal
from tracklayer.vault import mask
from tracklayer.web.api.views import request_view

_UNSENT = ("render", "validate")


class RehearsalView(msgspec.Struct, frozen=True, kw_only=True):
    """The trace of one event through one destination. A step that was not reached is null."""

    delivery_id: str | None
    event_id: str
    state: str | None
    steps: dict[str, Any]


def preview_view(rehearsal: Rehearsal, *, signed: bool) -> RehearsalView:
    """A preview: no `send`; `render.request` is what would be sent, its signature masked where it is not `signed`."""
    steps = _steps(rehearsal)
    if steps["render"] is not None:
        shown = rehearsal.shown
        if shown is not None and not signed:
            headers = tuple((name, mask("") if name in SIGNATURES else value) for name, value in shown.headers)
            shown = msgspec.structs.replace(shown, headers=headers)
        steps["render"]["request"] = request_view(shown)
    return _view(rehearsal, steps)


def test_view(rehearsal: Rehearsal) -> RehearsalView:
    """A test: with the request that went out, and the answer."""
    steps = _steps(rehearsal)
    steps["send"] = _send(rehearsal)
    return _view(rehearsal, steps)


def _view(rehearsal: Rehearsal, steps: dict[str, Any]) -> RehearsalView:
    return RehearsalView(
        delivery_id=rehearsal.delivery_id,
        event_id=rehearsal.event.event_id,
        state=rehearsal.state.value if rehearsal.state else None,
        steps=steps,
    )


def _steps(rehearsal: Rehearsal) -> dict[str, Any]:
    consent = rehearsal.consent
    steps: dict[str, Any] = {
        "filter": {"matched": rehearsal.filter_reason is None, "reason": rehearsal.filter_reason},
        "consent": None if consent is None else {"allowed": consent.allowed, "reason": consent.reason},
        "render": None,
        "sign": None,
    }
    if consent is not None and consent.redact:
        steps["consent"]["redacted"] = list(consent.redact)
    if rehearsal.suppressed is not None:
        steps["suppression"] = {"suppressed": True, "reason": rehearsal.suppressed}
    if rehearsal.prepared is not None or rehearsal.failure is not None:
        steps["render"] = _render(rehearsal)
        steps["sign"] = _sign(rehearsal)
    return steps


def _render(rehearsal: Rehearsal) -> dict[str, Any]:
    failure = rehearsal.failure
    return {
        "valid": failure is None,
        "missing": list(dict.fromkeys(each.path for each in rehearsal.missing)),
        "missing_places": [msgspec.structs.asdict(each) for each in rehearsal.missing],
        "error": failure.detail if failure else None,
    }


def _sign(rehearsal: Rehearsal) -> dict[str, Any] | None:
    prepared = rehearsal.prepared
    if prepared is None or not prepared.signature:
        return None
    signing = prepared.destination.plan.config.signing
    return {
        "scheme": signing.scheme if signing else None,
        "header": prepared.signature[0][0],
        "verified": rehearsal.verified,
    }


def _send(rehearsal: Rehearsal) -> dict[str, Any] | None:
    attempted, result = rehearsal.attempted, rehearsal.result
    if attempted is None or (isinstance(result, Failure) and result.kind in _UNSENT):
        return None
    return {
        "request": request_view(rehearsal.shown),
        "response": _response(result) if isinstance(result, Response) else None,
        "latency_ms": round((attempted.finished_at - attempted.started_at) * 1000, 3),
        "error": result.detail if isinstance(result, Failure) else None,
        "rule": attempted.verdict.rule,
    }


def _response(response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "headers": dict(response.headers),
        "body": response.body.decode(errors="replace"),
    }
