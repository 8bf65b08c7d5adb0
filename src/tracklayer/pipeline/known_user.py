"""What the known traits of a user say about `user_data`; their names as Segment's specification of identify has them.

Only these are taken over, so that a trait of the shop's own never becomes a person's name at an advertising platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from tracklayer.model.event import Json
from tracklayer.model.facts import Traits
from tracklayer.model.phone import e164
from tracklayer.pipeline.codes import country_code
from tracklayer.pipeline.personal import Contact, clean_email, hash_contact

TRAITS: Mapping[str, str] = {  # trait → field of user_data
    "first_name": "first_name",
    "firstName": "first_name",
    "last_name": "last_name",
    "lastName": "last_name",
    "gender": "gender",
    "birth_date": "birth_date",
    "birthDate": "birth_date",
    "birthday": "birth_date",
    "city": "city",
    "postal_code": "postal_code",
    "postalCode": "postal_code",
    "zip": "postal_code",
    "country_code": "country",
    "country": "country",
}
ADDRESS: Mapping[str, str] = {  # the same inside of the trait `address`; elsewhere a state need not be a place
    **{name: field for name, field in TRAITS.items() if field in ("city", "postal_code", "country")},
    "state": "state",
    "province": "state",
}
LONGEST = 320  # characters of one of them
_ABOUT = frozenset(("email", "email_hash", "phone", "phone_hash", *TRAITS.values(), *ADDRESS.values()))
_HASH_LENGTH = 64  # of a SHA-256 in hex


def known_user_data(user: Mapping[str, Json], traits: Mapping[str, Json], region: str) -> dict[str, str]:
    """The fields that `user` (an event's `user_data`) lacks and `traits` know, cleaned and hashed as any event's are.

    An e-mail address or a phone number beside a hash of another one would be two people's, so it is left out. `region`
    is where a phone number without a country code is at home. The answer is not to be changed.
    """
    if isinstance(traits, Traits) and named_by_ids(user):
        return _of_anybody(traits, region)
    return _known(user, traits, region)


def named_by_ids(user: Mapping[str, Json]) -> bool:
    """Whether an event's `user_data` names its user by ids alone, as most do."""
    return user.keys().isdisjoint(_ABOUT)


def with_hashes(traits: Mapping[str, Json], region: str) -> dict[str, Json]:
    """`traits` with the hashes of the e-mail address and the phone number among them, by which their user is still
    known where both are dropped. One that is taken away (null), or is none, takes its hash away, too.
    """
    hashes: dict[str, Json] = {}
    for name in ("email", "phone"):
        hash_name = f"{name}_hash"
        if name in traits and traits.get(hash_name) is None:
            hashes[hash_name] = _contact({}, {name: traits[name]}, name, region).get(hash_name)
    return {**traits, **hashes}


def _known(user: Mapping[str, Json], traits: Mapping[str, Json], region: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in ("email", "phone"):
        if user.get(name) is None:
            found |= _contact(user, traits, name, region)
    _add(found, user, traits, TRAITS)
    address = traits.get("address")
    if isinstance(address, Mapping):
        _add(found, user, address, ADDRESS)
    return found


@lru_cache(maxsize=4_096)
def _of_anybody(traits: Traits, region: str) -> dict[str, str]:
    """All that `traits` know. Not to be changed."""
    return _known({}, traits, region)


def _add(found: dict[str, str], user: Mapping[str, Json], known: Mapping[str, Json], fields: Mapping[str, str]) -> None:
    """Add to `found` what `known` says of `fields` that neither that nor `user` has."""
    for trait, value in known.items():
        if trait in fields:
            field = fields[trait]
            if field not in found and user.get(field) is None:
                text = _text(value)
                text = (country_code(text) or "") if field == "country" else text
                if text:
                    found[field] = text


def _contact(user: Mapping[str, Json], traits: Mapping[str, Json], name: str, region: str) -> dict[str, str]:
    """The e-mail address, or the phone, and its hash, as far as `user` has not got them."""
    hash_name = f"{name}_hash"
    known = name if traits.get(name) is not None else hash_name
    text = _text(traits.get(known))
    if not text:
        return {}
    cleaned, digest = _read(name, known, text, region)
    if not digest:  # what is no address is no use to anybody
        return {}
    given = user.get(hash_name)
    if given is None:
        return {name: cleaned, hash_name: digest} if cleaned else {hash_name: digest}
    return {name: cleaned} if cleaned and given == digest else {}


@lru_cache(maxsize=8_192)
def _read(name: str, known: str, text: str, region: str) -> tuple[str, str]:
    """The address (or number) and its hash, each "" where it is not known; `text`, one of them, stands at `known`."""

    def clean_phone(text: str) -> Contact:
        number = e164(text, region)
        return Contact(number or text, number is not None, "")

    contact: dict[str, Json] = {known: text}
    hash_contact(contact, name, clean_email if name == "email" else clean_phone, {}, [])
    digest = contact.get(f"{name}_hash", "")
    return contact.get(name, ""), digest if len(digest) == _HASH_LENGTH else ""


def _text(value: Json) -> str:
    return value.strip() if type(value) is str and len(value) <= LONGEST and value.isprintable() else ""
