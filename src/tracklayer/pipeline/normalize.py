"""One decoded JSON object, as a caller wrote it, becomes the canonical event (product.md, "Canonical event").

Nothing is lost in silence. An unknown top-level field, the loser where a field and its alias are both given, and a
caller's own `received_at` are kept under `context.extra`; a name that is taken there gets a number (`foo_2`).
A null says nothing: the field counts as absent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Event, Json
from tracklayer.model.event_time import parse_event_time
from tracklayer.model.moment import rfc3339

MAX_DEPTH = 32  # objects and lists inside each other; the event itself is the first
MAX_TEXT = 200  # characters of event_id, event_name, platform and a segment's name
MAX_SEGMENTS = 100
MAX_EXPONENT = 400  # of a number with a fraction: a double ends at 308, and 1e999999999 written out fills the memory

_ALIASES = ("timestamp", "event_time", "user_id", "anonymous_id", "custom_data")
_KNOWN = frozenset((*Event.__struct_fields__, *_ALIASES))
_USER_ALIASES = (("user_id", "external_id"), ("anonymous_id", "anonymous_id"))  # at the top, and in user_data

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_EMAIL = re.compile(".+@.+", re.DOTALL)  # what is worth hashing: the hash of "n/a" would make strangers one person
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def normalize(fields: Json, *, now: float, new_id: Callable[[], str]) -> Event:
    """The canonical event that `fields` (a JSON object, its fractions as `Decimal`) describes.

    `now` is unix seconds and becomes `received_at`; `new_id` makes the id of an event that brings none. What is not
    changed is shared with `fields`, not copied. Raises `Invalid`, its pointer into `fields`.
    """
    if not isinstance(fields, Mapping):
        raise _wrong_kind(fields, "", "an object with the fields of one event")
    received_at = rfc3339(now)
    extra = {name: value for name, value in fields.items() if name not in _KNOWN}
    if fields.get("received_at") not in (None, received_at):
        extra["received_at"] = fields["received_at"]
    properties_name, properties = _choose(fields, extra, "properties", "custom_data")
    time_name, time = _choose(fields, extra, "occurred_at", "timestamp", "event_time")
    event_id = fields.get("event_id")
    return Event(
        event_id=new_id() if event_id is None else _event_id(event_id),
        event_name=_event_name(fields.get("event_name")),
        occurred_at=received_at if time is None else _occurred_at(time, f"/{time_name}"),
        received_at=received_at,
        platform=_platform(fields.get("platform")),
        segment=_segment(fields.get("segment")),
        user_data=_user_data(fields, extra),
        properties=_object(properties, f"/{properties_name}"),
        consent=_consent(fields.get("consent")),
        context=_context(fields.get("context"), extra),  # last: by now `extra` is complete
    )


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


def _occurred_at(value: Json, at: str) -> str:
    try:
        return parse_event_time(value)
    except Invalid as error:
        raise error.under(at) from None


def _event_id(value: Json) -> str:
    return _text(str(value) if type(value) is int else value, "/event_id")


def _event_name(value: Json) -> str:
    if value is None:
        raise Invalid(
            "event_name is missing: expected the name of what happened, such as purchase",
            code="required",
            pointer="/event_name",
        )
    return _text(value.strip() if type(value) is str else value, "/event_name")


def _platform(value: Json) -> str | None:
    return None if value is None or value == "" else _text(value, "/platform")


def _segment(value: Json) -> list[str]:
    if value is None or value == "":
        return []
    if type(value) is str:
        return [_text(value, "/segment")]
    if type(value) is not list:
        raise _wrong_kind(value, "/segment", "a list of audience names, or one name")
    if len(value) > MAX_SEGMENTS:
        raise Invalid(
            f"segment has {len(value)} names: expected at most {MAX_SEGMENTS}", code="too_many", pointer="/segment"
        )
    return [_text(name, f"/segment/{index}") for index, name in enumerate(value)]


def _user_data(fields: Mapping[str, Json], extra: dict[str, Json]) -> dict[str, Json]:
    """`user_data` with its aliases, its ids as text, and its e-mail and phone cleaned and hashed."""
    user = dict(_object(fields.get("user_data"), "/user_data"))
    for alias, name in _USER_ALIASES:
        given, value = fields.get(alias), user.get(name)
        if value is not None:
            user[name] = _identifier(value, f"/user_data/{name}")
            if given is not None and given not in (value, user[name]):
                extra[alias] = given
        elif given is not None:
            user[name] = _identifier(given, f"/{alias}")
    superseded: dict[str, Json] = {}
    _contact(user, superseded, "email", str.lower, _EMAIL)
    _contact(user, superseded, "phone", str, _E164)
    if superseded:
        extra["user_data"] = superseded
    return user


def _contact(
    user: dict[str, Json],
    superseded: dict[str, Json],
    name: str,
    fold: Callable[[str], str],
    hashable: re.Pattern[str],
) -> None:
    """Clean `user[name]`, and where `user[name + "_hash"]` is empty put its lower-case hex SHA-256 there.

    A value that is a hash already moves there; where another hash stands, that one wins and the value is `superseded`.
    """
    hash_name = f"{name}_hash"
    digest = user.get(hash_name)
    if digest is not None:
        digest = _identifier(digest, f"/user_data/{hash_name}").strip()
        user[hash_name] = digest = digest.lower() if _SHA256.fullmatch(digest) else digest
    value = user.get(name)
    if value is None:
        return
    text = fold(_identifier(value.strip() if type(value) is str else value, f"/user_data/{name}"))
    if _SHA256.fullmatch(text):
        del user[name]
        text = text.lower()
        if not digest:
            user[hash_name] = text
        elif digest != text:
            superseded[name] = text
        return
    user[name] = text
    if not digest and hashable.fullmatch(text):
        user[hash_name] = hashlib.sha256(text.encode()).hexdigest()


def _consent(value: Json) -> dict[str, Json]:
    consent = {}
    for category, state in _object(value, "/consent").items():
        word = state.lower() if type(state) is str else state
        if word is True or word == "granted":
            consent[category] = "granted"
        elif word is False or word == "denied":
            consent[category] = "denied"
        else:
            shown = f'"{state[:40]}"' if type(state) is str else _kind(state)
            raise Invalid(
                f"consent for {category[:40]} is {shown}: expected granted, denied, true or false",
                code="invalid_consent",
                pointer=pointer("consent", category),
            )
    return consent


def _context(value: Json, extra: dict[str, Json]) -> dict[str, Json]:
    """`context`, with `extra` added to what the caller has in `context.extra`."""
    context = _object(value, "/context")
    kept = context.get("extra")
    if kept is not None and type(kept) is not dict:
        raise _wrong_kind(kept, "/context/extra", "an object: unknown fields are kept in it")
    if not extra:
        return context
    _check_nested(extra, 3)
    merged = dict(kept or {})
    for name, loose in extra.items():
        key, number = name, 2
        while key in merged:
            key, number = f"{name}_{number}", number + 1
        merged[key] = loose
    return {**context, "extra": merged}


def _object(value: Json, at: str) -> dict[str, Json]:
    """One of the event's own objects, checked all the way down; null is an empty one."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise _wrong_kind(value, at, "an object")
    try:
        _check_nested(value, 2)
    except Invalid as error:
        raise error.under(at) from None
    return value


