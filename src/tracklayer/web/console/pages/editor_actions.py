"""What the editor's buttons do: save, test, go live, compare; each says what the form must still have for it."""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from tracklayer.catalog import Destination
from tracklayer.delivery.sign import Scheme, generate_secret
from tracklayer.errors import Invalid, NotFound
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import Json, encode_json, event_fields
from tracklayer.operate.draft import DestinationDraft, read_draft
from tracklayer.operate.rehearsal import Rehearsal
from tracklayer.operate.review import Comparison
from tracklayer.web.console.pages.editor_form import Problem, Values
from tracklayer.web.console.pages.editor_preview import Desk, Sample, inspect, own_event
from tracklayer.web.console.pages.rehearsal_test import has_passed_test

UNTESTED = "No test of this version has passed yet. Run one, or say that you go live without it."


class Refused(Exception):
    """What was asked for is not done: by field of the form, why."""

    def __init__(self, problems: dict[str, Problem]) -> None:
        super().__init__(", ".join(problems))
        self.problems = problems


class Tested(NamedTuple):
    """A test, and the destination that it was made of."""

    destination: Destination
    rehearsal: Rehearsal


def is_live(desk: Desk) -> bool:
    """Whether what is saved goes to live traffic at once."""
    return desk.standing is not None and desk.standing.record.status is DestinationStatus.ACTIVE


async def save(desk: Desk, values: Values, seen: int | None) -> Destination:
    """Save the form: a new destination as a draft, a standing one as its next version where anything differs.

    Raises `Refused`, and `PreconditionFailed` where somebody saved since the version that was `seen`.
    """
    return await _save(desk, _draft(desk, values), seen)


async def go_live(desk: Desk, values: Values, seen: int | None, *, skips: bool) -> Destination:
    """Save the form and let live traffic through, once its version has passed a test or its author `skips` that."""
    draft = _draft(desk, values)
    if not skips and not await _is_tested(desk, draft):
        raise Refused({"skip": Problem(text=UNTESTED)})
    saved = await _save(desk, draft, seen)
    return await desk.service.destinations.set_status(
        desk.workspace_id, saved.id, DestinationStatus.ACTIVE, author=desk.author
    )


async def test(desk: Desk, values: Values, seen: int | None, sample: Sample) -> Tested:
    """Send the sample event for real, after a save; of a live destination the saved version is tested as it stands."""
    event = await _test_event(desk, sample)
    saved = desk.standing if desk.standing is not None and is_live(desk) else await save(desk, values, seen)
    try:
        rehearsal = await desk.service.rehearsals.test(desk.workspace_id, saved.id, event)
    except Invalid as error:
        raise Refused({"sample": Problem(text=error.detail)}) from error
    return Tested(saved, rehearsal)


async def compare(desk: Desk, values: Values) -> Comparison:
    """What a save would change for the newest events that match."""
    if desk.standing is None:
        raise NotFound("There is nothing yet to compare with.")
    return await desk.service.reviews.compare_draft(desk.workspace_id, desk.standing.id, _draft(desk, values))


def with_new_secret(values: Values) -> Values:
    """The form with a signing secret that was made just now."""
    scheme: Scheme = "standard-webhooks" if values["scheme"] == "standard-webhooks" else "tracklayer"
    return values | {"scheme": scheme, "signing_secret": generate_secret(scheme, os.urandom(32))}


async def put_secret(desk: Desk, name: str, value: str) -> None:
    """Make a secret in place, or give one a new value. Raises `Refused`."""
    try:
        await desk.service.secrets.put(desk.workspace_id, name, value, author=desk.author)
    except Invalid as error:
        field = "secret_value" if error.pointer == "/value" else "secret_name"
        raise Refused({field: Problem(text=error.detail)}) from error


def _draft(desk: Desk, values: Values) -> DestinationDraft:
    draft, problems = inspect(desk, values)
    if problems:
        raise Refused(problems)
    return read_draft(encode_json(draft))


async def _is_tested(desk: Desk, draft: DestinationDraft) -> bool:
    if desk.standing is None or _differs(desk, draft):
        return False
    record = desk.standing.record
    return await has_passed_test(desk.service, desk.workspace_id, record.id, record.version)


def _differs(desk: Desk, draft: DestinationDraft) -> bool:
    if desk.standing is None:
        return True
    return bool(desk.service.destinations.planned(desk.workspace_id, desk.standing.id, draft))


async def _save(desk: Desk, draft: DestinationDraft, seen: int | None) -> Destination:
    destinations = desk.service.destinations
    if desk.standing is None:
        new = msgspec.structs.replace(draft, status=DestinationStatus.DRAFT)
        return await destinations.create(desk.workspace_id, new, author=desk.author)
    if not _differs(desk, draft):
        return desk.standing
    return await destinations.replace(desk.workspace_id, desk.standing.id, draft, author=desk.author, seen=seen)


async def _test_event(desk: Desk, sample: Sample) -> dict[str, Json] | None:
    """The sample as a caller's event, under no id: each test has its own."""
    if sample.choice == "own":
        try:
            return own_event(sample.text)
        except ValueError as error:
            raise Refused({"sample": Problem(text=f"This is not JSON: {error}")}) from error
    if not sample.choice.startswith("event:"):
        return None
    stored = await desk.service.history.event(desk.workspace_id, sample.choice.removeprefix("event:"))
    if stored is None:
        raise Refused({"sample": Problem(text="There is no such event any more: choose another one.")})
    fields = event_fields(stored.event)
    return {name: value for name, value in fields.items() if name not in ("event_id", "received_at")}
