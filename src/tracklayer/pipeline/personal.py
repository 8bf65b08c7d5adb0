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

# By the keys that `_key` makes of the names of fields.
_ANYWHERE_NAMES = """
email emails emailaddress mail em phone phones phonenumber mobile mobiles mobilephone mobilenumber telephone tel ph
firstname lastname middlename fullname givenname familyname surname fn ln fname lname
birthday birthdate dateofbirth dob ip ips ipaddress ipaddresses ipv userip clientip clientipaddress remoteip remoteaddr
browserip street streetname streetaddress streetnumber housenumber address addressline addr
"""
_PERSON_NAMES = """
name username zip zipcode postal postalcode postcode zp db latitude longitude line
"""  # of somebody, or of where somebody lives: elsewhere they may be a product's, or anything's
_LAST_NAMES = """
email emails emailaddress phone phones phonenumber mobilenumber firstname lastname ipaddress ipaddresses addressline
"""  # whatever stands before them
_WORD = re.compile("[A-Z]*[a-z0-9]+|[A-Z]+")
_ANYWHERE = frozenset(_ANYWHERE_NAMES.split())
_LAST_WORDS = frozenset(_LAST_NAMES.split())
_OF_A_PERSON = _ANYWHERE | frozenset(_PERSON_NAMES.split())
_PERSONS = frozenset(("traits", "customer", "recipient", "buyer", "contact", "user", "person"))  # so are addresses
_ADDRESS = re.compile("(?<!email)(?<!ip)(?<!street)address$")
_DROPPED = "personal: dropped by the workspace's rule drop_pii"


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
    context = _without(context, ("context",), gone, _ANYWHERE)
    if "normalized" in event.context:
        context["normalized"] = [_unquoted(change) for change in event.context["normalized"]]
    user_data = _without(event.user_data, ("user_data",), gone, _OF_A_PERSON)
    properties = _without(event.properties, ("properties",), gone, _ANYWHERE)
    changes: Changes = []
    for place in gone:
        note(changes, place, _DROPPED)
    return msgspec.structs.replace(
        event, user_data=user_data, properties=properties, context=with_changes(context, changes)
    )


def _without(value: Json, place: Place, gone: list[Place], personal: frozenset[str]) -> Json:
    """A copy of `value`, at `place`, without what is personal in it."""
    if type(value) is list:
        return [_without(each, (*place, index), gone, personal) for index, each in enumerate(value)]
    if type(value) is not dict:
        return value
    kept = {}
    for name, inner in value.items():
        key = _key(name)
        is_object = type(inner) is dict and (key in _PERSONS or _ADDRESS.search(key) is not None)
        if key in personal and not is_object and not _tells_nobody(inner):
            gone.append((*place, name))
        else:
            kept[name] = _without(inner, (*place, name), gone, _OF_A_PERSON if is_object else personal)
    return kept


def _tells_nobody(value: Json) -> bool:
    """Whether a value is nothing, a flag, or hashed."""
    if type(value) is list:
        return all(map(_tells_nobody, value))
    return (
        value is None or value == "" or type(value) is bool or (type(value) is str and bool(_SHA256.fullmatch(value)))
    )


def _unquoted(change: dict[str, Json]) -> dict[str, Json]:
    """A change without what was sent, where that was personal."""
    if _key(change["path"].rpartition(".")[2]) not in _OF_A_PERSON:
        return change
    return {name: value for name, value in change.items() if name != "from"}


def _key(name: str) -> str:
    return _short_key(name) if len(name) <= LONGEST_NAME else ""


@lru_cache(maxsize=4_096)
def _short_key(name: str) -> str:
    """`firstName`, `first_name` and `First Name` are one; `contact_email` is an `email`, and so is `email_2`."""
    words = [word.lower() for word in _WORD.findall(name.rstrip("0123456789_- "))]
    endings = ("".join(words[-length:]) for length in (2, 1))
    return next((ending for ending in endings if ending in _LAST_WORDS), "".join(words))
