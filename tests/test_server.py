"""The server as a process: how it starts, how it refuses to start, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from tests import forking
from tests.harness import PATIENCE, environment, free_port
from tests.running import (
    KEY,
    ServerProcess,
    clean_environment,
    running_receiver,
    running_server,
    settled,
    wait_until,
)
from tracklayer.client import ApiClient
from tracklayer.demo.receiver import Answer, Hang
from tracklayer.service import Service
from tracklayer.settings import Settings


def start(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a server that is expected to end by itself."""
    env = environment({"port": "0", "data_dir": str(data_dir)} | settings, measured=True)
    return forking.run(["tracklayer", "serve"], env=env, timeout=PATIENCE)


def refusal(ended: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line on stderr of a server that refused to start."""
    assert ended.returncode == status, ended
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for the tests that leave it as it is."""
    with running_server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order_with_status_0(tmp_path: Path, number: int) -> None:
    with running_server(tmp_path) as server:
        assert server.stop(number) == 0
        assert server.lines[-1]["event"] == "stopped"
        assert server.stderr() == ""


def test_the_first_admin_key_is_printed_once(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "tracklayer", "serve"],
        env=clean_environment(port="0", data_dir=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    with first.stdout:
        assert any("tl_live_" in line for line in iter(first.stdout.readline, "") if not line.startswith("{"))
        first.terminate()
        assert first.wait(PATIENCE) == 0
    with running_server(tmp_path, admin_key="") as second:
        assert second.stop() == 0


def test_the_first_start_prints_the_link_by_which_the_first_person_joins(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tracklayer", "serve"],
        env=clean_environment(port="0", data_dir=str(tmp_path), admin_key=KEY, host="0.0.0.0"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server.stdout:
        lines = iter(server.stdout.readline, "")
        listening = next(line for line in lines if '"listening"' in line)
        link = next(line for line in lines if "/setup/" in line).strip()
        port = urlsplit(msgspec.json.decode(listening)["url"]).port
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/setup/[\w-]{{43}}", link)
        server.terminate()
        assert [line for line in lines if "/setup/" in line] == []
        assert server.wait(PATIENCE) == 0


def test_where_there_is_somebody_no_link_is_printed(tmp_path: Path) -> None:
    asyncio.run(_join(tmp_path))
    with running_server(tmp_path) as server:
        assert server.stop() == 0
        assert not any("/setup/" in line for line in server.printed)


async def _join(data_dir: Path) -> None:
    service = Service(Settings(data_dir=data_dir))
    try:
        await service.prepare()
        token = await service.setup_token()
        assert token is not None
        await service.people.accept_invitation(token, "kim@example.com", "correct horse battery", "", "")
    finally:
        await service.close()


def test_an_answer_names_no_server_software(server: ServerProcess) -> None:
    with connect(server) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = sock.recv(65536).lower()
    assert answer.startswith(b"http/1.1 200 ok\r\n")
    assert b"\r\nserver:" not in answer


def test_a_stop_finishes_the_attempt_that_is_in_flight(tmp_path: Path) -> None:
    with running_receiver() as receiver, running_server(tmp_path) as server, ApiClient(server.url, KEY) as client:
        receiver.default = Answer(200, delay=1.0)
        client.post("/v1/destinations", {"name": "slow", "transport": {"url": receiver.url}})
        client.post("/v1/events", {"event_name": "purchase"})
        wait_until(lambda: receiver.count, "the request")
        assert server.stop() == 0
        assert [line["state"] for line in server.lines if line["event"] == "attempt"] == ["delivered"]


def test_a_stop_cuts_off_what_is_in_flight_at_its_timeout(tmp_path: Path) -> None:
    with running_receiver() as receiver, running_server(tmp_path, stop_timeout="1s") as server:
        receiver.default = Hang()
        with ApiClient(server.url, KEY) as client:
            client.post("/v1/destinations", {"name": "hangs", "transport": {"url": receiver.url, "timeout": "1m"}})
            event_id = client.post("/v1/events", {"event_name": "purchase"})["id"]
            wait_until(lambda: receiver.count, "the request")
        assert server.stop() == 0
        receiver.default = Answer(200)
        with running_server(tmp_path) as again, ApiClient(again.url, KEY) as client:
            settled(client, event_id, "delivered")


def test_a_caller_who_does_not_finish_cannot_hold_a_stop_up(tmp_path: Path) -> None:
    with running_server(tmp_path, stop_timeout="1s") as server, connect(server) as sock:
        head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
        sock.sendall(head.encode())
        with ApiClient(server.url, KEY) as client:
            client.get("/healthz")
        assert server.stop() == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running_receiver() as receiver, running_server(tmp_path, stop_timeout="1m") as server:
        receiver.default = Hang()
        with ApiClient(server.url, KEY) as client:
            client.post("/v1/destinations", {"name": "hangs", "transport": {"url": receiver.url, "timeout": "1m"}})
            client.post("/v1/events", {"event_name": "purchase"})
            wait_until(lambda: receiver.count, "the request")
        server.process.terminate()
        server.wait_for_line("stopping")
        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_headers_that_do_not_end_are_refused(server: ServerProcess) -> None:
    with connect(server) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nx-endless: ")
        answer = b""
        try:
            for _ in range(1000):
                sock.sendall(b"a" * 4096)
        except ConnectionError:
            pass
        try:
            answer = sock.recv(65536)
        except ConnectionError:
            answer = b"HTTP/1.1 431"  # the reset overtook the answer
        assert answer.startswith(b"HTTP/1.1 431")
    with ApiClient(server.url, KEY) as client:
        assert client.get("/healthz")["status"] == "ok"


def test_many_requests_in_one_packet_are_all_answered(server: ServerProcess) -> None:
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-padding: " + b"a" * 4000 + b"\r\n\r\n"
    with connect(server) as sock:
        sock.sendall(request * 50)
        answers = b""
        while answers.count(b"200 OK") < 50:
            answers += sock.recv(65536)


def test_it_starts_delivers_and_stops_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    port = free_port()
    with running_receiver() as receiver:
        process = subprocess.Popen(
            [sys.executable, "-m", "tracklayer", "serve"],
            env=clean_environment(port=str(port), data_dir=str(tmp_path), admin_key=KEY, allow_networks="127.0.0.0/8"),
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write_end)
        assert process.stderr is not None
        with process.stderr, ApiClient(f"http://127.0.0.1:{port}", KEY) as client:
            wait_until(lambda: is_listening(port), "the server to listen")
            client.post("/v1/destinations", {"name": "d", "transport": {"url": receiver.url}})
            settled(client, client.post("/v1/events", {"event_name": "purchase"})["id"], "delivered")
            process.terminate()
            assert process.wait(PATIENCE) == 0
            assert process.stderr.read() == ""


def test_the_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running_server(tmp_path) as server:
        limits = Path(f"/proc/{server.process.pid}/limits")
        if not limits.exists():
            pytest.skip("this system has no /proc to look in: run it on Linux")
        (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max open files")]
        assert int(line.split()[3]) == hard


def test_a_data_directory_in_use_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path):
        line = refusal(start(tmp_path), 1)
    assert line == f"tracklayer: another TrackLayer is running on {tmp_path}"


def test_another_master_key_than_the_one_of_the_secrets_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, ApiClient(server.url, KEY) as client:
        client.put("/v1/secrets/token", {"value": "s3cret-s3cret"})
    another, said = base64.b64encode(bytes(32)), "another master key than the one that this database was saved with"
    assert refusal(start(tmp_path, master_key=another.decode()), 1) == f"tracklayer: TRACKLAYER_MASTER_KEY is {said}"
    file = tmp_path / "master.key"
    file.write_bytes(another)
    assert refusal(start(tmp_path), 1) == f"tracklayer: {file} is {said}"


def test_a_master_key_that_is_missing_is_asked_for_and_none_is_left_in_its_place(tmp_path: Path) -> None:
    with running_server(tmp_path):
        pass
    key_file = tmp_path / "master.key"
    kept = key_file.read_bytes()
    key_file.unlink()
    line = refusal(start(tmp_path), 1)
    assert f"{key_file} is missing: it has the master key that this database was saved with" in line
    assert not key_file.exists()
    key_file.write_bytes(kept)
    with running_server(tmp_path):
        pass


def test_nobody_else_on_the_machine_reads_what_it_stores(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_server(data_dir):
        modes = {each.name: each.stat().st_mode & 0o777 for each in data_dir.iterdir()}
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert {"tracklayer.db", "tracklayer.db-wal", "master.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_bad_setting_is_refused_with_status_2(tmp_path: Path) -> None:
    line = refusal(start(tmp_path, port="http"), 2)
    assert line.startswith("tracklayer: TRACKLAYER_PORT = 'http' cannot be used: expected a port number")


def test_a_port_that_is_taken_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    port = str(urlsplit(server.url).port)
    line = refusal(start(tmp_path / "other", port=port), 1)
    assert line.startswith(f"tracklayer: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert not (tmp_path / "other").exists()


def test_a_host_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    line = refusal(start(tmp_path, host="192.0.2.1"), 1)
    assert line.startswith("tracklayer: cannot listen on 192.0.2.1 port 0: ")


def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refusal(start(tmp_path / "file" / "data"), 1)
    assert line.startswith(f"tracklayer: {tmp_path}/file/data cannot be used: Not a directory")
    line = refusal(start(tmp_path / "file"), 1)
    assert line.startswith(f"tracklayer: {tmp_path}/file cannot be used: it is no directory; TRACKLAYER_DATA_DIR")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tracklayer.db").write_text("this is not a database, but a text that is long enough" * 100)
    assert "file is not a database" in refusal(start(tmp_path), 1)


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "tracklayer.db").mkdir()
    assert refusal(start(tmp_path), 1).endswith(f" (sqlite:///{tmp_path}/tracklayer.db)")
    nowhere = refusal(start(tmp_path, database_url="sqlite:////nonexistent/x.db"), 1)
    assert nowhere.startswith("tracklayer: /nonexistent/x.db")


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    line = refusal(start(tmp_path, database_url="postgresql://tl:s3cret@127.0.0.1:1/tl?password=s3cret"), 1)
    place = "(postgresql://tl:***@127.0.0.1:1/tl)"
    assert line == f"tracklayer: the database cannot be reached: Connection refused {place}"


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "tracklayer.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("UPDATE schema_needs SET code_revision = '9999'")
    database.close()
    line = refusal(start(tmp_path), 1)
    assert line.startswith("tracklayer: the database was made by a newer version of TrackLayer")
