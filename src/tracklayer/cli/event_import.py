"""`tracklayer events import`: a file of events, one a line, exactly once each, resumable."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NamedTuple

import msgspec
import typer

from tracklayer.cli.connection import AsJson, Key, Url, connect
from tracklayer.cli.import_progress import Occurrences, Progress, load_progress, save_progress, unpacked, writing
from tracklayer.cli.output import write_json, write_table
from tracklayer.decoding import why_no_json
from tracklayer.errors import pointer
from tracklayer.model.event import Json, decode_json

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from tracklayer.client import ApiClient

BATCH_EVENTS = 500
BATCH_BYTES = 512 * 1024
LONGEST_LINE = 4 * 1024 * 1024  # bytes; a longer one is not read whole
TRIES = 6
FIRST_PAUSE = 1.0  # seconds; each is twice the one before
SHOWN = 20  # rejected lines whose reasons are shown

_MARK = b"\xef\xbb\xbf"  # which some programs write before UTF-8
_AT_FAULT = (400, 413, 422)
_AWAY = (429, 502, 503, 504)


class Line(NamedTuple):
    """One line of the file: its event, or what is wrong with it."""

    number: int
    raw: bytes
    event: Json
    problem: str | None


class Failed(NamedTuple):
    """A line that made no event."""

    line: Line
    detail: str
    pointer: str | None


def import_file(
    file: Annotated[Path, typer.Argument(help="NDJSON: one event a line, plain or gzip.", metavar="FILE.ndjson[.gz]")],
    resume_file: Annotated[
        Path | None,
        typer.Option("--resume-file", help="Where to keep how far it has come.", show_default="FILE.progress"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin with the first line of the same file again, mended or not.")
    ] = False,
    new_file: Annotated[
        bool, typer.Option("--new-file", help="It is another file than the one that was imported under its name.")
    ] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Import events; ends with 1 when a line is rejected. What is stopped goes on where it was, when run again.

    An event without an event_id gets one made of its line, and of how many equal ones stand before it in the file, so
    that none is taken twice within the server's dedup window. Lines that are rejected are written to
    FILE.rejected.ndjson, as they are: mend them there, and import that file.
    """
    place = resume_file or file.with_name(f"{file.name}.progress")
    failed: list[Failed] = []
    with connect(url, key) as client:
        progress = load_progress(file, place, client.url, restart=restart, new_file=new_file)
        if progress.done:
            typer.echo(f"tracklayer: already imported to {progress.server}; --restart to do it again", err=True)
        else:
            _import(client, file, place, progress, failed)
    _report(file, progress, failed, as_json=as_json)
    if progress.rejected:
        raise typer.Exit(1)


def _import(client: ApiClient, file: Path, place: Path, progress: Progress, failed: list[Failed]) -> None:
    """Send what is not done yet; how far it has come is written before the first batch and after every one."""
    save_progress(progress, place)
    rejects = _rejects_of(file)
    with writing(rejects):
        _shorten(rejects, progress.rejected_bytes)
    with file.open("rb") as raw, _bar() as bar:
        task = bar.add_task(file.name, total=file.stat().st_size, lines=progress.lines)
        try:
            for batch in _batches(_lines(raw, progress)):
                found = _sent(client, batch, progress)
                if found:
                    with writing(rejects), rejects.open("ab") as kept:
                        kept.write(b"".join(each.line.raw + b"\n" for each in found))
                        progress.rejected_bytes = kept.tell()
                failed += found[: SHOWN - len(failed)]
                progress.rejected += len(found)
                progress.lines = batch[-1].number
                save_progress(progress, place)
                bar.update(task, completed=raw.tell(), lines=progress.lines)
        except BaseException:  # Ctrl-C, too
            typer.echo(f"tracklayer: stopped behind line {progress.lines}; run it again to go on there", err=True)
            raise
    progress.done = True
    save_progress(progress, place)


def _shorten(rejects: Path, size: int) -> None:
    """Take away what a batch that is not done left behind, or an earlier import: a file without a line is none."""
    if size and rejects.exists():
        os.truncate(rejects, size)
    elif rejects.exists():
        rejects.unlink()


def _rejects_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.rejected.ndjson")


