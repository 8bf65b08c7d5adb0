"""What the editor shows beside its form: what is wrong, and what a save would send for an event."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tracklayer.catalog import Destination
from tracklayer.errors import NotFound, TrackLayerError
from tracklayer.model.event import Event, Json, decode_json, encode_json
from tracklayer.model.records import VersionRecord
from tracklayer.operate.draft import DestinationDraft, read_draft
from tracklayer.operate.rehearsal import Rehearsal
from tracklayer.service import Service
from tracklayer.store.history import StoredEvent
from tracklayer.web.console.pages.editor_form import Problem, Values, placed, read
from tracklayer.web.console.pages.editor_summaries import planned, summaries
from tracklayer.web.console.pages.forms import read_json
from tracklayer.web.console.pages.retry_timeline import Timeline
from tracklayer.web.console.words import pretty, sentence

SHORT = 60  # bytes of a body that need not be indented
SAMPLES = 25  # recent events in the picker
NOWHERE = "https://the-url.is.not.set.yet"
"""Stands for the URL of a form that has none, so that the rest can be looked at."""


class Desk(NamedTuple):
    """Who edits what: a new destination where there is no standing one."""

    service: Service
    workspace_id: str
    author: str
    standing: Destination | None

    @property
    def standing_id(self) -> str | None:
        """The id of the destination that stands."""
        return self.standing.id if self.standing else None


class Sample(NamedTuple):
    """Which event is looked at: `synthetic`, `own` (then `text` is it), or an event's id after `event:`."""

    choice: str
    text: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A form, looked at."""

    problems: dict[str, Problem]
    summaries: dict[str, str]
    timeline: Timeline | None
    rehearsal: Rehearsal | None  # with the filter and the consent of the form
    sent: Rehearsal | None  # with neither, so that there is a request to see; None where nothing can be rendered
    sample_problem: str | None
    absent: list[str]  # secrets that are used and do not exist


async def look(desk: Desk, values: Values, sample: Sample) -> Look:
    """Everything that the editor says about a form as it stands. Never raises for what somebody typed."""
    found, problems = inspect(desk, values)
    hidden = {field for field in ("name", "url") if not values[field].strip()}
    blamed = {field: problem for field, problem in problems.items() if field not in hidden}
    rehearsal = sent = sample_problem = None
    absent: list[str] = []
    if not blamed:
        try:
            event = await _event(desk, sample)
            draft = _filled(found)
            rehearsal, sent = await _rehearsed(desk, draft, event)
            drafted = desk.service.destinations.drafted(desk.workspace_id, draft, standing_id=desk.standing_id)
            absent = desk.service.rehearsals.absent_secrets(drafted)
        except (TrackLayerError, ValueError) as error:
            sample_problem = error.detail if isinstance(error, TrackLayerError) else f"This is not JSON: {error}"
    return Look(
        problems=blamed,
        summaries=summaries(values, signed=_signed(desk, values)),
        timeline=planned(found),
        rehearsal=rehearsal,
        sent=sent,
        sample_problem=sample_problem,
        absent=absent,
    )


def inspect(desk: Desk, values: Values) -> tuple[dict[str, Json], dict[str, Problem]]:
    """The draft of a form, and by field everything for which a save would be refused."""
    form = read(values, desk.standing.plan.config if desk.standing else None)
    problems = dict(form.problems)
    for problem in desk.service.rehearsals.checks(desk.workspace_id, form.draft, standing_id=desk.standing_id):
        field, said = placed(problem, values)
        problems.setdefault(field, said)
    return form.draft, problems


async def samples(desk: Desk, chosen: str) -> list[StoredEvent]:
    """The events of the picker: the newest ones, and the chosen one where it is older."""
    recent = await desk.service.recent.events(desk.workspace_id, SAMPLES)
    event_id = chosen.removeprefix("event:")
    if chosen == event_id or any(stored.event.event_id == event_id for stored in recent):
        return recent
    found = await desk.service.history.event(desk.workspace_id, event_id)
    return [found, *recent] if found else recent


async def last_version(desk: Desk) -> VersionRecord | None:
    """The newest version, for a conflict to say whose it is."""
    if desk.standing is None:
        return None
    versions = await desk.service.destinations.versions(desk.workspace_id, desk.standing.id)
    return versions[0] if versions else None


def indented(body: bytes) -> str | None:
    """A body on one line, as JSON over several; None where that makes it no easier to read."""
    try:
        return pretty(decode_json(body)) if b"\n" not in body and len(body) > SHORT else None
    except (msgspec.DecodeError, RecursionError, ArithmeticError, UnicodeError):
        return None


def problem_texts(problems: dict[str, Problem]) -> str:
    """For the script: field → what is wrong with it, as JSON."""
    places = {
        field: f"Line {each.line}, column {each.column}: {sentence(each.text)}" if each.line else sentence(each.text)
        for field, each in problems.items()
    }
    return encode_json(places).decode()


def problem_marks(problems: dict[str, Problem], field: str) -> str:
    """For an editor: the places in a field that are wrong, as JSON."""
    found = problems.get(field)
    marks = [] if found is None else [{"line": found.line or 1, "column": found.column or 1, "message": found.text}]
    return encode_json(marks).decode()


def missing_marks(look: Look) -> str:
    """For the editor of the template: the places of what the event lacks, as JSON."""
    missing = look.sent.missing if look.sent else ()
    places = [
        {"line": each.line, "column": each.column, "path": each.path} for each in missing if each.pointer == "/template"
    ]
    return encode_json(places).decode()


def own_event(text: str) -> dict[str, Json]:
    """The event that somebody pasted. Raises `ValueError`."""
    found = read_json(text)
    if not isinstance(found, dict):
        raise ValueError("an event is a JSON object")
    return found


async def _event(desk: Desk, sample: Sample) -> Event | None:
    if sample.choice == "own":
        return await desk.service.rehearsals.event(desk.workspace_id, own_event(sample.text))
    if not sample.choice.startswith("event:"):
        return None
    event_id = sample.choice.removeprefix("event:")
    stored = await desk.service.history.event(desk.workspace_id, event_id)
    if stored is None:
        raise NotFound(f"There is no event {event_id} any more: choose another one.")
    return stored.event


def _filled(draft: dict[str, Json]) -> DestinationDraft:
    """The draft with a name and a URL where it has none yet."""
    filled = draft | {"name": draft.get("name") or "draft", "transport": {"url": NOWHERE} | draft["transport"]}
    return read_draft(encode_json(filled))


async def _rehearsed(desk: Desk, draft: DestinationDraft, event: Event | None) -> tuple[Rehearsal, Rehearsal]:
    async def rehearse(draft: DestinationDraft) -> Rehearsal:
        rehearse_draft = desk.service.rehearsals.rehearse_draft
        return await rehearse_draft(desk.workspace_id, draft, event, standing_id=desk.standing_id, without_secrets=True)

    found = await rehearse(draft)
    if found.prepared is not None or found.failure is not None:
        return found, found
    return found, await rehearse(msgspec.structs.replace(draft, filter=None, consent=None))


def _signed(desk: Desk, values: Values) -> bool:
    standing = desk.standing is not None and desk.standing.signing_secret is not None
    return bool(values["scheme"]) and (standing or bool(values["signing_secret"]))
