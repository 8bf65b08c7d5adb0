"""`tracklayer events import` against a real server: every line once, whatever stops it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Api, ServerProcess
from tests.running import Ran
from tests.running import tracklayer as run
from tests.web.expect import ok
from tracklayer.cli import event_import
from tracklayer.client import ApiClient, Unreachable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def imported(server: ServerProcess, *arguments: str) -> Ran:
    return run("events", "import", *arguments, url=server.url, api_key=server.key)


def lines(*events: Any) -> bytes:
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in events)


def written(folder: Path, *events: Any, name: str = "events.ndjson") -> str:
    file = folder / name
    file.write_bytes(gzip.compress(lines(*events)) if name.endswith(".gz") else lines(*events))
    return str(file)


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_every_line_becomes_an_event_with_its_digits(server: ServerProcess, api: Api, folder: Path, name: str) -> None:
    raw = b'{"event_id":"digits_%s","event_name":"purchase","properties":{"value":149.90}}' % name.encode()
    ran = imported(server, written(folder, raw, {"event_name": "b"}, b"", {"event_name": "c"}, name=name), "--json")
    assert (ran.status, ran.json["accepted"], ran.json["lines"]) == (0, 3, 4)
    stored = api.send("GET", f"/v1/events/digits_{name}", None, {"Authorization": f"Bearer {server.key}"})[2]
    assert b'"value":149.90' in stored
    assert not (folder / f"{name}.rejected.ndjson").exists()


def test_a_file_that_is_imported_is_not_imported_again(server: ServerProcess, folder: Path) -> None:
    file = written(folder, *({"event_name": "once"} for _ in range(1200)))
    assert imported(server, file).out == "1200 accepted, 0 duplicate, 0 rejected\n"
    told = imported(server, file)
    assert told.out == "1200 accepted, 0 duplicate, 0 rejected\n"  # it tells what it did
    assert told.err == f"tracklayer: already imported to {server.url}; --restart to do it again\n"
    again = imported(server, file, "--restart", "--json").json  # lines without an id have one all the same
    assert (again["accepted"], again["duplicate"]) == (0, 1200)


def test_the_same_content_packed_is_the_same_events(server: ServerProcess, folder: Path) -> None:
    assert imported(server, written(folder, {"event_name": "packed"}), "--json").json["accepted"] == 1
    packed = written(folder, {"event_name": "packed"}, name="packed.gz")
    assert imported(server, packed, "--json").json["duplicate"] == 1


def test_rejected_lines_are_told_and_written_as_they_are(server: ServerProcess, folder: Path) -> None:
    bad = [b'{"event_name": 7, "x": 1.10}', b"{broken", b"[1]", b'{"event_name": "\\ud83d"}']
    file = written(folder, {"event_name": "good"}, *bad, {"event_name": "good"})
    ran = imported(server, file)
    assert ran.status == 1
    assert ran.out.startswith("2 accepted, 0 duplicate, 4 rejected")
    assert "  /event_name" in ran.out
    assert "not JSON" in ran.out
    assert "half of a surrogate pair" in ran.out
    assert (folder / "events.ndjson.rejected.ndjson").read_bytes() == b"".join(each + b"\n" for each in bad)
    again = imported(server, file)
    assert again.status == 1
    assert f"rejected lines: {folder / 'events.ndjson.rejected.ndjson'}; mend them there and import that" in again.out


def test_an_import_that_was_stopped_goes_on_where_it_was(
    server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(
        folder, *({"event_name": "long"} for _ in range(700)), b"bad", *({"event_name": "l"} for _ in range(900))
    )
    posts = _failing_after(monkeypatch, 2)
    stopped = imported(server, file)
    assert stopped.status == 1
    assert "stopped behind line 1000; run it again to go on there" in stopped.err
    assert posts() == 2
    with (folder / "events.ndjson.rejected.ndjson").open("ab") as rejects:
        rejects.write(b"of a batch that was not done\n")
    monkeypatch.undo()
    rest = imported(server, file, "--json").json
    assert (rest["accepted"], rest["duplicate"], rest["rejected"], rest["lines"]) == (1600, 0, 1, 1601)
    assert (folder / "events.ndjson.rejected.ndjson").read_bytes() == b"bad\n"


def _failing_after(monkeypatch: pytest.MonkeyPatch, good: int) -> Any:
    """The server is gone after `good` batches; answers how many it took."""
    real, done = ApiClient.post, 0

    def post(self: ApiClient, path: str, body: Any = None, **query: Any) -> Any:
        nonlocal done
        if done == good:
            raise Unreachable("no TrackLayer answers")
        done += 1
        return real(self, path, body, **query)

    monkeypatch.setattr(ApiClient, "post", post)
    monkeypatch.setattr(event_import, "FIRST_PAUSE", 0.0)
    return lambda: done


def test_a_server_that_is_away_for_a_moment_costs_nothing(
    server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = ApiClient.post, iter(range(100))

    def post(self: ApiClient, path: str, body: Any = None, **query: Any) -> Any:
        if next(tries) < event_import.TRIES - 1:
            raise Unreachable("no TrackLayer answers")
        return real(self, path, body, **query)

    monkeypatch.setattr(ApiClient, "post", post)
    monkeypatch.setattr(event_import, "FIRST_PAUSE", 0.0)
    ran = imported(server, written(folder, {"event_name": "a"}))
    assert ran.status == 0
    assert ran.err == "tracklayer: no TrackLayer answers (trying again in 0 s)\n" * (event_import.TRIES - 1)


def test_an_interrupt_says_how_to_go_on(server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(ApiClient, "post", interrupted)
    ran = imported(server, written(folder, {"event_name": "a"}))
    assert ran.status != 0
    assert "stopped behind line 0; run it again to go on there" in ran.err


def test_a_changed_file_is_noticed(server: ServerProcess, folder: Path) -> None:
    file = written(folder, {"event_name": "a", "event_id": "changed_1"})
    assert imported(server, file).status == 0
    written(folder, {"event_name": "a", "event_id": "changed_2"})
    refused = imported(server, file)
    assert refused.status == 2
    assert "was changed since its import began" in refused.err
    assert "--restart where lines of it were mended" in refused.err
    assert "--new-file where it is another file" in refused.err
    assert imported(server, file, "--restart", "--new-file").status == 2
    assert imported(server, file, "--restart").out == "1 accepted, 0 duplicate, 0 rejected\n"


def test_another_server_has_none_of_it(server: ServerProcess, folder: Path) -> None:
    file = written(folder, {"event_name": "a"})
    assert imported(server, file).status == 0
    elsewhere = run("events", "import", file, url="http://127.0.0.1:1", api_key=server.key)
    assert elsewhere.status == 2
    assert f"goes to {server.url} and not to http://127.0.0.1:1" in elsewhere.err
    assert "say --restart" in elsewhere.err


def test_the_progress_may_be_kept_elsewhere(server: ServerProcess, folder: Path) -> None:
    place = folder / "other.progress"
    assert imported(server, written(folder, {"event_name": "a"}), "--resume-file", str(place)).status == 0
    assert json.loads(place.read_bytes())["done"] is True
    assert not (folder / "events.ndjson.progress").exists()


@pytest.mark.parametrize("damaged", ["", "{"])
def test_a_damaged_progress_says_how_to_go_on(server: ServerProcess, folder: Path, damaged: str) -> None:
    file = written(folder, {"event_name": "a"})
    (folder / "events.ndjson.progress").write_text(damaged)
    refused = imported(server, file)
    assert (refused.status, "cannot be read as the progress" in refused.err) == (2, True)
    assert f"say --restart to import {file} from its first line" in refused.err
    assert imported(server, file, "--restart").status == 0


def test_where_the_progress_or_the_rejects_cannot_be_written_nothing_is_sent(
    server: ServerProcess, api: Api, folder: Path
) -> None:
    file = written(folder, {"event_name": "a", "event_id": "unwritten_1"})
    nowhere = imported(server, file, "--resume-file", "/nonexistent/x")
    assert nowhere == Ran(2, "", "tracklayer: /nonexistent/x cannot be written: No such file or directory\n")
    rejects = folder / "events.ndjson.rejected.ndjson"
    rejects.mkdir()
    taken = imported(server, file)
    assert (taken.status, f"tracklayer: {rejects} cannot be written: " in taken.err) == (2, True)
    assert api.get("/v1/events/unwritten_1").status == 404


def test_what_is_too_large_for_a_request_or_for_an_event_costs_its_neighbours_nothing(
    server: ServerProcess, folder: Path
) -> None:
    large, huge = {"event_name": "x", "text": "x" * 300_000}, {"event_name": "x", "text": "x" * 1_200_000}
    ran = imported(server, written(folder, {"event_name": "a"}, large, huge, {"event_name": "b"}), "--json")
    assert (ran.json["accepted"], ran.json["rejected"]) == (2, 2)


def test_a_line_without_an_end_fills_no_memory(server: ServerProcess, folder: Path) -> None:
    endless = b"x" * (event_import.LONGEST_LINE * 2 + 10)
    ran = imported(server, written(folder, {"event_name": "a"}, endless, {"event_name": "b"}), "--json")
    assert (ran.json["accepted"], ran.json["rejected"], ran.json["lines"]) == (2, 1, 3)
    assert (folder / "events.ndjson.rejected.ndjson").stat().st_size == 1001


def test_a_broken_or_missing_file_sends_nothing(server: ServerProcess, api: Api, folder: Path) -> None:
    whole = gzip.compress(lines(*({"event_id": f"broken_{number}", "event_name": "a"} for number in range(600))))
    (folder / "cut.gz").write_bytes(whole[:-20])
    for name in ("cut.gz", "nothing.ndjson"):
        ran = imported(server, str(folder / name))
        assert (ran.status, "cannot be read" in ran.err) == (2, True)
    assert api.get("/v1/events/broken_0").status == 404


def test_a_mark_before_the_first_line_is_no_part_of_it(server: ServerProcess, folder: Path) -> None:
    assert imported(server, written(folder, b'\xef\xbb\xbf{"event_name": "marked"}')).status == 0


def test_a_wrong_key_stops_it_at_once(server: ServerProcess, folder: Path) -> None:
    file = written(folder, {"event_name": "a"})
    ran = run("events", "import", file, url=server.url, api_key="tl_live_wrong-wrong-wrong")
    assert ran.status == 1
    assert "stopped behind line 0" in ran.err
    assert not (folder / "events.ndjson.rejected.ndjson").exists()
    assert ok(Api(server.url, server.key).get("/healthz"))


def test_equal_lines_without_an_id_are_as_many_events(server: ServerProcess, folder: Path) -> None:
    same = {"event_name": "same"}
    assert imported(server, written(folder, same, same, same), "--json").json["accepted"] == 3


def test_a_mended_file_takes_each_event_once(server: ServerProcess, folder: Path) -> None:
    same, other = {"event_name": "mended"}, {"event_name": "mended", "user_id": "u_1"}
    file = written(folder, same, b'{"event_name": "mended", "user_id": "u_2"', other, same)
    assert imported(server, file, "--json").json["accepted"] == 3
    written(folder, b'{"event_name": "mended", "user_id": "u_2"}', same, other, same)  # other lines, other numbers
    again = imported(server, file, "--restart", "--json").json
    assert (again["accepted"], again["duplicate"], again["rejected"]) == (1, 3, 0)


def test_equal_lines_of_two_files_are_two_events(server: ServerProcess, folder: Path) -> None:
    same = {"event_name": "of two"}
    assert imported(server, written(folder, same), "--json").json["accepted"] == 1
    assert imported(server, written(folder, same, {"event_name": "x"}, name="b.ndjson"), "--json").json["accepted"] == 2


def test_another_days_file_of_the_same_name_has_other_events(server: ServerProcess, folder: Path) -> None:
    same, damaged = {"event_name": "daily"}, b'{"event_name": "daily"'
    assert imported(server, written(folder, same, damaged), "--json").json["accepted"] == 1
    file = written(folder, same, {"event_name": "of the next day"})
    found = imported(server, file, "--new-file", "--json").json
    assert (found["accepted"], found["duplicate"], found["rejected"]) == (2, 0, 0)
    again = imported(server, file, "--restart", "--json").json
    assert (again["accepted"], again["duplicate"]) == (0, 2)


def test_equal_lines_are_counted_over_a_stop(
    server: ServerProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(folder, *({"event_name": "stopped"} for _ in range(1100)))
    _failing_after(monkeypatch, 1)
    assert imported(server, file).status == 1
    monkeypatch.undo()
    assert imported(server, file, "--json").json["accepted"] == 1100
