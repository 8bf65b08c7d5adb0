"""Taking fields out of an event, for a destination that may have only the rest of it.

A field goes wherever the event has it: with `user_data.email` goes what `context.traits` and `context.extra` say of
the e-mail, in any spelling that is understood elsewhere, and what it was before normalization. What was made from it
(`email_hash`) is a field of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from tracklayer.errors import Invalid
from tracklayer.model.event import Event, Json
from tracklayer.pipeline.known_user import ADDRESS, TRAITS

MAX_PATHS = 100
MAX_PATH = 256  # characters

Redaction: TypeAlias = tuple[tuple[str, ...], ...]
"""Places in an event."""

_WHOLE = ("platform", "segment")  # fields that have no parts
_PARTS = ("user_data", "properties", "context")
_PERMANENT = ("event_id", "event_name", "occurred_at", "received_at", "consent")
_NOTES = ("normalized", "enriched")  # lists in the context that say what became of which path
_LOSERS = {"user_data": "user_data", "properties": "custom_data"}  # in `context.extra`: what an alias said otherwise


def compile_redaction(paths: Sequence[str]) -> Redaction:
    """The places of dotted `paths`. Raises `Invalid` with a pointer to the path that is none."""
    if len(paths) > MAX_PATHS:
        raise Invalid(f"{len(paths)} paths: expected at most {MAX_PATHS}", code="too_many", pointer="/redact")
    return tuple(_place(path, f"/redact/{index}") for index, path in enumerate(paths))


def redact(event: Event, redaction: Redaction) -> Event:
    """`event` without what stands at the places; what is not there needs no taking out.

    Of a list a number is one item, which becomes null so that the others keep their places; a name is taken out of
    every item.
    """
    fields: dict[str, Json] = {name: getattr(event, name) for name in (*_WHOLE, *_PARTS)}
    for place in redaction:
        field, *rest = place
        fields[field] = _without(fields[field], rest) if rest else _EMPTY[field]
        if field in _LOSERS:
            fields["context"] = _without(fields["context"], ["extra", _LOSERS[field], *rest])
        if field == "user_data":
            context = _without_traits(_without_extra(fields["context"], rest), rest)
            extra = context.get("extra")  # also what a Segment call says of traits that are not its own
            fields["context"] = {**context, "extra": _without_traits(extra, rest)} if type(extra) is dict else context
    if redaction:
        fields["context"] = _without_notes(fields["context"], redaction)
    return msgspec.structs.replace(event, **fields)


def _key(name: str) -> str:
    """`firstName`, `first_name` and `First Name` are one."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _spellings() -> dict[str, frozenset[str]]:
    """Field of `user_data` → the other names under which an event may say the same, as `_key` has them."""
    others = {"external_id": {"userid"}, "first_name": {"name", "fullname"}, "last_name": {"name", "fullname"}}
    for trait, field in (*TRAITS.items(), *ADDRESS.items()):
        others.setdefault(field, set()).add(_key(trait))
    return {field: frozenset(names) for field, names in others.items()}


_OTHERS = _spellings()
_USER_FIELDS = (*_OTHERS, "anonymous_id", "email", "email_hash", "phone", "phone_hash")
_EMPTY: dict[str, Json] = {"platform": None, "segment": [], "user_data": {}, "properties": {}, "context": {}}


def _place(path: str, at: str) -> tuple[str, ...]:
    names = path.split(".")
    if len(path) > MAX_PATH or not all(names):
        raise _refused(f"{path[:40]!r} is not a path: expected names joined by dots, at most {MAX_PATH} characters", at)
    field = names[0]
    if field in _PERMANENT:
        raise _refused(f"{field} cannot be redacted: every destination that gets an event gets that", at)
    if field not in (*_WHOLE, *_PARTS):
        raise _refused(f"{field[:40]!r} is no field of an event: expected one of {', '.join((*_PARTS, *_WHOLE))}", at)
    if field in _WHOLE and len(names) > 1:
        raise _refused(f"{field} has no parts that could be redacted: expected {field} itself", at)
    return tuple(names)


def _refused(detail: str, at: str) -> Invalid:
    return Invalid(detail, code="invalid_redaction", pointer=at)


def _without(value: Json, place: Sequence[str]) -> Json:
    """`value` without what stands at `place`; the very same where nothing does."""
    name, rest = place[0], place[1:]
    if type(value) is list:
        if name.isascii() and name.isdigit():
            index = int(name)
            inner = (_without(value[index], rest) if rest else None) if index < len(value) else None
            return [*value[:index], inner, *value[index + 1 :]] if index < len(value) else value
        return [_without(item, place) for item in value]
    if type(value) is not dict or name not in value:
        return value
    if not rest:
        return {key: item for key, item in value.items() if key != name}
    return {**value, name: _without(value[name], rest)}


def _without_traits(context: Json, place: Sequence[str]) -> Json:
    """Without the known traits that say the same as a field of `user_data`, however they spell it."""
    traits = context.get("traits")
    if type(traits) is not dict:
        return context
    if not place:
        return _without(context, ["traits"])
    address = traits.get("address")
    for name in _same(traits, place[0]):
        context = _without(context, ["traits", name, *place[1:]])
    for name in _same(address, place[0]) if type(address) is dict else ():
        context = _without(context, ["traits", "address", name, *place[1:]])
    return context


def _without_extra(context: Json, place: Sequence[str]) -> Json:
    """Without what stood beside `user_data`, at the top of what was sent, and says the same as one of its fields."""
    extra = context.get("extra")
    if type(extra) is not dict:
        return context
    for name in [name for field in ([place[0]] if place else _USER_FIELDS) for name in _same(extra, field)]:
        context = _without(context, ["extra", name, *place[1:]])
    return context


def _same(names: Iterable[str], field: str) -> list[str]:
    """Those of `names` that say the same as a field of `user_data`."""
    wanted = _OTHERS.get(field, frozenset()) | {_key(field)}
    return [name for name in names if _key(name) in wanted]


def _without_notes(context: Json, redaction: Redaction) -> Json:
    """Without what notes on the redacted places quote."""
    taken = [_named(place) for place in redaction]
    for name in _NOTES:
        notes = context.get(name)
        if type(notes) is list:
            context = {**context, name: [_unquoted(note) if _is_on(note, taken) else note for note in notes]}
    return context


def _is_on(note: Json, taken: Sequence[tuple[str, ...]]) -> bool:
    if type(note) is not dict:
        return False
    paths = note.get("paths")
    paths = paths if type(paths) is list else [note.get("path")]
    noted = [_named(path.split(".")) for path in paths if type(path) is str]
    return any(each[: len(place)] == place[: len(each)] for each in noted for place in taken)


def _named(place: Sequence[str]) -> tuple[str, ...]:
    """A place without the numbers of items."""
    return tuple(name for name in place if not name.isdigit())


def _unquoted(note: Json) -> Json:
    return (
        {key: value for key, value in note.items() if key in ("path", "paths", "why", "by")}
        if type(note) is dict
        else None
    )
