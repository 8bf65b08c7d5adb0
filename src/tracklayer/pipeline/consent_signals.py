"""What an event says of its user's consent, in every way in which senders write it.

- the event's own `consent`: category → granted, denied, true, false; Consent Mode's names in any spelling
  (`adUserData`, as the Google Ads API has them), also one level down (`{"update": {"ad_storage": "granted"}}`)
- Segment: `context.consent.categoryPreferences` {name: bool}
- RudderStack: `context.consentManagement.{allowedConsentIds, deniedConsentIds}`
- Global Privacy Control (https://www.w3.org/TR/gpc/): `gpc`, or `globalPrivacyControl` as browsers' scripts have it, in
  `context` or beside the event's fields

Where two of them disagree, the denial counts. A category is called what its sender calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json
from tracklayer.model.rules import ConsentState
from tracklayer.pipeline.bounds import json_object, kind_of

States = dict[str, ConsentState]

AD_CATEGORIES = ("ad_storage", "ad_user_data", "ad_personalization")  # what Global Privacy Control denies
MAX_SIGNALS = 50  # categories that are read from an event's context, denied ones first
LONGEST_NAME = 100  # characters of such a category

_GOOGLE = (*AD_CATEGORIES, "analytics_storage", "functionality_storage", "personalization_storage", "security_storage")
_BY_KEY = {name.replace("_", ""): name for name in _GOOGLE}
_GPC = ("gpc", "globalPrivacyControl")
_SAYS_NOTHING = ("unspecified", "unknown")  # as the Google Ads API has them
_NO_CATEGORY = ("wait_for_update", "region")  # settings beside the categories of a Consent Mode command


def plain_consent(value: Json) -> States:
    """The states of an event's own `consent`, a JSON object or null. Raises `Invalid`, its pointer into the event.

    A group of categories (an object) is read like the object around it; `update` counts over `default`, as in
    Consent Mode.
    """
    given = json_object(value, "/consent")
    flat: States = {}
    groups: dict[str, States] = {}
    for name, said in given.items():
        if type(said) is dict and said:
            groups[name] = _states(said, ("consent", name))
        else:
            _put(flat, name, said, ("consent",))
    if "update" in groups and "default" in groups:
        groups["default"] = {name: state for name, state in groups["default"].items() if name not in groups["update"]}
    return strictest(flat, *groups.values()) if groups else flat


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


def _states(given: Mapping[str, Json], place: tuple[str, ...]) -> States:
    found: States = {}
    for name, said in given.items():
        _put(found, name, said, place)
    return found


def _put(into: States, name: str, said: Json, place: tuple[str, ...]) -> None:
    """Add what is said of one category, unless it is nothing. Raises `Invalid`."""
    if name in _NO_CATEGORY:
        return
    state = _state(said)
    if state is not None:
        category = category_of(name)
        into[category] = "denied" if into.get(category) == "denied" else state
    elif type(said) is not str or said.strip().lower() not in _SAYS_NOTHING:
        shown = f'"{said[:40]}"' if type(said) is str else kind_of(said)
        raise Invalid(
            f"consent for {name[:40]} is {shown}: expected granted, denied, true or false",
            code="invalid_consent",
            pointer=pointer(*place, name),
        )


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
