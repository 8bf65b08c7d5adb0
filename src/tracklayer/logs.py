"""Logs: one JSON object a line on standard output, or lines for people; ours, and the warnings of the libraries."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tracklayer.model.moment import rfc3339


class LineWriter:
    """Writes whole lines to a file descriptor, with no buffer between.

    A reader that went away or a full disk costs log lines and nothing else: deliveries matter more. A reader that does
    not read makes the process wait, as any program's output does.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost = 0  # lines that could not be written

    def msg(self, line: bytes) -> None:
        """Write one line."""
        rest = line + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self.lost += 1

    debug = info = warning = error = critical = msg


class LibraryHandler(logging.Handler):
    """Passes on what libraries log with the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, with the library's name."""
        log = structlog.get_logger()
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info)


def configure(level: str, log_format: Literal["json", "console"], *, descriptor: int = 1) -> None:
    """Set up the logs of this process, written to `descriptor`. Libraries are heard from `warning` on."""
    least = logging.getLevelNamesMapping()[level.upper()]
    writer = LineWriter(descriptor)
    structlog.configure(
        processors=_json_lines() if log_format == "json" else _console_lines(colors=os.isatty(descriptor)),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[LibraryHandler()], force=True)


def tell(text: str) -> None:
    """Say something to whoever started this process, beside the log and as forgiving of a reader that went away."""
    LineWriter(1).msg(text.encode())


def _json_lines() -> list[Processor]:
    encode = msgspec.json.Encoder(enc_hook=repr).encode

    def render(_logger: WrappedLogger, level: str, fields: EventDict) -> bytes:
        now = rfc3339(time.time())  # noqa: TID251 (a log tells the machine's time, in a simulation too)
        return encode({"timestamp": now, "level": level, "event": fields.pop("event"), **fields})

    return [structlog.processors.format_exc_info, render]


def _console_lines(*, colors: bool) -> list[Processor]:
    pretty = structlog.dev.ConsoleRenderer(colors=colors)

    def render(logger: WrappedLogger, method: str, fields: EventDict) -> bytes:
        return pretty(logger, method, fields).encode(sys.stdout.encoding or "utf-8", "backslashreplace")

    return [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), render]
