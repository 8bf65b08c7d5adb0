"""Every error that TrackLayer shows to a caller.

```
TrackLayerError
├── Malformed            the bytes are not what they claim to be (JSON, gzip, UTF-8)
├── Invalid              well-formed, but a value is not acceptable
├── Unauthorized         no key, or not one of ours
├── Forbidden            a good key without the scope
├── NotFound             no such thing in this workspace
├── Conflict             the thing is in a state that forbids this
├── PreconditionFailed   `If-Match` names another version than the current one
├── TooLarge             over a limit of size or count
├── TooMany              tried too often: try again later
└── Unavailable          try again later: the store cannot commit, or too much is waiting
```

An error names the thing, the value and what was expected. `pointer` is an RFC 6901 JSON pointer into the request's
body; the web layer turns each class into one HTTP status (`web/problems.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class TrackLayerError(Exception):
    """The root of the tree.

    `code` is a stable snake_case word for programs, `detail` a sentence for people, `pointer` the place in the
    caller's input ("" is the whole of it, None where no place can be named).
    """

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        if code is not None:
            self.code = code

    def under(self, prefix: str) -> Self:
        """This error, its pointer moved below `prefix` (itself a JSON pointer)."""
        self.pointer = prefix + (self.pointer or "")
        return self


class Malformed(TrackLayerError):
    """The bytes are not what they claim to be."""

    code = "malformed"


class Invalid(TrackLayerError):
    """A value is not acceptable."""

    code = "invalid"


class Unauthorized(TrackLayerError):
    """The caller is unknown."""

    code = "unauthorized"


class Forbidden(TrackLayerError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFound(TrackLayerError):
    """There is no such thing in the caller's workspace."""

    code = "not_found"


class Conflict(TrackLayerError):
    """The thing is in a state that forbids this."""

    code = "conflict"


class PreconditionFailed(TrackLayerError):
    """The caller's `If-Match` is not the current version."""

    code = "version_mismatch"


class TooLarge(TrackLayerError):
    """Over a limit of size or count."""

    code = "too_large"


class TooMany(TrackLayerError):
    """Tried too often; the next try may be made after `retry_after` seconds."""

    code = "too_many"

    def __init__(self, detail: str, *, retry_after: int, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Unavailable(TrackLayerError):
    """Nothing was taken; the same request may succeed after `retry_after` seconds."""

    code = "unavailable"
    retry_after = 1
    in_doubt = False  # the connection was lost during the commit: what was to be written may be there all the same


def pointer(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) to `path`: `pointer("a/b", 0)` is `/a~1b/0`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Whatever of ours is raised inside points below `path`."""
    try:
        yield
    except TrackLayerError as error:
        error.under(pointer(*path))
        raise
