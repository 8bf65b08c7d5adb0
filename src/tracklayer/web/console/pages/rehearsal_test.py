"""The synthetic test as six stages: how far it came, how long it took, and what to change where it failed."""

from __future__ import annotations

from typing import Literal

import msgspec

from tracklayer.model.delivery import DeliveryState, Failure, Response
from tracklayer.model.work import SUCCESS_RULE
from tracklayer.operate.curl import curl_command
from tracklayer.operate.rehearsal import Rehearsal
from tracklayer.service import Service
from tracklayer.store.history import DeliveryFilter
from tracklayer.web.console.causes import field_to_change, meaning

RECENT_TESTS = 20

StageState = Literal["passed", "failed", "skipped"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One of the six, with what came of it."""

    name: str
    state: StageState
    said: str
    milliseconds: float | None = None
    meaning: str = ""  # what a failure means
    field: str = ""  # of the form: what to change


def stages(rehearsal: Rehearsal) -> list[Stage]:
    """Filter, consent, render, sign, send and response, in turn; after a failure the rest is skipped."""
    found: list[Stage] = []
    for name, judge in (
        ("filter", _filter),
        ("consent", _consent),
        ("render", _render),
        ("sign", _sign),
        ("send", _send),
        ("response", _response),
    ):
        failed = any(stage.state == "failed" for stage in found)
        found.append(Stage(name=name, state="skipped", said="not reached") if failed else judge(rehearsal))
    return found


def outcome(rehearsal: Rehearsal | None) -> dict[str, object]:
    """What the page shows of a test; before one, the stages that it will go through."""
    result = rehearsal.result if rehearsal else None
    return {
        "test": rehearsal,
        "stages": stages(rehearsal) if rehearsal else stages_ahead(),
        "response": result if isinstance(result, Response) else None,
        "curl": curl_command(rehearsal.shown) if rehearsal and rehearsal.shown else None,
    }


def stages_ahead() -> list[Stage]:
    """The six before a test, each with what it asks."""
    asked = {
        "filter": "does the event match?",
        "consent": "may this destination have it?",
        "render": "method, URL, headers and body",
        "sign": "with the signing secret, checked as the receiver would",
        "send": "the exact bytes, over the network",
        "response": "a success, by the rules of this destination?",
    }
    return [Stage(name=name, state="skipped", said=said) for name, said in asked.items()]


def passed(rehearsal: Rehearsal) -> bool:
    """Whether the test arrived."""
    return rehearsal.state is DeliveryState.DELIVERED


async def has_passed_test(service: Service, workspace_id: str, destination_id: str, version: int) -> bool:
    """Whether one of the newest tests of a destination was delivered by this version."""
    wanted = DeliveryFilter(destination_id=destination_id, state=DeliveryState.DELIVERED, test=True)
    found = await service.history.deliveries(workspace_id, wanted, limit=RECENT_TESTS)
    return any(each.version == version for each in found)


def _filter(rehearsal: Rehearsal) -> Stage:
    if rehearsal.filter_reason is None:
        return Stage(name="filter", state="passed", said="the event matches")
    means = "Live events like this one are not sent. Change the filter, or test with an event that it lets through."
    return Stage(name="filter", state="failed", said=rehearsal.filter_reason, meaning=means, field="filter")


def _consent(rehearsal: Rehearsal) -> Stage:
    consent = rehearsal.consent
    if consent is not None and not consent.allowed:
        means = "Without this consent nothing is sent: that may be just what you want."
        said = consent.reason or "denied"
        return Stage(name="consent", state="failed", said=said, meaning=means, field="consent_requires")
    if rehearsal.suppressed is not None:
        means = "A suppression of this destination keeps the event back until it is lifted."
        return Stage(name="consent", state="failed", said=rehearsal.suppressed, meaning=means)
    return Stage(name="consent", state="passed", said="nothing that is required is missing")


def _render(rehearsal: Rehearsal) -> Stage:
    failure = rehearsal.failure
    if failure is None:
        lacking = list(dict.fromkeys(each.path for each in rehearsal.missing))
        said = f"the event has no {', '.join(lacking)}" if lacking else "every field is there"
        return Stage(name="render", state="passed", said=said, milliseconds=_preparing(rehearsal))
    field = "headers" if failure.detail.startswith("the header") else "template"
    field = "url" if failure.detail.lower().startswith("the url") else field
    means = "There is nothing to send. A live event like this one would go straight to the dead letters."
    return Stage(name="render", state="failed", said=failure.detail, meaning=means, field=field)


def _sign(rehearsal: Rehearsal) -> Stage:
    if rehearsal.verified is None:
        return Stage(name="sign", state="skipped", said="not signed: the receiver cannot tell who sent this")
    if rehearsal.verified:
        return Stage(name="sign", state="passed", said="signed, and verified as a receiver would")
    means = "The signature that was made does not verify."
    return Stage(name="sign", state="failed", said="not verified", meaning=means, field="signing_secret")


def _send(rehearsal: Rehearsal) -> Stage:
    result = rehearsal.result
    if result is None:
        return Stage(name="send", state="skipped", said="not reached")
    if isinstance(result, Failure):
        return _failed("send", result.kind, result.detail, result.timings.total_ms)
    request = rehearsal.prepared.request if rehearsal.prepared else None
    size = len(request.body or b"") if request else 0
    return Stage(name="send", state="passed", said=f"{size} bytes", milliseconds=result.timings.first_byte_ms)


def _response(rehearsal: Rehearsal) -> Stage:
    result, attempted = rehearsal.result, rehearsal.attempted
    if not isinstance(result, Response) or attempted is None:
        return Stage(name="response", state="skipped", said="not reached")
    rule, took = attempted.verdict.rule, result.timings.total_ms
    if passed(rehearsal):
        return Stage(name="response", state="passed", said=rule, milliseconds=took)
    return _failed("response", SUCCESS_RULE if 200 <= result.status < 300 else str(result.status), rule, took)


def _failed(name: str, cause: str, said: str, took: float) -> Stage:
    sentence, field = meaning(cause).sentence, field_to_change(cause)
    return Stage(name=name, state="failed", said=said, milliseconds=took, meaning=sentence, field=field)


def _preparing(rehearsal: Rehearsal) -> float | None:
    """What rendering and signing took, beside the sending."""
    attempted, result = rehearsal.attempted, rehearsal.result
    if attempted is None or result is None:
        return None
    return max(0.0, (attempted.finished_at - attempted.started_at) * 1000 - result.timings.total_ms)
