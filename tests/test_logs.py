"""Logs: lines that machines read, and that never stop what they tell about."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator

import msgspec
import pytest
import structlog

from tracklayer.logs import LineWriter, configure


@pytest.fixture
def written() -> Iterator[Callable[[], list[str]]]:
    """What was written to the pipe that `configure(descriptor=…)` of this test got, in lines."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    _configured.append(write_end)
    try:
        yield lambda: os.read(read_end, 65536).decode().splitlines()
    finally:
        os.close(read_end)
        os.close(write_end)
        _configured.clear()
        structlog.reset_defaults()
        logging.basicConfig(force=True, handlers=[])


_configured: list[int] = []


def test_a_line_is_one_json_object_with_the_time_first(written: Callable[[], list[str]]) -> None:
    configure("info", "json", descriptor=_configured[0])
    structlog.get_logger("x").info("attempt", delivery_id="dlv_1", latency_ms=1.5, due_at=None, odd=object)
    (line,) = written()
    fields = msgspec.json.decode(line)
    assert list(fields) == ["timestamp", "level", "event", "delivery_id", "latency_ms", "due_at", "odd"]
    assert fields["timestamp"].endswith("Z")
    assert (fields["level"], fields["event"], fields["latency_ms"]) == ("info", "attempt", 1.5)


def test_what_is_less_severe_than_the_level_is_not_written(written: Callable[[], list[str]]) -> None:
    configure("warning", "json", descriptor=_configured[0])
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud")
    assert ['"event":"loud"' in line for line in written()] == [True]


def test_an_exception_is_part_of_its_line(written: Callable[[], list[str]]) -> None:
    configure("info", "json", descriptor=_configured[0])
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = written()
    assert "ValueError: broken\nin two lines" in msgspec.json.decode(line)["exception"]


def test_libraries_are_heard_from_warning_on(written: Callable[[], list[str]]) -> None:
    configure("debug", "json", descriptor=_configured[0])
    library = logging.getLogger("some.library")
    library.info("chatter %d", 1)
    library.warning("trouble %d", 2)
    (line,) = written()
    assert msgspec.json.decode(line) | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "trouble 2",
        "logger": "some.library",
    }


def test_the_console_form_is_for_people(written: Callable[[], list[str]]) -> None:
    configure("info", "console", descriptor=_configured[0])
    structlog.get_logger().info("started", data_dir="x")
    (line,) = written()
    assert "started" in line
    assert "data_dir=x" in line
    assert not line.startswith("{")
    assert "\x1b" not in line


def test_a_reader_that_went_away_costs_lines_and_nothing_else() -> None:
    read_end, write_end = os.pipe()
    writer = LineWriter(write_end)
    os.close(read_end)
    try:
        writer.info(b"into the void")
        writer.error(b"again")
    finally:
        os.close(write_end)
    assert writer.lost == 2
