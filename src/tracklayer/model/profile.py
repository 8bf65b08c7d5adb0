"""What is kept of one user, or of one group: traits, the user's group, consent; and what an event adds to it.

Everything is kept with the time at which it was said, and what is newer wins: calls may arrive in any order. A trait
that was taken away is kept as null, so that an older call cannot bring it back. An e-mail address and its hash are told
together: the newer one of them ends the other, unless that is its hash.

A browser may be shared. What it is known to say is the traits of one person at a time: of the user who was named in it
last, and the traits of whoever was named before are gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from tracklayer.model.event import Json, encode_json

GROUP = "group:"  # begins the key of a group
ANONYMOUS = "anonymous:"  # … of a browser or device
USER = "user:"  # … of a user whose `external_id` would begin like one of these; of any other user it is the id itself
LONGEST_KEY = 320  # characters; nothing is kept under a longer one
MAX_TRAIT = 8 * 1024  # bytes of one trait as JSON, its name included
MAX_TRAITS = 32 * 1024  # bytes of all of them
MAX_DEPTH = 8  # objects and lists inside each other, in one trait
MAX_CATEGORIES = 50
RESTATED = 3600.0  # seconds within which "granted", said again, is not written again


class ProfileUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What one event says of a user or a group."""

    user_key: str  # one of `profile_keys`, or `group_key`
    traits: dict[str, Json] | None = None  # null takes a trait away
    group: str | None = None  # the id of the group to which the user belongs from now on
    consent: dict[str, str] | None = None  # category → "granted" | "denied"
    owner: str | None = None  # of a browser: the key of the user whose traits and group these are; None: not known
    at: float  # unix seconds, when it was said; the caller keeps it from lying in the future


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept."""

    traits: dict[str, tuple[Json, float]] = {}  # name → value (null: taken away), unix seconds
    group: tuple[str, float] | None = None  # id, unix seconds
    consent: dict[str, tuple[str, float]] = {}  # category → "granted" | "denied", unix seconds
    owner: tuple[str, float] | None = None  # of a browser: the key of the user named in it last, unix seconds


def profile_keys(user_data: Mapping[str, Json]) -> tuple[str, ...]:
    """The keys under which this user's profile is kept, the surest first: a browser's banner knows no `external_id`.

    An `external_id` and an `anonymous_id` of the same text are two.
    """
    external_id, anonymous_id = user_data.get("external_id"), user_data.get("anonymous_id")
    surest: tuple[str, ...] = ()
    if _is_key(external_id, LONGEST_KEY):
        text = str(external_id)
        surest = (f"{USER}{text}" if text.startswith(_PREFIXES) else text,)
    return (*surest, f"{ANONYMOUS}{anonymous_id}") if _is_key(anonymous_id, LONGEST_KEY) else surest


def joined_consent(known: Sequence[dict[str, tuple[str, float]]]) -> dict[str, tuple[str, float]]:
    """The consent of one user out of what is kept under the user's keys, the surest first.

    What a later key knows fills in what an earlier one does not, and its denial counts where it is newer; its grant
    does not, for a browser may be shared. The answer is not to be changed: it may be one of `known`.
    """
    if not known:
        return {}
    first = known[0]
    others = [consent for consent in known[1:] if consent is not first and consent != first]
    if not others:  # it was said under both keys, as it mostly is
        return first
    joined = dict(first)
    for consent in others:
        for category, (state, at) in consent.items():
            before = joined.get(category)
            if before is None or (state == "denied" and at >= before[1]):
                joined[category] = (state, at)
    return joined


def group_key(group_id: Json) -> str | None:
    """The key under which a group's traits are kept."""
    return f"{GROUP}{group_id}" if _is_key(group_id, LONGEST_KEY - len(GROUP)) else None


def merge_profile(known: Profile, update: ProfileUpdate) -> Profile:
    """`known` with what `update` says, where that is newer; `known` itself where nothing changes.

    Of two states of consent that were said at the same time, "denied" wins. What is larger than the limits of this
    module is left out: a trait that is too large or too deep, and the oldest traits where all are too many.
    """
    traits, group, owner = _merged_telling(known, update)
    consent = merge_consent(known.consent, update.consent, update.at) if update.consent else known.consent
    if traits is known.traits and consent is known.consent and group == known.group and owner == known.owner:
        return known
    return Profile(traits=traits, consent=consent, group=group, owner=owner)