def _check_nested(value: dict[str, Json] | list[Json], depth: int) -> None:
    """Refuse what stands too deep below `value`, itself at `depth`, and numbers that cannot be written out."""
    if depth > MAX_DEPTH:
        raise Invalid(f"nested too deeply: expected at most {MAX_DEPTH} levels", code="too_deep", pointer="")
    items: Iterable[tuple[str | int, Json]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        kind = type(item)
        if kind is dict or kind is list:
            try:
                _check_nested(item, depth + 1)
            except Invalid as error:
                raise error.under(pointer(key)) from None
        elif kind is Decimal and not -MAX_EXPONENT <= item.adjusted() <= MAX_EXPONENT:
            raise _out_of_range(pointer(key))


def _identifier(value: Json, at: str) -> str:
    """What names a person, as text; a number is written out."""
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:  # its exponent was checked with the object, or is an alias's
        if not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
            raise _out_of_range(at)
        return f"{value:f}"
    return _printable(value, at)


def _text(value: Json, at: str) -> str:
    text = _printable(value, at)
    if not text:
        raise Invalid(f"{at[1:]} is empty: expected 1 to {MAX_TEXT} characters", code="empty", pointer=at)
    if len(text) > MAX_TEXT:
        raise Invalid(f"{at[1:]} has {len(text)} characters: expected at most {MAX_TEXT}", code="too_long", pointer=at)
    return text


def _printable(value: Json, at: str) -> str:
    """`value`, a text without control characters: headers cannot carry them, nor PostgreSQL's texts a NUL."""
    if type(value) is not str:
        raise _wrong_kind(value, at, "a string")
    if not value.isprintable() and (found := _CONTROL.search(value)):
        raise Invalid(
            f"{at[1:]} has the control character U+{ord(found[0]):04X} at {found.start()}: expected plain text",
            code="control_character",
            pointer=at,
        )
    return value


def _out_of_range(at: str) -> Invalid:
    return Invalid(
        f"a number is out of range: expected an exponent from -{MAX_EXPONENT} to {MAX_EXPONENT}",
        code="number_out_of_range",
        pointer=at,
    )


def _wrong_kind(value: Json, at: str, expected: str) -> Invalid:
    return Invalid(f"{at[1:] or 'the event'} is {_kind(value)}: expected {expected}", code="invalid_type", pointer=at)


def _kind(value: Json) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
