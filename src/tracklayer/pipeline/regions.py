"""Where a user is, and what a workspace takes for granted or denied there while nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from tracklayer.model.event import Json
from tracklayer.model.rules import ConsentState
from tracklayer.pipeline.codes import US_STATES

# The European Economic Area: the Union, Iceland, Liechtenstein, Norway. ISO 3166-1 alpha-2.
_EEA = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
EEA = frozenset(_EEA.split())
EVERYWHERE = "*"
REMEMBERED = 1_024  # places
LONGEST = 40  # characters of what names a country or a part of it

_NONE: Mapping[str, ConsentState] = {}


class ConsentDefaults:
    """What a workspace takes for granted or denied, by region; put together once for each place."""

    def __init__(self, by_region: Mapping[str, Mapping[str, ConsentState]]) -> None:
        self._by_region = by_region
        self._around = lru_cache(maxsize=REMEMBERED)(self._put_together)

    def of(self, user_data: Mapping[str, Json], context: Mapping[str, Json]) -> Mapping[str, tuple[ConsentState, str]]:
        """Category → its state by default, and the region that says so: of several the smallest one. Not to be
        changed.
        """
        return self._around(regions(user_data, context)) if self._by_region else {}

    def _put_together(self, around: tuple[str, ...]) -> dict[str, tuple[ConsentState, str]]:
        found: dict[str, tuple[ConsentState, str]] = {}
        for region in around:
            for category, state in self._by_region.get(region, _NONE).items():
                found.setdefault(category, (state, region))
        return found


def regions(user_data: Mapping[str, Json], context: Mapping[str, Json]) -> tuple[str, ...]:
    """Where the user is, the smallest region first: "US-CA", "US", "EEA" (for its members), "*".

    By `context.geo`, where the device is; without it by the country of `user_data`.
    """
    geo = context.get("geo")
    of_device = _around(_text(geo.get("country")), _text(geo.get("region"))) if type(geo) is dict else ()
    return of_device or _around(_text(user_data.get("country")), _text(user_data.get("state"))) or (EVERYWHERE,)


@lru_cache(maxsize=4_096)
def _around(country: str, part: str) -> tuple[str, ...]:
    """The regions that a part of a country lies in; none where the country is unknown."""
    code, inner = country.strip().upper(), part.strip().upper()
    if len(code) != 2:
        return ()
    if code == "US":
        inner = US_STATES.get(inner, inner)
    smallest = inner if inner.startswith(f"{code}-") else f"{code}-{inner}"
    return (*((smallest,) if inner else ()), code, *(("EEA",) if code in EEA else ()), EVERYWHERE)


def _text(value: Json) -> str:
    return value if type(value) is str and len(value) <= LONGEST else ""
