"""Members as callers and spreadsheets name them."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid
from tracklayer.pipeline.member import MAX_ERRORS, LineError, email_member, member_fields, member_key, read_members_csv

HASH = hashlib.sha256(b"jane@example.com").hexdigest()


@pytest.mark.parametrize(
    "fields, key",
    [
        ({"external_id": "u_1"}, "id:u_1"),
        ({"external_id": 7}, "id:7"),
        ({"email": " Jane@Example.com "}, f"email:{HASH}"),
        ({"email": HASH}, f"email:{HASH}"),
        ({"email_hash": HASH.upper()}, f"email:{HASH}"),
    ],
)
def test_a_member_is_known_by_an_id_or_a_hash(fields: dict[str, Any], key: str) -> None:
    assert member_key(fields) == key
    assert member_key(member_fields(key)) == key


@pytest.mark.parametrize(
    "fields, pointer",
    [
        ("u_1", ""),
        ({}, ""),
        ({"external_id": "a", "email": "a@b.c"}, ""),
        ({"id": "a"}, ""),
        ({"external_id": ""}, "/external_id"),
        ({"external_id": "x" * 321}, "/external_id"),
        ({"external_id": "a\0"}, "/external_id"),
        ({"external_id": None}, "/external_id"),
        ({"email": "n/a"}, "/email"),
        ({"email_hash": "abc"}, "/email_hash"),
        ({"email_hash": "jane@example.com"}, "/email_hash"),
    ],
)
def test_what_names_nobody_is_refused_with_its_place(fields: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        member_key(fields)
    assert (refusal.value.code, refusal.value.pointer) == ("invalid_member", pointer)


@pytest.mark.parametrize(
    "text",
    [
        "external_id\nu_1\nu_2\n",
        "\ufeffexternal_id\r\nu_1\r\n\r\nu_2",
        'name;External_ID\n"Doe; Jane";u_1\nJoe; u_2 \n',
        'email\texternal_id\n\tu_1\nx@y.z\t"u_2"\n',
        "external_id\nu_1\nu_1\nu_2\n",
        'name,external_id\n"two\nlines",u_1\n,u_2\n',
    ],
)
def test_a_file_is_read_as_spreadsheets_write_it(text: str) -> None:
    found = read_members_csv(text)
    assert (found.members, found.wrong) == (["id:u_1", "id:u_2"], 0)


def test_addresses_are_hashed_and_what_is_wrong_is_told_by_its_line() -> None:
    found = read_members_csv('email,email_hash\njane@example.com,\nn/a,\n,xyz\n \nname,"a"b\n,' + HASH + "\n,,\nx\n")
    assert found.members == [f"email:{HASH}"]
    assert found.errors == [
        LineError(3, "email is 'n/a': expected an e-mail address"),
        LineError(4, "email_hash is 'xyz': expected the SHA-256 of an e-mail address, 64 hex digits"),
        LineError(6, "not CSV: ',' expected after '\"'"),
        LineError(9, "email is 'x': expected an e-mail address"),
    ]
    assert found.wrong == 4


def test_a_line_that_names_nobody_among_filled_cells_is_wrong() -> None:
    assert read_members_csv("name,external_id\nJane,\n").errors == [
        LineError(2, "there is no external_id on this line")
    ]


def test_a_quote_that_never_ends_is_told_where_it_begins() -> None:
    found = read_members_csv('external_id\nu_1\n"u_2\nu_3\n')
    assert (found.members, [error.line for error in found.errors]) == (["id:u_1"], [3])


def test_of_many_errors_the_first_are_told_and_all_are_counted() -> None:
    found = read_members_csv("email\n" + "n/a\n" * (MAX_ERRORS + 5))
    assert (len(found.errors), found.wrong) == (MAX_ERRORS, MAX_ERRORS + 5)


def test_nothing_is_called_empty() -> None:
    with pytest.raises(Invalid, match="external_id is empty"):
        member_key({"external_id": ""})


@pytest.mark.parametrize("text", ["", "\n", "name\nJane\n", "u_1\nu_2\n", '"external_id\nu_1'])
def test_a_file_without_a_header_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="expected one of external_id, email_hash, email"):
        read_members_csv(text)


@given(st.text())
def test_any_text_below_a_header_is_members_or_errors(text: str) -> None:
    found = read_members_csv("external_id\n" + text)
    assert len(set(found.members)) == len(found.members)
    assert found.wrong >= len(found.errors)


@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda each: each.strip().isprintable() and each.strip())))
def test_ids_that_are_written_as_csv_come_back(ids: list[str]) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["external_id"], *([each] for each in ids)])
    assert read_members_csv(file.getvalue()).members == list(dict.fromkeys(f"id:{each.strip()}" for each in ids))


def test_a_known_address_names_a_member_and_anything_else_nobody() -> None:
    assert email_member({"email": "Jane@example.com"}) == f"email:{HASH}"
    assert email_member({"email": None, "email_hash": HASH}) == f"email:{HASH}"
    assert email_member({"email": "n/a", "email_hash": HASH}) is None
    assert email_member({"plan": "pro"}) is None
