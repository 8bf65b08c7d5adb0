"""What callers write in queries and headers, read and checked: page sizes, cursors, times, codes, versions."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from litestar.params import Parameter

from tracklayer.errors import Invalid
from tracklayer.model.moment import given_moment

PAGE = 50
LARGEST_PAGE = 200

Limit = Annotated[int, Parameter(ge=1, le=LARGEST_PAGE, description="How many rows a page has at the most.")]
Cursor = Annotated[str | None, Parameter(description="`next_cursor` of the page before.")]
Code = Annotated[int | None, Parameter(ge=100, le=999, description="The last answer's status.")]
IfMatch = Annotated[str | None, Parameter(header="If-Match", description="The ETag of the version you started from.")]

_KEY = re.compile(r"[0-9A-Za-z_]{1,100}")
_ETAG = re.compile(r'\s*(?:W/)?"?([0-9]{1,18})"?\s*')


def write_cursor(key: str) -> str:
    """The opaque cursor that goes on after `key`."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_cursor(text: str | None, prefix: str) -> str | None:
    """The key behind a cursor of the list whose keys start with `prefix`. Raises `Invalid`."""
    if text is None:
        return None
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not _KEY.fullmatch(key) or not key.startswith(prefix):
        raise Invalid(
            f"{text[:100]!r} is not a cursor of this list: use next_cursor of the page before",
            code="invalid_cursor",
            pointer="/cursor",
        )
    return key


def read_moment(text: str | None, name: str) -> float | None:
    """Unix seconds of the RFC 3339 time in the field `name`. Raises `Invalid`."""
    if text is None:
        return None
    try:
        return given_moment(text)
    except ValueError as error:
        raise Invalid(
            f"{name} is {text[:100]!r}, expected an RFC 3339 time", code="invalid_time", pointer=f"/{name}"
        ) from error


def read_if_match(text: str | None) -> int | None:
    """The version that an If-Match header names (RFC 9110 §13.1.1), None for any. Raises `Invalid`."""
    if text is None or text.strip() == "*":
        return None
    found = _ETAG.fullmatch(text)
    if found is None:
        raise Invalid(f'If-Match is {text[:100]!r}, expected a version such as "3"', code="invalid_if_match")
    return int(found[1])
