"""One delivery as a story: where it stands and why, what to do next, and each attempt with its request and answer."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import msgspec

from tracklayer.catalog import Destination
from tracklayer.errors import NotFound
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import decode_json
from tracklayer.model.work import Attempt, KeptRequest
from tracklayer.operate.curl import curl_command
from tracklayer.service import Service
from tracklayer.store.history import UNKNOWN, StoredDelivery
from tracklayer.web.console.causes import Mend, Way, meaning, mends_of, ways
from tracklayer.web.console.pages.delivery_rows import row_facts
from tracklayer.web.console.pages.delivery_timeline import Line, Part, line_of, parts_of
from tracklayer.web.console.words import duration, pretty, sentence, state_of

ATTEMPT_HEADER = "x-tracklayer-attempt"
AT_ONCE = 0.001  # seconds; below it nobody waited
LONGEST_PRETTY = 64 * 1024  # characters


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """Where a delivery stands: `kind` is the note's, `due_at` when it goes on by itself."""

    kind: str
    title: str
    sentence: str
    due_at: float | None = None
    ways: tuple[Way, ...] = ()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as it can be shown."""

    request: KeptRequest
    body: str | None
    pretty: str | None
    curl: str


class AttemptStory(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt."""

    attempt: Attempt
    state: str  # delivered, retrying, dead
    waited: str  # before it
    parts: list[Part]
    sent: Sent | None  # None: not kept
    pretty: str | None  # the answer's body


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a delivery."""

    delivery: StoredDelivery
    state: str
    mark: str  # how far it is
    is_moving: bool
    destination: Destination | None  # None: deleted
    headline: Headline
    attempts: list[AttemptStory]
    line: Line | None
    sent: Sent | None  # the last request that was kept


async def tell(service: Service, workspace_id: str, delivery_id: str) -> Story:
    """The story of a delivery. Raises `NotFound`."""
    delivery = await service.history.delivery(workspace_id, delivery_id)
    if delivery is None:
        raise NotFound(f"There is no delivery {delivery_id[:100]} in this workspace.")
    attempts = await service.history.attempts(delivery_id)
    kept = await service.history.kept_request(delivery_id)
    try:
        destination: Destination | None = service.destinations.get(workspace_id, delivery.destination_id)
    except NotFound:
        destination = None
    facts = row_facts(service, workspace_id)
    sending = facts.is_sending(delivery)
    sent = None if kept is None else shown(kept)
    due_at = delivery.due_at if delivery.state is DeliveryState.PENDING and not sending else None
    return Story(
        delivery=delivery,
        state=state_of(delivery, sending=sending),
        mark=facts.mark(delivery),
        is_moving=facts.is_moving(delivery),
        destination=destination,
        headline=_headline(delivery, destination, attempts[-1] if attempts else None, sending),
        attempts=[
            _attempt(each, attempts[index - 1] if index else None, delivery, sent)
            for index, each in enumerate(attempts)
        ],
        line=line_of(delivery.created_at, attempts, due_at) if due_at or any(map(_took_time, attempts)) else None,
        sent=sent,
    )


def shown(kept: KeptRequest) -> Sent:
    """A kept request with its body as text, and as a command."""
    body = None if kept.body is None else kept.body.decode(errors="replace")
    return Sent(request=kept, body=body, pretty=indented(body), curl=curl_command(kept))


def indented(text: str | None) -> str | None:
    """JSON for reading; None for anything else, and where the text is as readable as it is."""
    if not text or len(text) > LONGEST_PRETTY or text[0] not in "{[":
        return None
    try:
        found = pretty(decode_json(text))
    except (msgspec.DecodeError, RecursionError, ArithmeticError, UnicodeError):
        return None
    return None if found == text else found


def _attempt(attempt: Attempt, before: Attempt | None, delivery: StoredDelivery, sent: Sent | None) -> AttemptStory:
    is_kept = sent is not None and _number(sent.request) == attempt.number
    return AttemptStory(
        attempt=attempt,
        state=_outcome(attempt, delivery),
        waited=_waited(attempt, before, delivery),
        parts=parts_of(attempt.record.timings),
        sent=sent if is_kept else None,
        pretty=indented(attempt.record.body),
    )


def _outcome(attempt: Attempt, delivery: StoredDelivery) -> str:
    if attempt.action != "retry":
        return attempt.action
    gave_up = delivery.state in (DeliveryState.DEAD, DeliveryState.DISCARDED)
    return "dead" if gave_up and attempt.number == delivery.attempts else "retrying"


def _took_time(attempt: Attempt) -> bool:
    """False for one that ended before anything was sent: its template failed, or its address is refused."""
    return attempt.record.timings.total_ms > 0


def _number(request: KeptRequest) -> int | None:
    told = next((value for name, value in request.headers if name.lower() == ATTEMPT_HEADER), "")
    return int(told) if told.isdecimal() else None


def _waited(attempt: Attempt, before: Attempt | None, delivery: StoredDelivery) -> str:
    since = delivery.created_at if before is None else before.started_at + before.record.timings.total_ms / 1000
    gap = duration(max(0.0, attempt.started_at - since))
    if before is None and attempt.started_at - since < AT_ONCE:
        return "At once"
    return f"{gap} after it was accepted" if before is None else f"{gap} after attempt {before.number}"


def _headline(
    delivery: StoredDelivery, destination: Destination | None, last: Attempt | None, sending: bool
) -> Headline:
    host = urlsplit(destination.plan.config.transport.url).netloc if destination else "its destination"
    state = delivery.state
    if state is DeliveryState.DELIVERED:
        took = duration(max(0.0, delivery.updated_at - delivery.created_at))
        said = f"Attempt {delivery.attempts} arrived, {took} after the event was accepted."
        return Headline(kind="success", title=f"{host} answered {delivery.status_code}", sentence=said)
    if state is DeliveryState.PENDING:
        return _waiting(delivery, destination, last, host, sending)
    if state is DeliveryState.DEAD:
        return _dead(delivery, destination, last, host)
    if state is DeliveryState.SUPPRESSED:
        ways = (_rule(delivery),) if destination else ()
        said = f"A rule kept it from being sent. {_sentence(delivery.reason)}"
        return Headline(kind="", title=f"Not sent to {_name(destination)}", sentence=said, ways=ways)
    return Headline(kind="", title="Let go by an operator", sentence=delivery.reason or "No reason was given.")


def _waiting(
    delivery: StoredDelivery, destination: Destination | None, last: Attempt | None, host: str, sending: bool
) -> Headline:
    if destination is None:
        return Headline(kind="", title="Its destination is deleted", sentence="It is not sent any more.")
    if sending:
        said = f"Attempt {delivery.attempts + 1} is on its way to {host}."
        return Headline(kind="", title="Being sent", sentence=said)
    status = destination.record.status
    if status is not DestinationStatus.ACTIVE:
        kind = "paused" if status is DestinationStatus.PAUSED else "a draft"
        way = Way(f"Open {_name(destination)}", _base(delivery))
        said = "It waits, and nothing is lost: it is sent once the destination is active again."
        return Headline(kind="warning", title=f"{_name(destination)} is {kind}", sentence=said, ways=(way,))
    if destination.unusable is not None:
        way = Way(f"Open {_name(destination)}", _base(delivery))
        said = f"It waits, and nothing is lost. What has to be changed: {destination.unusable}."
        return Headline(kind="warning", title=f"{_name(destination)} cannot be used", sentence=said, ways=(way,))
    if last is None or not delivery.attempts:
        said = f"It is sent when the queue and the rate limit of {_name(destination)} let it."
        return Headline(kind="", title="Waiting for its turn", sentence=said, due_at=delivery.due_at)
    found = meaning(last.cause or UNKNOWN)
    return Headline(
        kind="warning",
        title=f"{_failure(last)} from {host}: attempt {delivery.attempts + 1} comes by itself",
        sentence=" ".join(filter(None, (found.sentence, _sentence(last.error), _sentence(last.rule)))),
        due_at=delivery.due_at,
        ways=_ways(delivery, found.mends),
    )


def _dead(delivery: StoredDelivery, destination: Destination | None, last: Attempt | None, host: str) -> Headline:
    cause = delivery.cause or (last.cause if last else None) or UNKNOWN
    found = meaning(cause)
    title = f"{_failure(last)} from {host}" if last and last.status_code else f"Not delivered to {host}: {found.name}"
    error = last.error if last else None
    is_told = error is not None and error in (delivery.reason or "")
    said = [found.sentence, "" if is_told else _sentence(error), _sentence(delivery.reason)]
    ways = _ways(delivery, mends_of(cause, error)) if destination else ()
    return Headline(kind="error", title=title, sentence=" ".join(filter(None, said)), ways=ways)


def _failure(attempt: Attempt) -> str:
    return str(attempt.status_code) if attempt.status_code else f"{meaning(attempt.cause or UNKNOWN).name} failure"


def _sentence(text: str | None) -> str:
    return sentence(text) if text else ""


def _name(destination: Destination | None) -> str:
    return destination.plan.config.name if destination else "a destination that is deleted"


def _base(delivery: StoredDelivery) -> str:
    return f"/settings/destinations/{delivery.destination_id}"


def _rule(delivery: StoredDelivery) -> Way:
    """Where the rule stands that has stopped a delivery."""
    if (delivery.reason or "").startswith("suppression"):
        return Way("Its suppressions", f"{_base(delivery)}/suppressions")
    return Way("Edit filter and consent", f"{_base(delivery)}/edit?event={quote(delivery.event_id, safe='')}#filter")


def _ways(delivery: StoredDelivery, mends: Sequence[Mend]) -> tuple[Way, ...]:
    back = f"/deliveries/{delivery.id}"
    return tuple(ways(delivery.destination_id, mends, event_id=delivery.event_id, back=back))
