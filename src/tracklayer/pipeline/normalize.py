"""One decoded JSON object, as a caller wrote it, becomes the canonical event (docs/event.md).

Nothing is lost in silence. An unknown top-level field, the loser where a field and its alias are both given, and a
caller's own `received_at` are kept under `context.extra`; a name that is taken there gets a number (`foo_2`).
A null says nothing: the field counts as absent. A value that cannot be understood stays as it is. What is changed
stands in `context.normalized`; an event that is canonical passes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tracklayer.errors import Invalid
from tracklayer.model.event import Event, Json
from tracklayer.model.event_time import parse_event_time
from tracklayer.model.moment import rfc3339
from tracklayer.model.rules import DEFAULT_RULES, WorkspaceRules
from tracklayer.pipeline.bounds import (
    Place,
    Watched,
    check_nested,
    identifier,
    json_object,
    text_of,
    wrong_kind,
)
from tracklayer.pipeline.changes import Changes, free_name, note, note_change, with_changes
from tracklayer.pipeline.clock_skew import correct_clock
from tracklayer.pipeline.consent_signals import plain_consent
from tracklayer.pipeline.event_names import canonical_name
from tracklayer.pipeline.money_and_places import IN_PROPERTIES, IN_USER_DATA, amend
from tracklayer.pipeline.personal import clean_email, clean_phone, drop_personal, hash_contact

MAX_SEGMENTS = 100

_ALIASES = ("timestamp", "event_time", "user_id", "anonymous_id", "custom_data")
_KNOWN = frozenset((*Event.__struct_fields__, *_ALIASES))
_USER_ALIASES = (("user_id", "external_id"), ("anonymous_id", "anonymous_id"))  # at the top, and in user_data
_SENT_AT = ("sent_at", "sentAt")  # kept in `context.extra`, as what no field knows
_NO_TEXTS: Watched = {}


def normalize(fields: Json, *, now: float, new_id: Callable[[], str], rules: WorkspaceRules = DEFAULT_RULES) -> Event:
    """The canonical event that `fields` (a JSON object, its fractions as `Decimal`) describes, by `rules`.

    `now` is unix seconds and becomes `received_at`; `new_id` makes the id of an event that brings none. What is not
    changed is shared with `fields`, not copied. Raises `Invalid`, its pointer into `fields`.
    """
    if not isinstance(fields, Mapping):
        raise wrong_kind(fields, "", "an object with the fields of one event")
    received_at = rfc3339(now)
    changes: Changes = []
    extra = {name: value for name, value in fields.items() if name not in _KNOWN}
    if fields.get("received_at") not in (None, received_at):
        extra["received_at"] = fields["received_at"]
    properties_name, properties = _choose(fields, extra, "properties", "custom_data")
    time_name, time = _choose(fields, extra, "occurred_at", "timestamp", "event_time")
    event_id = fields.get("event_id")
    event = Event(
        event_id=new_id() if event_id is None else _event_id(event_id),
        event_name=_event_name(fields.get("event_name"), rules, changes),
        occurred_at=received_at if time is None else _occurred_at(fields, time, f"/{time_name}", now, rules, changes),
        received_at=received_at,
        platform=_platform(fields.get("platform")),
        segment=_segment(fields.get("segment")),
        user_data=_user_data(fields, extra, rules, changes),
        properties=_properties(properties, f"/{properties_name}", changes),
        consent=_consent(fields.get("consent"), extra, changes),
        context=_context(fields.get("context"), extra, changes),  # last: by now both are complete
    )
    return drop_personal(event) if rules.drop_pii else event


def _choose(fields: Mapping[str, Json], extra: dict[str, Json], *names: str) -> tuple[str, Json]:
    """The first of `names` that is given, and its value; a later one that says something else goes to `extra`."""
    chosen, value = names[0], None
    for name in names:
        given = fields.get(name)
        if given is None:
            continue
        if value is None:
            chosen, value = name, given
        elif given != value:
            extra[name] = given
    return chosen, value


def _occurred_at(
    fields: Mapping[str, Json], value: Json, at: str, now: float, rules: WorkspaceRules, changes: Changes
) -> str:
    """When it happened, in UTC, by our clock. Only what is more than another way to write the same is noted."""
    try:
        occurred_at = parse_event_time(value)
    except Invalid as error:
        raise error.under(at) from None
    sent_at = next((fields[name] for name in _SENT_AT if fields.get(name) is not None), None)
    if sent_at is not None and rules.clock_skew and (found := correct_clock(occurred_at, sent_at, now)):
        corrected, behind = found
        why = f"by our clock: the sender's was {abs(behind) / 1000:g} s {'behind' if behind > 0 else 'ahead'}"
        note_change(changes, ("occurred_at",), value, why)
        return corrected
    if type(value) is not str:
        note_change(changes, ("occurred_at",), value, "unix time as RFC 3339")
    elif value != occurred_at and not occurred_at.startswith(value.strip()[:19].upper().replace(" ", "T")):
        note_change(changes, ("occurred_at",), value, "in UTC")
    return occurred_at


def _event_id(value: Json) -> str:
    return text_of(str(value) if type(value) is int else value, "/event_id")


def _event_name(value: Json, rules: WorkspaceRules, changes: Changes) -> str:
    if value is None:
        raise Invalid(
            "event_name is missing: expected the name of what happened, such as purchase",
            code="required",
            pointer="/event_name",
        )
    called = text_of(value.strip() if type(value) is str else value, "/event_name")
    name = canonical_name(called, rules.names_by_key)
    if name != value:
        note_change(changes, ("event_name",), value, "trimmed" if name == called else "the canonical name")
    return name


def _platform(value: Json) -> str | None:
    return None if value is None or value == "" else text_of(value, "/platform")


def _segment(value: Json) -> list[str]:
    if value is None or value == "":
        return []
    if type(value) is str:
        return [text_of(value, "/segment")]
    if type(value) is not list:
        raise wrong_kind(value, "/segment", "a list of audience names, or one name")
    if len(value) > MAX_SEGMENTS:
        raise Invalid(
            f"segment has {len(value)} names: expected at most {MAX_SEGMENTS}", code="too_many", pointer="/segment"
        )
    return [text_of(name, f"/segment/{index}") for index, name in enumerate(value)]


def _user_data(
    fields: Mapping[str, Json], extra: dict[str, Json], rules: WorkspaceRules, changes: Changes
) -> dict[str, Json]:
    """`user_data` with its aliases, its ids as text, and its e-mail and phone cleaned and hashed."""
    given_user = json_object(fields.get("user_data"), "/user_data")
    places = _check(given_user, "/user_data", IN_USER_DATA)
    user = dict(amend(given_user, "user_data", places, changes))
    for alias, name in _USER_ALIASES:
        given, value = fields.get(alias), user.get(name)
        if value is not None:
            user[name] = identifier(value, f"/user_data/{name}")
            if given is not None and given not in (value, user[name]):
                extra[alias] = given
        elif given is not None:
            user[name] = identifier(given, f"/{alias}")

    superseded: dict[str, Json] = {}
    hash_contact(user, "email", clean_email, superseded, changes)
    hash_contact(user, "phone", lambda text: clean_phone(text, rules.default_region), superseded, changes)
    if superseded:
        extra["user_data"] = superseded
    return user


def _properties(value: Json, at: str, changes: Changes) -> dict[str, Json]:
    properties = json_object(value, at)
    return amend(properties, "properties", _check(properties, at, IN_PROPERTIES), changes)


def _consent(value: Json, extra: dict[str, Json], changes: Changes) -> dict[str, Json]:
    """Category → state; what is no state is kept in `extra`."""
    said = plain_consent(value)
    if said.unread:
        extra["consent"] = said.unread
        for name in said.unread:
            note(changes, ("consent", name), "no state that can be read: kept in context.extra.consent")
    return dict(said.states)


def _context(value: Json, extra: dict[str, Json], changes: Changes) -> dict[str, Json]:
    """`context`, with `extra` added to what the caller has in `context.extra`, and with `changes`."""
    context = json_object(value, "/context")
    _check(context, "/context", _NO_TEXTS)
    kept = context.get("extra")
    if kept is not None and type(kept) is not dict:
        raise wrong_kind(kept, "/context/extra", "an object: unknown fields are kept in it")
    if extra:
        check_nested(extra, 3)
        merged = dict(kept or {})
        for name, loose in extra.items():
            merged[free_name(merged, name)] = loose
        context = {**context, "extra": merged}
    return with_changes(context, changes) if changes or "normalized" in context else context


def _check(value: dict[str, Json], at: str, watched: Watched) -> list[Place]:
    """Check one of the event's own objects all the way down; answers where it has texts that are not canonical."""
    try:
        return check_nested(value, 2, watched)
    except Invalid as error:
        raise error.under(at) from None
