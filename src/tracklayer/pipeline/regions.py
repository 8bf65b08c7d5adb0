"""Where a user is, and what a workspace takes for granted or denied there while nothing is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tracklayer.model.event import Json
from tracklayer.model.rules import ConsentState

# The European Economic Area: the Union, Iceland, Liechtenstein, Norway. ISO 3166-1 alpha-2.
_EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
EEA = frozenset(_EEA.split())
EVERYWHERE = "*"


def consent_defaults(
    defaults: Mapping[str, Mapping[str, ConsentState]], user_data: Mapping[str, Json], context: Mapping[str, Json]
) -> dict[str, tuple[ConsentState, str]]:
    """Category → its state by default, and the region that says so: of several the smallest one."""
    found: dict[str, tuple[ConsentState, str]] = {}
    if defaults:
        for region in regions(user_data, context):
            for category, state in defaults.get(region, {}).items():
                found.setdefault(category, (state, region))
    return found


def regions(user_data: Mapping[str, Json], context: Mapping[str, Json]) -> Iterator[str]:
    """Where the user is, the smallest region first: "US-CA", "US", "EEA" (for its members), "*".

    By `context.geo`, where the device is; without it by the country of `user_data`.
    """
    geo = context.get("geo")
    places = [(geo.get("country"), geo.get("region"))] if type(geo) is dict else []
    places.append((user_data.get("country"), user_data.get("state")))
    for country, part in places:
        code = _code(country)
        if len(code) == 2:
            if inner := _code(part):
                yield inner if inner.startswith(f"{code}-") else f"{code}-{inner}"
            yield code
            if code in EEA:
                yield "EEA"
            break
    yield EVERYWHERE


def _code(value: Json) -> str:
    return value.strip().upper() if type(value) is str and len(value) <= 40 else ""
