"""Lists on their way to PostgreSQL: what the server reads is what was given."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from tests.conftest import MigratedPostgres
from tracklayer.store.array_text import plain, texts
from tracklayer.store.postgresql import arguments_of

NASTY = ["", "NULL", "null", '"', "\\", '\\"', "{}", "a,b", " x ", "\n\t\x01", "ünï🎉", "'", "\x7f", "\u2028", None]

words = st.one_of(st.none(), st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"])))


@pytest.fixture(scope="module")
def server(migrated_postgres: MigratedPostgres) -> dict[str, Any]:
    """How to connect."""
    return arguments_of(make_url(migrated_postgres.server_url))


def read_back(server: dict[str, Any], type_: str, arrays: list[str]) -> list[list[Any]]:
    async def ask() -> list[list[Any]]:
        connection = await asyncpg.connect(**server)
        try:
            question = f"SELECT $1::text::{type_}[]"
            return [await connection.fetchval(question, array) for array in arrays]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_every_text_comes_back(server: dict[str, Any]) -> None:
    lists: list[list[str | None]] = [
        [],
        NASTY,
        [None],
        *([each] for each in NASTY),
        [chr(code) for code in range(1, 256)],
    ]
    assert read_back(server, "text", [texts(each) for each in lists]) == lists


def test_a_nul_becomes_the_character_of_what_cannot_be_read(server: dict[str, Any]) -> None:
    assert read_back(server, "text", [texts(["a\0b", None, "c"])]) == [["a\ufffdb", None, "c"]]


@given(values=st.lists(words, max_size=8))
def test_a_text_is_written_so_that_the_server_can_only_read_it_as_it_was(values: list[str | None]) -> None:
    assert as_the_manual_has_it(texts(values)) == [
        None if each is None else each.replace("\0", "\ufffd") for each in values
    ]


def test_numbers_come_back_exactly_and_nothing_as_null(server: dict[str, Any]) -> None:
    floats = [0.1, -1.5, 1e300, 5e-324, sys.float_info.max, 1_777_977_000.123_456_7, 3.0, None]
    (found,) = read_back(server, "float8", [plain(floats)])
    assert found == floats
    ints = [0, -(2**63), 2**63 - 1, None]
    assert read_back(server, "int8", [plain(ints), plain([])]) == [ints, []]
    assert read_back(server, "bool", [plain([True, False, None])]) == [[True, False, None]]


def as_the_manual_has_it(array: str) -> list[str | None]:
    """Reads an array of texts by the rules of section 8.15.6, for those that quote every element."""
    assert array[0] == "{"
    assert array[-1] == "}"
    elements: list[str | None] = []
    rest = array[1:-1]
    while rest:
        if rest.startswith("null"):
            elements.append(None)
            rest = rest[4:]
        else:
            assert rest[0] == '"', rest
            place, text = 1, ""
            while rest[place] != '"':
                place += rest[place] == "\\"  # the next one stands for itself
                text += rest[place]
                place += 1
            elements.append(text)
            rest = rest[place + 1 :]
        assert rest[:1] in ("", ",")
        rest = rest[1:]
    return elements
