"""What the README tells a newcomer to do is done here, and its snippets are run."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import PATIENCE
from tests.running import KEY, running_receiver, running_server, settled
from tests.running import tracklayer as run
from tracklayer.client import ApiClient

README = Path(__file__).parent.parent / "README.md"
SECRET = "dest_live_9f3b27"
BODIES = [b"", b"{}", '{"name": "Zoë \\" 🎉"}'.encode(), b"\x00\xff not text"]


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"the README has no {language} block"
    return found


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_python_snippet_accepts_what_is_right_and_nothing_else() -> None:
    (code,) = blocks("python")
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 (the README's own code)
    verify = namespace["verify_tracklayer_signature"]
    for body in BODIES:
        assert verify(body, signature(body), SECRET)
        assert not verify(body + b" ", signature(body), SECRET)
        assert not verify(body, signature(body, "another secret"), SECRET)
    for header in ("", "sha256=", "nonsense", "sha256=é", signature(b"{}")[:-1]):
        assert not verify(b"{}", header, SECRET)


def test_the_node_snippet_accepts_what_is_right_and_nothing_else(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    (code,) = blocks("js")
    cases = [(body.hex(), signature(body), True) for body in BODIES]
    cases += [(b"{}".hex(), header, False) for header in ("", "nonsense", "sha256=é", signature(b"{ }"))]
    (tmp_path / "verify.mjs").write_text(code, encoding="utf-8")
    (tmp_path / "run.mjs").write_text(
        'import { verifyTrackLayerSignature } from "./verify.mjs";\n'
        f"const cases = {json.dumps(cases)};\n"
        "const verdicts = cases.map(([body, header]) =>\n"
        f'  verifyTrackLayerSignature(Buffer.from(body, "hex"), header, "{SECRET}"));\n'
        "console.log(JSON.stringify(verdicts));\n",
        encoding="utf-8",
    )
    ran = subprocess.run(
        ["node", str(tmp_path / "run.mjs")], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert json.loads(ran.stdout) == [expected for _, _, expected in cases]


def test_the_first_destination_works_as_it_is_pasted(tmp_path: Path) -> None:
    missing = [program for program in ("bash", "curl") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)}")
    script = "\n".join(blocks("sh"))
    assert "127.0.0.1:8080" in script
    assert "127.0.0.1:9000" in script
    with running_receiver() as receiver, running_server(tmp_path) as server, ApiClient(server.url, KEY) as client:
        script = script.replace("http://127.0.0.1:8080", server.url).replace("http://127.0.0.1:9000", receiver.url)
        ran = subprocess.run(
            ["bash", "-eu"],
            input=script,
            env=os.environ | {"TRACKLAYER_API_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        secret, destination, event, log, explained = map(json.loads, ran.stdout.splitlines())
        settled(client, "ord_548291_purchase", "delivered")
        (request,) = receiver.requests

    assert secret["name"] == "webhook_token"
    assert (destination["version"], destination["warnings"]) == (1, [])
    assert event["dedup_status"] == "accepted"
    assert log["data"][0]["destination_id"] == destination["id"]
    assert explained["destinations"][0]["matched"] is True
    headers = {name.lower(): value for name, value in request.headers}
    assert headers["authorization"] == "Bearer s3cr3t-t0ken"
    assert headers["x-tracklayer-signature"] == signature(request.body)
    assert json.loads(request.body) == {"type": "purchase", "order": "100045", "value": 149.99}


def test_every_command_of_the_readme_exists() -> None:
    rows = re.findall(r"^\| `tracklayer ([a-z -]+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 6
    for row in rows:
        words = [word for word in row.split(" -")[0].split() if word]
        assert run(*words, "--help").status == 0, row


def test_every_page_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((docs/[a-z/_-]+\.(?:md|png))", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
