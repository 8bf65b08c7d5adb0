"""Each step of the editor in one line."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from tracklayer.delivery.limits import PROFILES
from tracklayer.model.destination import Retry
from tracklayer.model.event import Json
from tracklayer.web.console.pages.editor_form import Values, read
from tracklayer.web.console.pages.forms import read_json
from tracklayer.web.console.pages.retry_timeline import Timeline, timeline
from tracklayer.web.console.words import duration

NO_BREAK, MAY_BREAK = "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}"


def summaries(values: Values, *, signed: bool) -> dict[str, str]:
    """Each step in one line; empty where there is nothing to say yet."""
    return {
        "transport": _transport_line(values, signed=signed),
        "filter": _filter_line(values),
        "template": _template_line(values),
        "retry": _retry_line(values),
    }


def _transport_line(values: Values, *, signed: bool) -> str:
    try:
        host = urlsplit(values["url"].strip()).netloc
    except ValueError:  # a bracket that does not close
        host = ""
    if not host:
        return ""
    count = _length(values["headers"])
    headers = [f"{count} header{'s' if count != 1 else ''}"] if count else []
    return _line(f"{values['method']} {host}", *headers, "signed" if signed else "not signed")


def _filter_line(values: Values) -> str:
    try:
        found = read_json(values["filter"]) if values["filter"].strip() else {}
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    keys = [
        ", ".join(map(str, value)) if isinstance(value, list) and len(value) <= 2 else f"{key}"
        for key, value in found.items()
    ]
    consent = [f"needs {values['consent_requires'].strip()}"] if values["consent_requires"].strip() else []
    return _line(*(keys or ["every event"]), *consent)


def _template_line(values: Values) -> str:
    lines = values["template"].strip().count("\n") + 1
    shape = f"{lines} line{'s' if lines != 1 else ''}" if values["template"].strip() else "the canonical event"
    return _line(shape, f"missing: {values['on_missing']}", *(["schema"] if values["body_schema"].strip() else []))


def _retry_line(values: Values) -> str:
    drawn = planned(read(values, None).draft)
    if drawn is None:
        return ""
    retries = len(drawn.marks) - 1
    gives_up = duration(drawn.gives_up).replace(" ", NO_BREAK)
    line = f"{retries} retr{'y' if retries == 1 else 'ies'} in {gives_up}" if retries else "no retry"
    rate = values["rate"]
    pace = f"{PROFILES[rate]:g}" if rate in PROFILES else values["events_per_second"].strip() if rate else ""
    return _line(line, *([f"{pace}/s"] if pace else []))


def _line(first: str, *others: str) -> str:
    """The parts of a summary; only the first one, which may be long, is broken: a host behind its dots."""
    return " · ".join([first.replace(".", f".{MAY_BREAK}"), *(each.replace(" ", NO_BREAK) for each in others)])


def _length(headers: str) -> int:
    try:
        found = read_json(headers) if headers.strip() else {}
    except ValueError:
        return 0
    return len(found) if isinstance(found, dict) else 0


def planned(draft: dict[str, Json]) -> Timeline | None:
    """The attempts of a draft on a line; None for a retry policy that is not possible."""
    try:
        return timeline(msgspec.convert(draft["retry"], Retry))
    except msgspec.ValidationError:
        return None