def _lines(raw: BinaryIO, progress: Progress) -> Iterator[Line]:
    """The lines behind those that are done, which are read all the same, to count equal ones. Empty ones are none."""
    content = unpacked(raw)
    number = 0
    with closing(Occurrences()) as earlier:
        while read := content.readline(LONGEST_LINE):
            number += 1
            too_long = len(read) == LONGEST_LINE and not read.endswith(b"\n")
            while too_long and (rest := content.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            if raw_line := (read.removeprefix(_MARK) if number == 1 else read).strip():
                line = _too_long(number, raw_line) if too_long else _line(number, raw_line, progress, earlier)
                if number > progress.lines:
                    yield line


def _line(number: int, raw: bytes, progress: Progress, earlier: Occurrences) -> Line:
    try:
        event = decode_json(raw)
    except msgspec.DecodeError as error:
        return Line(number, raw, None, f"not JSON: {why_no_json(raw, error)}")
    except (ValueError, ArithmeticError, RecursionError) as error:
        return Line(number, raw, None, f"not JSON: {error}")
    if isinstance(event, dict) and event.get("event_id") is None:
        digest = sha256(progress.first_sha256.encode() + raw).hexdigest()[:32]
        event["event_id"] = f"import:{digest}:{earlier.count(digest)}"
    return Line(number, raw, event, None)


def _too_long(number: int, start: bytes) -> Line:
    return Line(number, start[:1000], None, f"longer than {LONGEST_LINE} bytes: only its start is kept")


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == BATCH_EVENTS or size + len(line.raw) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.raw)
    if batch:
        yield batch


def _sent(client: ApiClient, batch: list[Line], progress: Progress) -> list[Failed]:
    """Send a batch; answers the lines that made no event, in order."""
    failed = [Failed(line, line.problem, None) for line in batch if line.problem is not None]
    failed += _posted(client, [line for line in batch if line.problem is None], progress)
    return sorted(failed, key=lambda each: each.line.number)


def _posted(client: ApiClient, lines: list[Line], progress: Progress) -> list[Failed]:
    """As `_sent`. A batch that is refused as a whole is sent in halves, until what is at fault stands alone."""
    from tracklayer.client import ApiError

    if not lines:
        return []
    try:
        results = _patiently(client, lines)
    except (ApiError, RecursionError) as error:
        if isinstance(error, ApiError) and error.status not in _AT_FAULT:
            raise
        if len(lines) == 1:
            detail = error.detail if isinstance(error, ApiError) else "nested too deeply to be sent"
            return [Failed(lines[0], detail, None)]
        half = len(lines) // 2
        return [*_posted(client, lines[:half], progress), *_posted(client, lines[half:], progress)]
    failed = []
    for index, (line, result) in enumerate(zip(lines, results, strict=True)):
        if result["status"] == "rejected":
            at = (result["error"].get("pointer") or "").removeprefix(pointer("events", index))
            failed.append(Failed(line, result["error"]["detail"], at or None))
        elif result["status"] == "duplicate":
            progress.duplicate += 1
        else:
            progress.accepted += 1
    return failed


def _patiently(client: ApiClient, lines: list[Line]) -> list[dict[str, Any]]:
    """Send, and again after a while where the server is away or busy: the ids make that safe."""
    from tracklayer.client import ApiError, Unreachable

    body = {"events": [line.event for line in lines]}
    pause = FIRST_PAUSE
    for _ in range(TRIES - 1):
        try:
            return list(client.post("/v1/events/batch", body)["results"])
        except (Unreachable, ApiError) as error:
            if isinstance(error, ApiError) and error.status not in _AWAY:
                raise
            typer.echo(f"tracklayer: {error.detail} (trying again in {pause:g} s)", err=True)
        time.sleep(pause)
        pause *= 2
    return list(client.post("/v1/events/batch", body)["results"])


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[lines]} lines"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _report(file: Path, progress: Progress, failed: list[Failed], *, as_json: bool) -> None:
    rejects = str(_rejects_of(file)) if progress.rejected else None
    counts = {"accepted": progress.accepted, "duplicate": progress.duplicate, "rejected": progress.rejected}
    if as_json:
        reasons = [{"line": each.line.number, "detail": each.detail, "pointer": each.pointer} for each in failed]
        write_json({**counts, "lines": progress.lines, "rejected_file": rejects, "reasons": reasons})
        return
    typer.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    if failed:
        rows = [(each.line.number, each.detail, each.pointer) for each in failed]
        write_table(["line", "rejected because", "at"], rows, empty="")
    if rejects:
        typer.echo(f"rejected lines: {rejects}; mend them there and import that file, which tells the reasons again")
