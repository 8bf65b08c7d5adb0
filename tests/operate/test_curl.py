"""A request as a command: whatever stands in it, the shell gives curl exactly that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness import ReceiverThread
from tracklayer.model.work import KeptRequest
from tracklayer.operate.curl import curl_command

FAKE_CURL = """#!/bin/sh
for each; do printf '%s\\0' "$each"; done
cat >&2
"""
SHELLS = [shell for shell in ("sh", "bash", "zsh") if shutil.which(shell)]
URL = "https://receiver.test/d?a[]={b}&c='d'"


class Called(NamedTuple):
    """What curl was called with."""

    arguments: list[str]
    stdin: bytes


def kept(**fields: Any) -> KeptRequest:
    given_fields: dict[str, Any] = {"version": 1, "method": "POST", "url": URL, "headers": (), "body": None}
    return KeptRequest(**(given_fields | fields))


@cache
def _folder() -> TemporaryDirectory[str]:
    """A PATH on which curl only tells what it was called with."""
    folder = TemporaryDirectory()
    curl = Path(folder.name) / "curl"
    curl.write_text(FAKE_CURL)
    curl.chmod(0o755)
    return folder


def called(command: str, shell: str) -> Called:
    path = f"{_folder().name}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [shell, "-c", command], stdin=subprocess.DEVNULL, capture_output=True, env={"PATH": path}, check=True
    )
    return Called([each.decode() for each in ran.stdout.split(b"\0")[:-1]], ran.stderr)


def sent_body(call: Called) -> bytes | None:
    """What curl would send."""
    if "--data-binary" not in call.arguments:
        return None
    value = call.arguments[call.arguments.index("--data-binary") + 1]
    assert value == "@-" or not value.startswith("@")
    return call.stdin if value == "@-" else value.encode()


_header_value = st.text(st.characters(codec="latin-1"), max_size=12).map(
    lambda text: re.sub(r"[^\t\x20-\x7e\x80-\xff]", "", text).strip()
)
_text = st.text(max_size=30) | st.text("'\"\\$`!%@-\n\t\r {}[];&|", max_size=20)


@pytest.mark.parametrize("shell", SHELLS)
@given(
    method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET"]),
    path=st.text(st.characters(exclude_categories=("Cc", "Cs", "Z")), max_size=10),
    values=st.lists(_header_value, max_size=3),
    body=st.none() | _text.map(str.encode) | st.binary(max_size=20),
)
@example(method="POST", path="", values=["••••3b27"], body=b"@file")
@example(method="POST", path="\u202egpj", values=["\x9b31m"], body=b"\x1b[201~\x03rm\n")
@example(method="POST", path="", values=["", "-x"], body=b"-n %s \\x41 \\0001\0 tail\n\n")
@example(method="PUT", path="", values=[], body=b"")
def test_the_shell_gives_curl_the_same_bytes(
    shell: str, method: str, path: str, values: list[str], body: bytes | None
) -> None:
    headers = tuple((f"X-{number}", value) for number, value in enumerate(values))
    command = curl_command(kept(method=method, url=f"{URL}{path}", headers=headers, body=body))
    call = called(command, shell)
    data = [] if body is None else ["--data-binary", call.arguments[-1]]
    assert call.arguments == [
        *("--globoff", "--request", method, f"{URL}{path}"),
        *(part for name, value in headers for part in ("--header", f"{name}: {value}" if value else f"{name};")),
        *data,
    ]
    assert sent_body(call) == body


@given(body=st.binary(max_size=30), value=_header_value)
@example(body=b"\x1b[201~\x03rm -rf ~\n", value="\x9b\x85")
def test_nothing_in_a_command_can_press_a_key(body: bytes, value: str) -> None:
    command = curl_command(kept(body=body, headers=(("X", value),)))
    assert all(char == "\n" or char.isprintable() for char in command)


def test_a_command_reads_like_one() -> None:
    request = kept(
        url="https://hooks.example.com/x",
        headers=(("Content-Type", "application/json"), ("X-Note", "it's")),
        body=b'{"type": "purchase"}',
    )
    assert curl_command(request) == (
        "curl --globoff --request POST https://hooks.example.com/x \\\n"
        "  --header 'Content-Type: application/json' \\\n"
        "  --header 'X-Note: it'\"'\"'s' \\\n"
        '  --data-binary \'{"type": "purchase"}\''
    )


@pytest.mark.parametrize(
    "masked",
    [
        {"headers": (("Authorization", "Bearer ••••3b27"),)},
        {"body": "••••3b27".encode()},
        {"body": "\x01 ••••3b27".encode()},
        {"url": "https://receiver.test/?token=%E2%80%A2%E2%80%A2%E2%80%A2%E2%80%A23b27"},
        {"body": b"{}", "sealed": b"x"},
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_masked_secrets_are_said_in_a_comment_that_no_shell_runs(masked: dict[str, Any], shell: str) -> None:
    command = curl_command(kept(**masked))
    assert command.startswith("# Secrets are masked")
    assert called(command, shell).arguments == called(command.partition("\n")[2], shell).arguments


def test_without_a_secret_there_is_no_comment() -> None:
    assert "#" not in curl_command(kept(body=b"{}"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: apt-get install curl")
@pytest.mark.parametrize(
    "body", [b'{"a": "it\'s", "b": [1]}\n', b"@home", b"\x00\x1b\xff%s\\\n\n", b"", b"x" * 300_000, None]
)
def test_curl_itself_sends_the_same_bytes(receiver: ReceiverThread, tmp_path: Path, body: bytes | None) -> None:
    url = f"{receiver.url}/curl/{len(body or b'none')}?list[]={{x}}"
    headers = (("X-First", "it's"), ("X-Empty", ""), ("Content-Type", "text/plain"), ("X-TrackLayer-Attempt", "1"))
    command = curl_command(kept(method="PATCH", url=url, headers=headers, body=body))
    script = tmp_path / "pasted"
    script.write_text(f"{command} --silent")
    subprocess.run(["sh", script], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    request = receiver.requests[-1]
    received = [(name.lower(), value) for name, value in request.headers]
    assert (request.method, request.body) == ("PATCH", body or b"")
    assert [each for each in received if each[0] in {name.lower() for name, _ in headers}] == [
        (name.lower(), value) for name, value in headers
    ]
