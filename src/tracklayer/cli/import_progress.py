"""How far an import has come: beside the file, so that it goes on after whatever has stopped it."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from tracklayer.cli.connection import wrong_use

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"


class Progress(msgspec.Struct, kw_only=True):
    """What of a file is done."""

    sha256: str  # of the content, unpacked
    first_sha256: str  # of the content before it was mended: ids hold it, so equal lines of two files differ
    server: str  # its URL: what one server has another has not
    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    rejected_bytes: int = 0  # of the file with the rejected lines; what stands behind belongs to a batch not done
    done: bool = False


class Occurrences:
    """How often each content has come: exactly, and beyond 64 MiB on disk, for a file may have millions of lines."""

    def __init__(self) -> None:
        self._seen = sqlite3.connect("", isolation_level=None)  # a temporary file, which goes with it
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA cache_size = -65536",
            "CREATE TABLE seen (digest TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID",
            "BEGIN",  # and never an end: nobody reads it later
        ):
            self._seen.execute(statement)

    def count(self, digest: str) -> int:
        """The how manieth this one is, from 1."""
        counted = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        (times,) = self._seen.execute(counted, (digest,)).fetchone()
        return int(times)

    def close(self) -> None:
        """Let go of the file."""
        self._seen.close()


def unpacked(raw: BinaryIO) -> gzip.GzipFile | BinaryIO:
    """The content of a file that may be gzip."""
    packed = raw.read(len(_GZIP)) == _GZIP
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if packed else raw


def digest_of(file: Path) -> str:
    """The SHA-256 of a file's content, unpacked. Exits where any of it cannot be read."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as raw:
            content = unpacked(raw)
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
    except (EOFError, OSError, zlib.error) as error:
        raise wrong_use(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return digest.hexdigest()


def load_progress(file: Path, place: Path, server: str, *, restart: bool, new_file: bool) -> Progress:
    """What the progress file at `place` says of `file` and `server`. Exits where either is another one since.

    A `restart` is of the same file, which may have been mended: its lines keep their ids. Whether it was, or is a
    `new_file` of an old name, nothing but its owner can tell.
    """
    if restart and new_file:
        raise wrong_use("--restart is for the same file, --new-file for another one of its name: expected one of them")
    digest = digest_of(file)
    fresh = Progress(sha256=digest, first_sha256=digest, server=server)
    if new_file or not place.exists():
        return fresh
    try:
        known = msgspec.json.decode(place.read_bytes(), type=Progress)
    except (OSError, msgspec.DecodeError) as error:
        if restart:
            return fresh
        raise wrong_use(
            f"{place} cannot be read as the progress of an import: {error}; say --restart to import {file} from its "
            "first line"
        ) from error
    if restart:
        return msgspec.structs.replace(fresh, first_sha256=known.first_sha256)
    if known.sha256 != fresh.sha256:
        raise wrong_use(
            f"{file} was changed since its import began ({place}): say --restart where lines of it were mended, "
            "so that what was taken is not taken again, or --new-file where it is another file of the same name"
        )
    if known.server != server:
        raise wrong_use(
            f"{file} goes to {known.server} and not to {server} ({place}): say --restart to import it there from its "
            "first line"
        )
    return known


def save_progress(progress: Progress, place: Path) -> None:
    """Write it: whole, or not at all. Exits where it cannot be written."""
    draft = place.with_name(f".{place.name}.new")
    with writing(place):
        draft.write_bytes(msgspec.json.encode(progress))
        os.replace(draft, place)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Exits with a sentence where `place` cannot be written."""
    try:
        yield
    except OSError as error:
        raise wrong_use(f"{place} cannot be written: {error.strerror}") from error
