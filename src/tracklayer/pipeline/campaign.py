"""What a page's URL tells of where a visit came from: UTM parameters and the click ids of advertising platforms.

UTM: Google Analytics, "URL builders: Collect campaign data with custom URLs". Each click id is what its platform
appends to the address of an advertisement.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus

from tracklayer.model.event import Json

UTM = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
    "utm_id": "id",
}
CLICK_IDS = (
    *("gclid", "gbraid", "wbraid", "dclid"),  # Google
    *("fbclid", "igshid"),  # Meta
    "ttclid",  # TikTok
    "msclkid",  # Microsoft
    "li_fat_id",  # LinkedIn
    "twclid",  # X
    "epik",  # Pinterest
    "sccid",  # Snap, which writes ScCid
    "rdt_cid",  # Reddit
    "yclid",  # Yandex
    "irclickid",  # Impact
)
LONGEST_QUERY = 8192  # characters that are looked at
LONGEST_VALUE = 500  # characters; a longer value is none, for half of an id is another id

_NAMES = frozenset((*UTM, *CLICK_IDS))


def page_query(context: Mapping[str, Json], properties: Mapping[str, Json]) -> str:
    """The query of the page that an event happened on; "" where none is known.

    Of `context.page.url`, `properties.url` and `context.page.search` the first that has one.
    """
    page = context.get("page")
    page = page if isinstance(page, dict) else {}
    for url in (page.get("url"), properties.get("url"), page.get("search")):
        if type(url) is str and "?" in url:
            query = url.partition("#")[0].partition("?")[2]
            if query:
                return query
    return ""


def read_origin(query: str) -> dict[str, dict[str, Json]]:
    """Where a visit came from: `context.campaign` and `context.click_ids` of a URL's query, as far as it tells them.

    Names are read in any case, the first of several values counts, and an empty one, one with control characters and
    one that is too long count as none.
    """
    campaign: dict[str, Json] = {}
    click_ids: dict[str, Json] = {}
    for part in query[:LONGEST_QUERY].split("&"):
        name, _, raw = part.partition("=")
        name = name.lower()
        if name in _NAMES:
            value = (unquote_plus(raw) if "%" in raw or "+" in raw else raw).strip()
            if value and len(value) <= LONGEST_VALUE and value.isprintable():
                if name in UTM:
                    campaign.setdefault(UTM[name], value)
                else:
                    click_ids.setdefault(name, value)
    found = {"campaign": campaign} if campaign else {}
    if click_ids:
        found["click_ids"] = click_ids
    return found
