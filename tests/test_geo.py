"""Places out of a real file in MaxMind's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from maxminddb import InvalidDatabaseError

from tests.geo_file import write_geo_file
from tracklayer.errors import Invalid
from tracklayer.geo import GeoFile

LONDON: dict[str, Any] = {
    "city": {"names": {"de": "London (de)", "en": "London"}},
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {"time_zone": "Europe/London"},
    "postal": {"code": "SW1A"},
    "subdivisions": [{"iso_code": "ENG"}, {"iso_code": "WSM"}],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    places = {
        "81.2.69.0/24": LONDON,
        "2001:db8::/32": {"country": {"iso_code": "DE"}, "subdivisions": [], "city": {"names": {"de": "Ulm"}}},
        "203.0.113.7/32": {"country": "GB", "location": ["x"]},
    }
    return write_geo_file(tmp_path / "city.mmdb", places)


def test_an_address_has_its_place(file: Path) -> None:
    geo = GeoFile(file)
    assert geo.place("81.2.69.142") == {
        "country": "GB",
        "region": "ENG",
        "city": "London",
        "postal": "SW1A",
        "timezone": "Europe/London",
    }
    assert geo.place("2001:db8::1") == {"country": "DE"}
    assert geo.place("::ffff:81.2.69.142")["city"] == "London"
    for written in ("81.2.69.142, 10.0.0.1", " 81.2.69.142:443,2001:db8::1", "[::ffff:81.2.69.142]:443"):
        assert geo.place(written)["city"] == "London"
    assert geo.place("81.2.69.142") is geo.place("81.2.69.142")
    assert geo.kind == "Test-City"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "81.2.70.1",
        "203.0.113.7",
        "::1",
        "",
        "unknown",
        "1.2.3",
        "10.0.0.1, 81.2.69.142",
        "fe80::1%eth0",
        "\0",
        "é" * 99,
    ],
)
def test_what_has_no_place_and_what_is_no_address_has_none(file: Path, address: str) -> None:
    assert GeoFile(file).place(address) == {}


def test_a_file_of_countries_tells_the_country(tmp_path: Path) -> None:
    path = write_geo_file(tmp_path / "x.mmdb", {"81.2.69.0/24": {"country": {"iso_code": "GB"}}}, kind="Test-Country")
    assert GeoFile(path).place("81.2.69.1") == {"country": "GB"}


def test_what_is_no_such_file_is_refused_with_its_path(tmp_path: Path) -> None:
    other = tmp_path / "other.mmdb"
    other.write_text("no database")
    for path, why in ((other, "it is none"), (tmp_path / "absent.mmdb", "No such file"), (tmp_path, "")):
        with pytest.raises(Invalid) as refusal:
            GeoFile(path)
        expected = f"TRACKLAYER_GEO_FILE = '{path}' cannot be used: expected a database in MaxMind's format ("
        assert refusal.value.detail.startswith(expected + why)


def test_a_text_that_is_too_long_for_an_address_is_not_remembered(file: Path) -> None:
    geo = GeoFile(file)
    assert geo.place("81.2.69.142" * 10_000) == {}
    assert geo._remembered.cache_info().currsize == 0


def test_a_damaged_record_is_an_error_and_no_place(tmp_path: Path, file: Path) -> None:
    damaged = tmp_path / "damaged.mmdb"
    damaged.write_bytes(file.read_bytes().replace(b"\x46London", b"\x5f\xff\xff\xffdon"))  # a text of 16 MB
    geo = GeoFile(damaged)
    with pytest.raises(InvalidDatabaseError):
        geo.place("81.2.69.142")


def test_once_closed_it_tells_no_place(file: Path) -> None:
    geo = GeoFile(file)
    geo.close()
    assert geo.place("81.2.69.142") == {}
