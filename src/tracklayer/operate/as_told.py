"""A stored event as its sender told it, so that it can be tried anew: what was known beside it is asked again."""

from __future__ import annotations

from tracklayer.model.event import Event, Json, event_fields

_SAID = ("event", "gpc")  # whom the sender passes on; the rest is remembered of the user, or a default


def without_added_audiences(event: Event) -> dict[str, Json]:
    """The fields of `event`, its segment without the names that the workspace's audiences have added."""
    notes = event.context.get("enriched")
    added: set[Json] = set()
    for note in notes if isinstance(notes, list) else ():
        if isinstance(note, dict) and note.get("by") == "audiences" and isinstance(names := note.get("names"), list):
            added.update(name for name in names if isinstance(name, str))
    return event_fields(event) | {"segment": [name for name in event.segment if name not in added]}


def without_known_consent(event: Event) -> dict[str, Json]:
    """The fields of `event`, its consent without what was remembered of its user and without the defaults."""
    said = {category: state for category, state in event.consent.items() if consent_source(event, category)[0] in _SAID}
    context = {name: value for name, value in event.context.items() if name != "consent"}
    theirs = event.context.get("consent")
    if isinstance(theirs, dict):
        kept = {name: value for name, value in theirs.items() if name not in ("by", "at", "categories")}
        context |= {"consent": kept} if kept else {}
    return event_fields(event) | {"consent": said, "context": context}


def consent_source(event: Event, category: str) -> tuple[str, str | None]:
    """Who has said where one category of an event stands (`pipeline.consent.Standing.by`), and when (RFC 3339)."""
    told = event.context.get("consent")
    told = told if isinstance(told, dict) else {}
    each = told.get("categories")
    source = each.get(category, told) if isinstance(each, dict) else told
    by, at = (source.get("by"), source.get("at")) if isinstance(source, dict) else (None, None)
    return by if isinstance(by, str) else "event", at if isinstance(at, str) else None
