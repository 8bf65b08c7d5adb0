"""Who it was: e-mail and phone hashed, and what is personal dropped where the workspace wants that."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tracklayer.model.event import Event, Json
from tracklayer.model.phone import e164
from tracklayer.pipeline.bounds import Place, identifier
from tracklayer.pipeline.changes import Changes, note, note_change, with_changes

LONGEST_NAME = 60  # characters of a field's name that is looked at

_SHA256 = re.compile("[0-9a-fA-F]{64}")
_EMAIL = re.compile(".+@.+", re.DOTALL)  # what is worth hashing: the hash of "n/a" would make strangers one person

# Names of fields: their words in lower case, joined.
_LAST_NAMES = """
email emails firstname lastname middlename givenname surname birthday birthdate dateofbirth dob ip ips ipv forwardedfor
phone phones telephone mobilephone cellphone whatsapp fax
address addresses addressline street streetname streetnumber housenumber
"""  # whatever stands before them, as in `contact_email`
_ANYWHERE_NAMES = "mail em mobile mobiles tel ph fullname familyname fn ln fname lname remoteaddr addr"
_OF_WHOM_NAMES = (
    "name username zip zipcode postal postalcode postcode latitude longitude"  # or a product's, or anything's
)
_PERSON_NAMES = """
traits customer recipient buyer contact user person
cardholder holder guest payer purchaser receiver subscriber passenger attendee
"""
_CALLED = ("phone", "mobile", "mobilephone", "telephone", "tel", "cellphone", "whatsapp", "fax")
_NUMBERS = {called + number for called in _CALLED for number in ("number", "numbers", "no", "nr")}
_LAST = frozenset(_LAST_NAMES.split()) | _NUMBERS
_ANYWHERE = _LAST | set(_ANYWHERE_NAMES.split())
_OF_WHOM = _ANYWHERE | set(_OF_WHOM_NAMES.split())
_OF_SOMEBODY = _OF_WHOM | {"zp", "db", "line"}
_PERSONS = frozenset(_PERSON_NAMES.split())
_WHOSE = _PERSONS | {"shipping", "billing", "delivery", "address"}  # `customer_name` is read as the name of a customer
_WRAPPINGS = ("list", "raw")  # as in `email_list`
_NO_HOMES = ("webaddress", "websiteaddress", "siteaddress")
_WORD = re.compile("[A-Z]*[a-z0-9]+|[A-Z]+")
_ADDRESS = re.compile("(?<!email)(?<!ip)(?<!street)address(es)?$")
_EXTRA: Place = ("context", "extra")
_DROPPED = "personal: dropped by the workspace's rule drop_pii"


class _Name(NamedTuple):
    """What the name of a field tells of what stands there."""

    anywhere: bool  # it is personal
    of_somebody: bool  # it is personal in what is told of somebody, or of where somebody lives
    somebody: bool  # an object there tells that


_NOTHING = _Name(anywhere=False, of_somebody=False, somebody=False)


class Contact(NamedTuple):
    """An e-mail address or a phone number, cleaned."""

    text: str
    hashable: bool  # whether it is one at all
    why: str  # what was done to it, or why it is none


def clean_email(text: str) -> Contact:
    """An e-mail address without spaces around it, in lower case."""
    hashable = _EMAIL.fullmatch(text) is not None
    return Contact(text.lower(), hashable, "trimmed, in lower case" if hashable else "no e-mail address: not hashed")


def clean_phone(text: str, region: str) -> Contact:
    """A phone number as E.164; `region` is where one without a calling code is at home."""
    written = e164(text, region)
    if written is None:
        return Contact(text, False, f"no possible phone number, with {region} as its region: not hashed")
    return Contact(written, True, f"E.164, with {region} as its region")


def hash_contact(
    user: dict[str, Json],
    name: str,
    clean: Callable[[str], Contact],
    superseded: dict[str, Json],
    changes: Changes,
) -> None:
    """Clean `user[name]`, and where `user[name + "_hash"]` is empty put its lower-case hex SHA-256 there.

    A value that is a hash already moves there; where another hash stands, that one wins and the value is `superseded`.
    """
    hash_name = f"{name}_hash"
    digest = user.get(hash_name)
    if digest is not None:
        digest = identifier(digest, f"/user_data/{hash_name}").strip()
        user[hash_name] = digest = digest.lower() if _SHA256.fullmatch(digest) else digest
    sent = user.get(name)
    if sent is None:
        return
    given = identifier(sent.strip() if type(sent) is str else sent, f"/user_data/{name}")
    if _SHA256.fullmatch(given):
        del user[name]
        hashed = given.lower()
        if not digest:
            user[hash_name] = hashed
            note(changes, ("user_data", name), f"a SHA-256 already: moved to {hash_name}")
        elif digest != hashed:
            superseded[name] = hashed
        return
    text, hashable, why = clean(given)
    if text != sent:
        user[name] = text
        note_change(changes, ("user_data", name), sent, why)
    elif text and not hashable:
        note(changes, ("user_data", name), why)
    if not digest and hashable:
        user[hash_name] = hashlib.sha256(text.encode()).hexdigest()


def drop_personal(event: Event) -> Event:
    """`event` without raw personal data, hashes kept; what went stands in `context.normalized` without its value.

    By the names of fields, at any depth; texts are not searched. Dropping again changes nothing.
    """
    gone: list[Place] = []
    context = {name: value for name, value in event.context.items() if name != "normalized"}
    context = _without(context, ("context",), gone)
    if "normalized" in event.context:
        context["normalized"] = [_unquoted(change) for change in event.context["normalized"]]
    user_data = _without(event.user_data, ("user_data",), gone, of_somebody=True)
    properties = _without(event.properties, ("properties",), gone)
    changes: Changes = []
    for place in gone:
        note(changes, place, _DROPPED)
    return msgspec.structs.replace(
        event, user_data=user_data, properties=properties, context=with_changes(context, changes)
    )


def _without(value: Json, place: Place, gone: list[Place], *, of_somebody: bool = False) -> Json:
    """A copy of `value`, at `place`, without what is personal in it; `of_somebody`: it tells of a person."""
    if type(value) is list:
        return [_without(each, (*place, index), gone, of_somebody=of_somebody) for index, each in enumerate(value)]
    if type(value) is not dict:
        return value
    kept = {}
    for name, inner in value.items():
        read = _name(name)
        is_somebody = read.somebody and _is_made_of_objects(inner)
        is_personal = read.of_somebody if of_somebody else read.anywhere
        if is_personal and not is_somebody and not _tells_nobody(inner):
            gone.append((*place, name))
            if place[:2] == _EXTRA and str(*place[2:3]).startswith("consent"):
                kept[name] = 0  # that something was said of this category counts, see `unread_categories`
        else:
            kept[name] = _without(inner, (*place, name), gone, of_somebody=of_somebody or is_somebody)
    return kept


def _is_made_of_objects(value: Json) -> bool:
    return type(value) is dict or (type(value) is list and all(type(each) is dict for each in value))


def _tells_nobody(value: Json) -> bool:
    """Whether a value is nothing, a flag, or hashed."""
    if type(value) is list:
        return all(map(_tells_nobody, value))
    return value in (None, "", 0, 1) or (type(value) is str and bool(_SHA256.fullmatch(value)))


def _unquoted(change: dict[str, Json]) -> dict[str, Json]:
    """A change without what was sent, where that was personal."""
    if not _name(change["path"].rpartition(".")[2]).of_somebody:
        return change
    return {name: value for name, value in change.items() if name != "from"}


def _name(name: str) -> _Name:
    return _short_name(name) if len(name) <= LONGEST_NAME else _NOTHING


@lru_cache(maxsize=4_096)
def _short_name(name: str) -> _Name:
    """`firstName`, `first_name` and `First Name` are one; `contact_email` is an `email`, and so is `email_2`."""
    words = [word.lower() for word in _WORD.findall(name.rstrip("0123456789_- "))]
    if len(words) > 1 and words[-1] in _WRAPPINGS:
        words.pop()
    if not words:
        return _NOTHING
    whole = "".join(words)
    anywhere = whole not in _NO_HOMES and (
        whole in _ANYWHERE
        or any("".join(words[-length:]) in _LAST for length in (1, 2, 3))
        or any(words[at - 1] in _WHOSE and "".join(words[at:]) in _OF_WHOM for at in range(1, len(words)))
    )
    return _Name(
        anywhere=anywhere,
        of_somebody=anywhere or whole in _OF_SOMEBODY,
        somebody=words[-1].removesuffix("s") in _PERSONS or words[-1] in _PERSONS or _ADDRESS.search(whole) is not None,
    )