def merge_consent(
    known: dict[str, tuple[str, float]], said: Mapping[str, str], at: float
) -> dict[str, tuple[str, float]]:
    """`known` with what was `said` at `at`, where that is news; `known` itself where nothing changes."""
    newer = {category: (state, at) for category, state in said.items() if _is_news(known.get(category), state, at)}
    merged = {**known, **newer}
    while len(merged) > MAX_CATEGORIES:
        del merged[min(merged, key=lambda category: merged[category][1])]
    return merged if newer else known


def is_news(known: Mapping[str, tuple[str, float]], said: Mapping[str, str], at: float) -> bool:
    """Whether what was `said` of consent at `at` would change what is `known` of it."""
    return any(_is_news(known.get(category), state, at) for category, state in said.items())


_PREFIXES = (GROUP, ANONYMOUS, USER)
# Who tells one tells the other: an address of today is not that of yesterday's hash.
_TWO_WORDS = {"email": "email_hash", "email_hash": "email", "phone": "phone_hash", "phone_hash": "phone"}


def _is_key(value: Json, longest: int) -> bool:
    return type(value) is str and 0 < len(value) <= longest and "\0" not in value  # SQLite's JSON ends at a NUL


def _merged_telling(
    known: Profile, update: ProfileUpdate
) -> tuple[dict[str, tuple[Json, float]], tuple[str, float] | None, tuple[str, float] | None]:
    """Traits, group and owner."""
    traits, group, owner = known.traits, known.group, known.owner
    if owner is not None and update.owner is not None and owner[0] != update.owner:
        if update.at < owner[1]:
            return traits, group, owner  # somebody else is named in this browser by now
        traits, group, owner = {}, None, None
    if update.traits:
        traits = _merged_traits(traits, update.traits, update.at)
    if update.group is not None and group_key(update.group) and (group is None or group[1] <= update.at):
        group = (update.group, update.at)
    if update.owner is not None and (owner is None or owner[1] < update.at):
        owner = (update.owner, update.at)
    return traits, group, owner


def _merged_traits(
    known: dict[str, tuple[Json, float]], said: Mapping[str, Json], at: float
) -> dict[str, tuple[Json, float]]:
    newer = {
        name: (value, at)
        for name, value in said.items()
        if (name not in known or known[name][1] <= at) and _is_small(name, value)
    }
    for name, other in _TWO_WORDS.items():
        if name in newer and other not in said and other in known and not _are_one(newer[name][0], known[other][0]):
            if known[other][1] > at:
                del newer[name]
            else:
                known = {each: told for each, told in known.items() if each != other}
    return _within_limit({**known, **newer}) if newer else known


def _are_one(one: Json, other: Json) -> bool:
    """Whether one is the SHA-256 of the other, as far as that can be seen: a phone number may be written otherwise."""
    texts = [each.strip().lower() for each in (one, other) if type(each) is str]
    return len(texts) == 2 and any(hashlib.sha256(text.encode(errors="replace")).hexdigest() in texts for text in texts)


def _is_news(known: tuple[str, float] | None, state: str, at: float) -> bool:
    if known is None:
        return True
    before, since = known
    if at == since:
        return state == "denied" and before != "denied"
    # Skipping a "granted" can only make a late "denied" win. That saves a write for every event of a user.
    return at > since and not (state == before == "granted" and at < since + RESTATED)


def _is_small(name: str, value: Json) -> bool:
    return _is_shallow(value, MAX_DEPTH) and len(encode_json({name: value})) <= MAX_TRAIT


def _is_shallow(value: Json, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


def _within_limit(traits: dict[str, tuple[Json, float]]) -> dict[str, tuple[Json, float]]:
    excess = len(encode_json(traits)) - MAX_TRAITS
    if excess <= 0:
        return traits
    kept = dict(traits)
    for name, (value, at) in sorted(traits.items(), key=lambda item: item[1][1]):
        if excess <= 0:
            break
        excess -= len(encode_json({name: (value, at)})) - 1  # the braces, and the comma that goes with it
        del kept[name]
    return kept
