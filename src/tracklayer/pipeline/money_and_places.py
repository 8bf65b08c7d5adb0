"""Currencies, countries and amounts inside of an event's objects, wherever they came as a text that is not canonical.

`bounds.check_nested` finds the places, since it sees every value anyway; an event that is canonical has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracklayer.model.event import Json
from tracklayer.pipeline.amounts import read_amount
from tracklayer.pipeline.bounds import Place, Watched
from tracklayer.pipeline.changes import Changes, note, note_change
from tracklayer.pipeline.codes import COUNTRIES, CURRENCIES, country_code, currency_code

AMOUNTS = ("value", "revenue", "total", "subtotal", "price", "tax", "shipping", "discount")
ITEMS = ("items", "products", "line_items")  # lists of objects that have amounts, too

IN_USER_DATA: Watched = {"country": COUNTRIES, "country_code": COUNTRIES}
IN_PROPERTIES: Watched = {**IN_USER_DATA, "currency": CURRENCIES, **dict.fromkeys(AMOUNTS, ())}

_LONGEST_CODE = 3  # a longer text in the place of a country is its name, which is not guessed and no mistake


def amend(root: dict[str, Json], name: str, places: Sequence[Place], changes: Changes) -> dict[str, Json]:
    """`root`, the event's `name`, with the texts at `places` as they should be; `root` itself is not changed.

    What cannot be understood stays, and `changes` says so.
    """
    if not places:
        return root
    copies: dict[Place, Json] = {(): dict(root)}
    for place in places:
        holder = _copied(copies, place[:-1])
        sent = holder[place[-1]]
        read, why = _read(place, sent)
        if read is not None:
            holder[place[-1]] = read
            note_change(changes, (name, *place), sent, why)
        elif why:
            note(changes, (name, *place), why)
    amended: dict[str, Json] = copies[()]
    return amended


def _copied(copies: dict[Place, Json], place: Place) -> Json:
    """The object or list at `place`, copied once and put where it was."""
    if place not in copies:
        holder = _copied(copies, place[:-1])
        copies[place] = holder[place[-1]] = holder[place[-1]].copy()
    return copies[place]


def _read(place: Place, text: str) -> tuple[Json, str]:
    """What should stand there instead, None for nothing; and why, "" where there is nothing to say."""
    key = place[-1]
    if key == "currency":
        code = currency_code(text)
        return code, "an ISO 4217 code" if code else "no ISO 4217 code: left as it is" if text else ""
    if key not in AMOUNTS:
        code = country_code(text)
        unknown = "no ISO 3166 code: left as it is" if 0 < len(text.strip()) <= _LONGEST_CODE else ""
        return code, "an ISO 3166 code" if code else unknown
    if len(place) != 1 and not (len(place) == 3 and place[0] in ITEMS):
        return None, ""
    amount = read_amount(text)
    if amount is None:
        return None, "no amount that can be read in one way only: left as it is" if _has_digit(text) else ""
    return amount, "an amount as a number"


def _has_digit(text: str) -> bool:
    """Without one it is no amount at all: `value` may be "blue"."""
    return any(each.isdigit() for each in text)
