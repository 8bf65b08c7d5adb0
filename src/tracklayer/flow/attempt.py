"""One attempt of one delivery: render → sign → send → classify, each step over the last one's value.

Live traffic, replays and the synthetic test all go through here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tracklayer import __version__
from tracklayer.catalog import Destination
from tracklayer.delivery.classify import classify
from tracklayer.delivery.part import Missing, Unrenderable
from tracklayer.delivery.redact import REDACTED
from tracklayer.delivery.render import Rendered, stamp
from tracklayer.delivery.sign import sign
from tracklayer.model.delivery import Failure, Request, Response, Verdict
from tracklayer.model.event import Json, event_fields
from tracklayer.model.work import KeptRequest, Work
from tracklayer.ports import Clock, Transport
from tracklayer.template import RenderError
from tracklayer.vault import Vault, mask

AGENT = f"TrackLayer/{__version__}"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's request, ready to go, beside what it was made from."""

    destination: Destination
    work: Work
    number: int  # of this attempt
    rendered: Rendered
    request: Request
    signature: tuple[tuple[str, str], ...]
    secrets: Mapping[str, str]

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the event lacks."""
        return self.rendered.missing


class Unsendable(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no request to send; `prepared` where a body came out that people should see."""

    failure: Failure
    prepared: Prepared | None = None
    missing: tuple[Missing, ...] = ()  # what the event lacks


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, done."""

    number: int
    started_at: float
    finished_at: float
    prepared: Prepared | None
    missing: tuple[Missing, ...] = ()  # what the event lacks
    result: Response | Failure  # without secrets
    verdict: Verdict


def broken_off(destination: Destination, work: Work, *, started_at: float, finished_at: float) -> Attempted:
    """The attempt that an error of ours ended; whether anything was sent, nobody knows."""
    result = Failure(kind="internal", detail="something went wrong on our side; the log has it as attempt_failed")
    return Attempted(
        number=work.attempts + 1,
        started_at=started_at,
        finished_at=finished_at,
        prepared=None,
        result=result,
        verdict=classify(destination.plan.rules, result, finished_at),
    )


class Attempter:
    """Makes attempts over one transport."""

    def __init__(self, transport: Transport, clock: Clock, vault: Vault) -> None:
        self._transport = transport
        self._clock = clock
        self._vault = vault

    async def attempt(self, destination: Destination, work: Work, secrets: Mapping[str, str]) -> Attempted:
        """Make the next attempt of a delivery and say what it means. Never raises for what a receiver can do."""
        started_at = self._clock.now()
        prepared = self.prepare(destination, work, secrets, now=started_at)
        if isinstance(prepared, Unsendable):
            result: Response | Failure = prepared.failure
            ready = prepared.prepared
        else:
            result = await self._transport.send(prepared.request)
            ready = prepared
        finished_at = self._clock.now()
        verdict = classify(destination.plan.rules, result, finished_at)  # of the answer as it is
        if ready is not None:
            renderer = destination.plan.renderer
            masked = _masked(ready) if renderer.secrets_in_body else None
            redactor = renderer.redactor(secrets, ready.rendered, masked)
            result, verdict = redactor.result(result), redactor.verdict(verdict)
        return Attempted(
            number=work.attempts + 1,
            started_at=started_at,
            finished_at=finished_at,
            prepared=ready,
            missing=prepared.missing,
            result=result,
            verdict=verdict,
        )

    def prepare(
        self, destination: Destination, work: Work, secrets: Mapping[str, str], *, now: float
    ) -> Prepared | Unsendable:
        """Render, sign and stamp the next request of a delivery."""
        if destination.unusable is not None:
            return Unsendable(
                failure=Failure(kind="render", detail=f"the destination cannot be used: {destination.unusable}")
            )
        number = work.attempts + 1
        scope = _scope(destination, work, secrets, number)
        try:
            rendered = destination.plan.renderer.render(work.event, scope, kept_body=self._kept_body(work))
        except RenderError as error:
            missing = error.missing if isinstance(error, Unrenderable) else ()
            detail = _explained(error, destination, work, secrets, number)
            return Unsendable(failure=Failure(kind="render", detail=detail), missing=missing)
        signature = self._sign(destination, work, rendered, now)
        request = _stamp(destination, work, rendered, signature, number, now)
        prepared = Prepared(
            destination=destination,
            work=work,
            number=number,
            rendered=rendered,
            request=request,
            signature=signature,
            secrets=secrets,
        )
        if rendered.invalid is not None:
            failure = Failure(kind="validate", detail=rendered.invalid)
            return Unsendable(failure=failure, prepared=prepared, missing=rendered.missing)
        return prepared

    def keep(self, prepared: Prepared, now: float) -> KeptRequest:
        """The request as it may be kept and shown: the same, with secrets masked."""
        destination, work = prepared.destination, prepared.work
        masked = _masked(prepared) if destination.plan.renderer.secrets else prepared.rendered
        shown = _stamp(destination, work, masked or _blank(prepared.rendered), prepared.signature, prepared.number, now)
        exact = prepared.rendered.body
        return KeptRequest(
            version=destination.record.version,
            method=shown.method,
            url=shown.url,
            headers=shown.headers,
            body=shown.body,
            sealed=None
            if exact is None or exact == shown.body
            else self._vault.seal(exact.decode(), purpose=_body_purpose(work.delivery_id)),
        )

    def _kept_body(self, work: Work) -> bytes | None:
        """The exact body that a replay `as_sent` sends again."""
        if work.kept is None or work.kept.sealed is None:
            return work.kept.body if work.kept else None
        return self._vault.open(work.kept.sealed, purpose=_body_purpose(work.delivery_id)).encode()

    def _sign(
        self, destination: Destination, work: Work, rendered: Rendered, now: float
    ) -> tuple[tuple[str, str], ...]:
        keys = destination.keys(now)
        signing = destination.plan.config.signing
        if keys is None or signing is None:
            return ()
        return sign(signing.scheme, keys, delivery_id=work.delivery_id, timestamp=int(now), body=rendered.body or b"")


def _masked(prepared: Prepared) -> Rendered | None:
    """The request rendered once more with masked secrets; None where that fails: a helper that wants a number gets
    dots."""
    destination, work = prepared.destination, prepared.work
    hidden = {name: mask(secret) for name, secret in prepared.secrets.items()}
    scope = _scope(destination, work, hidden, prepared.number)
    try:
        return destination.plan.renderer.show(work.event, scope, kept_body=work.kept.body if work.kept else None)
    except RenderError:
        return None


def _blank(rendered: Rendered) -> Rendered:
    """A request without anything that could hold a secret."""
    origin = "/".join(rendered.url.split("/")[:3])
    body = None if rendered.body is None else REDACTED.encode()
    return msgspec.structs.replace(rendered, url=f"{origin}/{REDACTED}", headers=(), body=body)


def _explained(
    error: RenderError, destination: Destination, work: Work, secrets: Mapping[str, str], number: int
) -> str:
    """Why nothing was rendered. An error may quote a value: where that may be a secret, as it is with masked ones."""
    renderer = destination.plan.renderer
    if not renderer.secrets or not isinstance(error, Unrenderable):
        return error.detail
    hidden = {name: mask(secret) for name, secret in secrets.items()}
    try:
        renderer.show(work.event, _scope(destination, work, hidden, number))
    except RenderError as masked:
        return masked.detail
    return "a helper cannot work with the value of a secret"


def _scope(destination: Destination, work: Work, secrets: Mapping[str, str], number: int) -> dict[str, Json]:
    """What templates see: the event's fields, and the public ones of the destination and the delivery."""
    return {
        **event_fields(work.event),
        "secrets": secrets,
        "destination": {
            "id": destination.id,
            "name": destination.plan.config.name,
            "version": destination.record.version,
        },
        "delivery": {"id": work.delivery_id, "attempt": number, "test": work.test},
    }


def _stamp(
    destination: Destination,
    work: Work,
    rendered: Rendered,
    signature: tuple[tuple[str, str], ...],
    number: int,
    now: float,
) -> Request:
    return stamp(
        rendered,
        destination.plan.renderer,
        delivery_id=work.delivery_id,
        event_id=work.event.event_id,
        attempt=number,
        timestamp=int(now),
        agent=AGENT,
        signature=signature,
    )


def _body_purpose(delivery_id: str) -> str:
    return f"body of {delivery_id}"
