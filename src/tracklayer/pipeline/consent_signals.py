"""What an event says of its user's consent, in every way in which senders write it.

- the event's own `consent`: category → granted, denied, true, false; Consent Mode's names in any spelling
  (`adUserData`, as the Google Ads API has them), also one level down (`{"update": {"ad_storage": "granted"}}`); what
  else stands there is kept, and never counts as a grant
- Segment: `context.consent.categoryPreferences` {name: bool}
- RudderStack: `context.consentManagement.{allowedConsentIds, deniedConsentIds}`
- Global Privacy Control (https://www.w3.org/TR/gpc/): `gpc`, or `globalPrivacyControl` as browsers' scripts have it, in
  `context` or beside the event's fields

Where two of them disagree, the denial counts. A category is called what its sender calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from tracklayer.model.event import Json
from tracklayer.model.rules import ConsentState
from tracklayer.pipeline.bounds import json_object

States = dict[str, ConsentState]

AD_CATEGORIES = ("ad_storage", "ad_user_data", "ad_personalization")  # what Global Privacy Control denies
MAX_SIGNALS = 50  # categories that are read from an event's context, denied ones first
LONGEST_NAME = 100  # characters of such a category

_GOOGLE = (*AD_CATEGORIES, "analytics_storage", "functionality_storage", "personalization_storage", "security_storage")
_BY_KEY = {name.replace("_", ""): name for name in _GOOGLE}
_GPC = ("gpc", "globalPrivacyControl")
_SAYS_NOTHING = ("unspecified", "unknown")  # as the Google Ads API has them
_NO_CATEGORY = ("wait_for_update", "region")  # settings beside the categories of a Consent Mode command


class Said(NamedTuple):
    """An event's own `consent`, read."""

    states: States
    unread: dict[str, Json]  # what is no state of a category, as it was sent


def plain_consent(value: Json) -> Said:
    """What an event's own `consent`, a JSON object or null, says. Raises `Invalid`, its pointer into the event.

    A group of categories (an object) is read like the object around it; `update` counts over `default`, as in
    Consent Mode. A null says nothing. What is no state (a version, a TC string) costs the rest nothing.
    """
    given = json_object(value, "/consent")
    flat = Said({}, {})
    if not given:
        return flat
    unread: dict[str, Json] = {}
    groups: dict[str, States] = {}
    for name, said in given.items():
        if type(said) is dict and category_of(name) not in _GOOGLE:
            group = Said({}, {})
            for inner, each in said.items():
                _put(group, inner, each)
            groups[name] = group.states
            if group.unread:
                unread[name] = group.unread
        else:
            _put(flat, name, said)
    if "update" in groups and "default" in groups:
        groups["default"] = {name: state for name, state in groups["default"].items() if name not in groups["update"]}
    unread |= flat.unread
    states = strictest(flat.states, *groups.values())
    if unread:  # what else is said of the same category may be what it was before
        doubted = frozenset(_named(unread))
        states = {name: state for name, state in states.items() if state == "denied" or name not in doubted}
    return Said(states, unread)


def unread_categories(context: Mapping[str, Json]) -> frozenset[str]:
    """Of which categories an event said what cannot be read (it stands in `context.extra.consent`): nobody knows
    whether that was a grant.
    """
    extra = context.get("extra")
    if type(extra) is not dict or "consent" not in extra:
        return frozenset()
    kept = [value for name, value in extra.items() if name.startswith("consent") and type(value) is dict]
    return frozenset(category for each in kept for category in _named(plain_consent(each).unread))


def _named(unread: Mapping[str, Json]) -> Iterator[str]:
    for name, said in unread.items():
        yield category_of(name)
        if type(said) is dict:
            yield from _named(said)


def consent_signals(context: Mapping[str, Json]) -> States:
    """The states that an event's `context` tells. What cannot be understood is no signal."""
    consent, management = context.get("consent"), context.get("consentManagement")
    if type(consent) is not dict and type(management) is not dict:
        return {}
    found: list[States] = []
    if type(consent) is dict:
        preferences = consent.get("categoryPreferences")
        found += [_understood(preferences)] if type(preferences) is dict else []
        found.append(_understood({name: state for name, state in consent.items() if category_of(name) in _GOOGLE}))
    if type(management) is dict:
        found.append(dict.fromkeys(_names(management.get("allowedConsentIds")), "granted"))
        found.append(dict.fromkeys(_names(management.get("deniedConsentIds")), "denied"))
    states = strictest(*found)
    if len(states) <= MAX_SIGNALS:
        return states
    return dict(sorted(states.items(), key=lambda item: (item[1], item[0]))[:MAX_SIGNALS])  # "denied" < "granted"


def says_gpc(context: Mapping[str, Json]) -> bool:
    """Whether the sender passes on that the user's browser asks by Global Privacy Control."""
    extra = context.get("extra")
    places = (context, extra) if type(extra) is dict else (context,)
    said = [place[name] for place in places for name in _GPC if name in place]
    return bool(said) and any(
        each is True or (type(each) in (int, str) and str(each).lower() in ("1", "true")) for each in said
    )


def strictest(*said: Mapping[str, ConsentState]) -> States:
    """All of them as one: denied where any of them says so."""
    found: States = {}
    for states in said:
        if not found:
            found.update(states)
            continue
        for category, state in states.items():
            if found.get(category) != "denied":
                found[category] = state
    return found


def _put(into: Said, name: str, said: Json) -> None:
    """Add what is said of one category, unless it is nothing."""
    if said is None or name in _NO_CATEGORY:
        return
    state = _state(said)
    if state is not None:
        category = category_of(name)
        into.states[category] = "denied" if into.states.get(category) == "denied" else state
    elif type(said) is not str or said.strip().lower() not in _SAYS_NOTHING:
        into.unread[name] = said


def _understood(given: Mapping[str, Json]) -> States:
    found: States = {}
    for name, said in given.items():
        state = _state(said)
        if state is not None and _is_name(name):
            category = category_of(name)
            found[category] = "denied" if found.get(category) == "denied" else state
    return found


def _names(ids: Json) -> Iterator[str]:
    """The categories of a list, or of an object from id to title."""
    listed: Iterable[Json] = ids if type(ids) in (list, dict) else ()
    return (category_of(each) for each in listed if _is_name(each))


def _is_name(value: Json) -> bool:
    return type(value) is str and 0 < len(value.strip()) <= LONGEST_NAME and value.isprintable()


def _state(value: Json) -> ConsentState | None:
    word = value.strip().lower() if type(value) is str else value
    if word is True or word == "granted":
        return "granted"
    if word is False or word == "denied":
        return "denied"
    return None


def category_of(name: str) -> str:
    """Consent Mode's own name in whatever spelling; any other name as it is."""
    return _known_category(name) if len(name) <= LONGEST_NAME else name


@lru_cache(maxsize=1_024)
def _known_category(name: str) -> str:
    text = name.strip()
    return _BY_KEY.get(text.replace("_", "").replace("-", "").lower(), text)
