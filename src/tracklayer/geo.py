"""Where an IP address is, out of a database file in MaxMind's format: GeoLite2, GeoIP2, DB-IP, of cities or countries.

https://maxmind.github.io/MaxMind-DB/ describes the format, and MaxMind's "GeoIP City and Country Databases" the fields.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

import maxminddb
from maxminddb.types import Record

from tracklayer.errors import Invalid
from tracklayer.model.event import Json

REMEMBERED = 8192  # addresses
LONGEST = 53  # characters, of an IPv6 address with an IPv4 one in it, in brackets and with a port

_NOWHERE: dict[str, Json] = {}


class GeoFile:
    """One database file: mapped into memory, read-only, opened once.

    A new file is used from the next start on. It must take the old one's place by renaming, as `geoipupdate` does it:
    a file that is written over while it is mapped ends the process.
    """

    def __init__(self, path: Path) -> None:
        """Raises `Invalid` where `path` is no such file."""
        try:
            self._reader = maxminddb.open_database(path)
            self.kind = self._reader.metadata().database_type  # such as "GeoLite2-City"
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            why = (isinstance(error, OSError) and error.strerror) or "it is none"
            raise Invalid(
                f"TRACKLAYER_GEO_FILE = '{path}' cannot be used: expected a database in MaxMind's format ({why})"
            ) from error
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._place)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def place(self, address: str) -> dict[str, Json]:
        """Country (ISO 3166-1), region (ISO 3166-2 without the country), city (in English), postal code, time zone:
        what is known of an address; nothing for what is none. Of a list, as proxies make it (X-Forwarded-For), the
        first is the user's. Not to be changed. Raises where the file is damaged.
        """
        first = address.partition(",")[0] if "," in address else address
        return self._remembered(first) if len(first) <= LONGEST else _NOWHERE

    def _place(self, address: str) -> dict[str, Json]:
        try:
            parsed = ip_address(_without_port(address.strip()))
            record = self._reader.get(getattr(parsed, "ipv4_mapped", None) or parsed)
        except ValueError:  # no address, or IPv6 in a file of IPv4
            return _NOWHERE
        if not isinstance(record, dict):
            return _NOWHERE
        subdivisions = record.get("subdivisions")
        region = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
        found = {
            "country": _text(record, "country", "iso_code"),
            "region": _text(region, "iso_code"),
            "city": _text(record, "city", "names", "en"),
            "postal": _text(record, "postal", "code"),
            "timezone": _text(record, "location", "time_zone"),
        }
        return {name: text for name, text in found.items() if text}


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _text(record: Record | None, *path: str) -> str | None:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, str) else None
