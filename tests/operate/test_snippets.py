"""What receivers copy does what it says: run against requests that were really signed, and forged ones."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tracklayer.delivery.sign import Keys, Scheme, sign
from tracklayer.operate.snippets import Language, secret_variable, snippets

NAME = "Orders API (EU)"
SCHEMES: list[Scheme] = ["tracklayer", "standard-webhooks"]
WINDOW = 300  # seconds
BODY = '{"type": "purchase", "name": "Grüße 🎉"}\n'.encode()

PYTHON = """
import base64, json, sys
from email.message import Message
from snippet import is_from_tracklayer
found = []
for given, body in json.load(sys.stdin):
    headers = Message()  # ignores case
    for name, value in given.items():
        headers[name] = value
    found.append(is_from_tracklayer(headers, base64.b64decode(body)))
print(json.dumps(found))
"""
NODE = """
import { readFileSync } from "node:fs";
import { isFromTrackLayer } from "./snippet.mjs";
const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(([headers, body]) => isFromTrackLayer(headers, Buffer.from(body, "base64")))));
"""
GO = """
package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
)

func main() {
	var cases [][2]json.RawMessage
	json.NewDecoder(os.Stdin).Decode(&cases)
	found := []bool{}
	for _, each := range cases {
		var headers map[string]string
		var encoded string
		json.Unmarshal(each[0], &headers)
		json.Unmarshal(each[1], &encoded)
		header := http.Header{}
		for name, value := range headers {
			header.Set(name, value)
		}
		body, _ := base64.StdEncoding.DecodeString(encoded)
		found = append(found, IsFromTrackLayer(header, body))
	}
	json.NewEncoder(os.Stdout).Encode(found)
}
"""
PHP = """<?php
require __DIR__ . '/snippet.php';
$found = [];
foreach (json_decode(stream_get_contents(STDIN), true) as [$headers, $body]) {
    $server = [];
    foreach ($headers as $name => $value) {
        $server['HTTP_' . strtoupper(str_replace('-', '_', $name))] = $value;
    }
    $found[] = is_from_tracklayer($server, base64_decode($body));
}
echo json_encode($found);
"""


class Runner(NamedTuple):
    """How a language is run: the name of the snippet's file, that of the caller's and its text, and the command."""

    snippet: str
    caller: str
    text: str
    command: list[str]


RUNNERS: dict[Language, Runner] = {
    "python": Runner("snippet.py", "caller.py", PYTHON, [sys.executable, "caller.py"]),
    "node": Runner("snippet.mjs", "caller.mjs", NODE, ["node", "caller.mjs"]),
    "go": Runner("snippet.go", "caller.go", GO, ["go", "run", "caller.go", "snippet.go"]),
    "php": Runner("snippet.php", "caller.php", PHP, ["php", "caller.php"]),
}
needs = {
    language: pytest.mark.skipif(
        shutil.which(program) is None, reason=f"{program} is not there: apt-get install {name}"
    )
    for language, program, name in (("node", "node", "nodejs"), ("go", "go", "golang"), ("php", "php", "php-cli"))
}
LANGUAGES = [pytest.param(language, marks=needs.get(language, ())) for language in RUNNERS]

Request = tuple[dict[str, str], bytes]


def secret(scheme: Scheme, number: int) -> str:
    if scheme == "standard-webhooks":
        return "whsec_" + base64.b64encode(bytes([number] * 32)).decode()
    return f"dest_live_{number}_9f3b27"


def signed(scheme: Scheme, current: int, previous: int | None = None, age: int = 0, body: bytes = BODY) -> Request:
    keys = Keys(secret(scheme, current), None if previous is None else secret(scheme, previous))
    headers = sign(scheme, keys, delivery_id="dlv_1", timestamp=int(time.time()) - age, body=body)
    return {name.lower(): value for name, value in headers}, body


def forged(request: Request, change: Callable[[str, str], str | None]) -> Request:
    """The request with headers changed; None takes one away."""
    headers = {name: change(name, value) for name, value in request[0].items()}
    return {name: value for name, value in headers.items() if value is not None}, request[1]


def accepted(language: Language, scheme: Scheme, number: int, requests: list[Request], folder: Path) -> list[bool]:
    """What the snippet says of each request to a receiver that knows the secret of that number."""
    runner = RUNNERS[language]
    snippet = snippets(scheme, NAME)[language].replace("package receiver", "package main")
    (folder / runner.snippet).write_text(snippet)
    (folder / runner.caller).write_text(runner.text)
    cases = [(headers, base64.b64encode(body).decode()) for headers, body in requests]
    ran = subprocess.run(
        runner.command,
        cwd=folder,
        input=json.dumps(cases).encode(),
        capture_output=True,
        env=os.environ | {secret_variable(NAME): secret(scheme, number)},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    found: list[bool] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_signed_with_the_receivers_secret_is_accepted(
    language: Language, scheme: Scheme, tmp_path: Path
) -> None:
    good = [
        signed(scheme, 1),
        signed(scheme, 1, body=b""),
        signed(scheme, 1, body=bytes(range(256))),
        signed(scheme, 1, previous=2),  # rotated: the receiver has the new secret …
        signed(scheme, 3, previous=1),  # … or still the old one
    ]
    assert accepted(language, scheme, 1, good, tmp_path) == [True] * len(good)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_forged_is_refused(language: Language, scheme: Scheme, tmp_path: Path) -> None:
    good = signed(scheme, 1, previous=2)
    changes: dict[str, Callable[[str, str], str | None]] = {
        "no signature": lambda name, value: None,
        "empty": lambda name, value: "",
        "cut": lambda name, value: value[:-1],
        "longer": lambda name, value: value + "0",
        "not ASCII": lambda name, value: "é" * len(value),
        "no scheme": lambda name, value: value.partition("=")[2].partition(",")[2],
        "other scheme": lambda name, value: value.replace("sha256=", "sha1=").replace("v1,", "v2,"),
        "list of nothing": lambda name, value: " , v1, v1,=",
    }
    bad = {name: forged(good, change) for name, change in changes.items()} | {
        "other body": (good[0], good[1] + b" "),
        "other secret": signed(scheme, 3, previous=4),
        "no headers": ({}, good[1]),
    }
    found = accepted(language, scheme, 1, list(bad.values()), tmp_path)
    assert dict(zip(bad, found, strict=True)) == dict.fromkeys(bad, False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_standard_webhooks_refuse_what_is_old_or_has_another_id_or_time(language: Language, tmp_path: Path) -> None:
    good = signed("standard-webhooks", 1)
    later = str(int(time.time()) + 1)

    def with_header(name: str, value: str) -> Request:
        return {**good[0], name: value}, good[1]

    requests = {
        "a minute old": signed("standard-webhooks", 1, age=WINDOW - 60),
        "a clock before ours": signed("standard-webhooks", 1, age=60 - WINDOW),
        "too old": signed("standard-webhooks", 1, age=WINDOW + 60),
        "from the future": signed("standard-webhooks", 1, age=-WINDOW - 60),
        "another time": with_header("webhook-timestamp", later),
        "another id": with_header("webhook-id", "dlv_2"),
        "no time": with_header("webhook-timestamp", "soon"),
        "a time without end": with_header("webhook-timestamp", "9" * 5000),
        "a time of other digits": with_header("webhook-timestamp", "١٢٣"),
    }
    found = accepted(language, "standard-webhooks", 1, list(requests.values()), tmp_path)
    assert dict(zip(requests, found, strict=True)) == {
        name: name in ("a minute old", "a clock before ours") for name in requests
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_is_filled_in_for_its_destination(scheme: Scheme) -> None:
    found = snippets(scheme, NAME)
    assert found.keys() == {"python", "node", "go", "php"}
    for text in found.values():
        assert "TRACKLAYER_SECRET_ORDERS_API_EU" in text
        assert "SIGNING_SECRET_VARIABLE" not in text
    for text in snippets(scheme).values():
        assert "TRACKLAYER_SECRET_" not in text
        assert "TRACKLAYER_SECRET" in text


@pytest.mark.parametrize(
    "name, variable",
    [
        ("internal-collector", "TRACKLAYER_SECRET_INTERNAL_COLLECTOR"),
        ("  '; DROP\n", "TRACKLAYER_SECRET_DROP"),
        ("日本", "TRACKLAYER_SECRET"),
        ("", "TRACKLAYER_SECRET"),
        (None, "TRACKLAYER_SECRET"),
        ("x" * 200, "TRACKLAYER_SECRET_" + "X" * 60),
    ],
)
def test_a_name_becomes_a_variable_that_every_shell_takes(name: str | None, variable: str) -> None:
    assert secret_variable(name) == variable
