"""Members of audiences, as callers and spreadsheets name them: by `external_id`, `email` or `email_hash`.

An e-mail address is cleaned and hashed as an event's is, and only the hash is kept.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json
from tracklayer.model.facts import BY_EMAIL, BY_ID
from tracklayer.pipeline.bounds import identifier
from tracklayer.pipeline.personal import clean_email, hash_contact

COLUMNS = ("external_id", "email_hash", "email")  # the first that a line fills in is its member
LONGEST = 320  # characters of an external_id or an address
MAX_ERRORS = 100  # lines that are reported one by one

_HASH = re.compile("[0-9a-f]{64}")


class LineError(NamedTuple):
    """What is wrong with one line of a file."""

    line: int  # from 1, the header
    detail: str


class MembersFile(NamedTuple):
    """What a file of members says."""

    members: list[str]  # keys, each once
    errors: list[LineError]  # the first `MAX_ERRORS`
    wrong: int  # how many lines are wrong in all


def member_key(fields: Json) -> str:
    """The key (`model.facts`) of one member: an object with exactly one of `COLUMNS`. Raises `Invalid`."""
    if not isinstance(fields, Mapping) or len(fields) != 1 or next(iter(fields)) not in COLUMNS:
        raise Invalid(
            "a member is an object with one of external_id, email and email_hash, and nothing else",
            code="invalid_member",
            pointer="",
        )
    ((name, value),) = fields.items()
    try:
        return _key(name, identifier(value, pointer(name)))
    except Invalid as error:
        raise Invalid(error.detail, code="invalid_member", pointer=pointer(name)) from None


def email_member(traits: Mapping[str, Json]) -> str | None:
    """The key of a user of whom an e-mail address, or its hash, is known; None where it is none."""
    for name in ("email", "email_hash"):
        value = traits.get(name)
        if value is not None:
            try:
                return member_key({name: value})
            except Invalid:
                return None
    return None


def member_fields(key: str) -> dict[str, str]:
    """A member as callers see it: `{"external_id": …}` or `{"email_hash": …}`."""
    if key.startswith(BY_ID):
        return {"external_id": key.removeprefix(BY_ID)}
    return {"email_hash": key.removeprefix(BY_EMAIL)}


def read_members_csv(text: str) -> MembersFile:
    """The members that a CSV file names: RFC 4180, or with `;` or tabs between its columns, as spreadsheets write it.

    Its first line names the columns; at least one is of `COLUMNS`, and others are passed over. An empty line is none.
    Raises `Invalid` for a file that has no such header.
    """
    rows = _rows(text.removeprefix("\ufeff"))
    names = [name.strip().lower() for name in next(rows, _Row(1, [])).cells]
    columns = {name: names.index(name) for name in COLUMNS if name in names}
    if not columns:
        raise Invalid(
            f"the first line names no column that is known: expected one of {', '.join(COLUMNS)}",
            code="invalid_csv",
            pointer="",
        )
    members: dict[str, None] = {}
    errors: list[LineError] = []
    for row in rows:
        try:
            members |= dict.fromkeys(_members_of(row, columns))
        except Invalid as error:
            errors.append(LineError(row.line, error.detail))
    return MembersFile(list(members), errors[:MAX_ERRORS], len(errors))


class _Row(NamedTuple):
    line: int
    cells: list[str]
    problem: str | None = None


def _rows(text: str) -> Iterator[_Row]:
    """The rows of a file, and where one cannot be read, why."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield _Row(line, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            yield _Row(line, [], f"not CSV: {error}")


def _members_of(row: _Row, columns: Mapping[str, int]) -> list[str]:
    """The member of one row; none where it is empty."""
    if row.problem is not None:
        raise Invalid(row.problem)
    if not any(cell.strip() for cell in row.cells):
        return []
    for name, index in columns.items():
        text = row.cells[index].strip() if index < len(row.cells) else ""
        if text:
            return [_key(name, identifier(text, pointer(name)))]
    raise Invalid(f"there is no {' and no '.join(columns)} on this line")


def _key(name: str, text: str) -> str:
    if not text:
        raise Invalid(f"{name} is empty: expected 1 to {LONGEST} characters")
    if len(text) > LONGEST:
        raise Invalid(f"{name} has {len(text)} characters: expected 1 to {LONGEST}")
    return BY_ID + text if name == "external_id" else BY_EMAIL + _email_hash(name, text)


@lru_cache(maxsize=8_192)
def _email_hash(name: str, text: str) -> str:
    contact: dict[str, Json] = {name: text}
    hash_contact(contact, "email", clean_email, {}, [])
    digest = contact.get("email_hash", "")
    if not _HASH.fullmatch(digest):
        expected = "an e-mail address" if name == "email" else "the SHA-256 of an e-mail address, 64 hex digits"
        raise Invalid(f"{name} is {text[:40]!r}: expected {expected}")
    return str(digest)
