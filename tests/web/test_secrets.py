"""Secrets: written, used, and never seen again, whatever a receiver or a failure says."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.harness import ADMIN_KEY, Api, ServerProcess
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.demo.receiver import Answer, Echo

HEADER = 'hd-7f3a"\\/+=&%41 <x>'
QUERY = "qu-91bc/+= &?#%é"
BODY = 'bo-55de"\\\n\t/+é</script>'
SIGNING = "dest_live_si-c0ffee/+=9f3b27"
ROTATED = "dest_live_ro-0badf00d/+=4d5e"
PASSWORD = "pa-77aa:/+=secret"
SECRETS = [HEADER, QUERY, BODY, SIGNING, ROTATED, PASSWORD, ADMIN_KEY]


def forms(secret: str) -> set[bytes]:
    """Every way in which people could read a secret."""
    raw = secret.encode()
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        base64.b64encode(raw).decode(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
    }
    return {text.encode() for text in texts} | {secret.encode("utf-16-le")}


FORMS = {form: secret for secret in SECRETS for form in forms(secret)}


def leaks(where: str, data: bytes) -> list[str]:
    """What can be read of the secrets in `data`."""
    return [f"{where}: {secret[:2]}… as {form!r}" for form, secret in FORMS.items() if form in data]


@pytest.fixture(scope="module")
def stored(api: Api) -> Iterator[None]:
    """The secrets, stored under their names."""
    values = {"leak_header": HEADER, "leak_query": QUERY, "leak_body": BODY, "leak_password": PASSWORD}
    for name, value in values.items():
        ok(api.put(f"/v1/secrets/{name}", {"value": value}))
    yield
    for name in values:
        api.delete(f"/v1/secrets/{name}")


def secretive(site: Site, **fields: Any) -> dict[str, Any]:
    """A destination that uses every secret in every place."""
    transport = {
        "url": f"{site.hook}?token={{{{secrets.leak_query}}}}",
        "headers": {"Authorization": "Bearer {{secrets.leak_header}}", "X-Basic": "{{secrets.leak_password}}"},
        "timeout": "500ms",
    } | fields.pop("transport", {})
    return site.create(
        transport=transport,
        template='{"token": "{{secrets.leak_body}}", "raw": {{json secrets.leak_body}}}',
        signing={"secret": SIGNING},
        retry={"attempts": 1, "backoff": "1ms"},
        **fields,
    )


def everything(api: Api) -> Iterator[tuple[str, bytes]]:
    """The whole answer of every GET that the API has, of every row of every list."""

    def get(path: str) -> tuple[str, bytes, Any]:
        status, headers, raw = api.send("GET", path, None, {"Authorization": f"Bearer {api.key}"})
        assert status in (200, 409), raw
        return path, str(headers).encode() + raw, json.loads(raw) if raw.startswith((b"{", b"[")) else None

    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        yield get(path)[:2]
    lists = {
        "/v1/events": ("event_id", ["", "/explain"]),
        "/v1/deliveries": ("id", [""]),
        "/v1/dead-letters": ("id", [""]),
        "/v1/destinations": ("id", ["", "/versions", "/suppressions"]),
        "/v1/secrets": ("name", [""]),
        "/v1/api-keys": ("id", []),
    }
    for path, (key, parts) in lists.items():
        listed = get(f"{path}?limit=50")
        yield listed[:2]
        for row in listed[2]["data"]:
            for part in parts:
                yield get(f"{path}/{quote(row[key], safe='')}{part}")[:2]


def test_no_secret_is_anywhere_although_receivers_repeat_it_and_things_fail(
    api: Api, site: Site, server: ServerProcess, stored: None
) -> None:
    answers: list[tuple[str, bytes]] = []

    def call(method: str, path: str, body: Any = None) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        status, headers, content = api.send(method, path, raw, {"Authorization": f"Bearer {api.key}"})
        answers.append((f"{method} {path} ({status})", str(headers).encode() + content))
        return json.loads(content)

    repeated = json.dumps({"you said": [HEADER, QUERY, BODY, PASSWORD, base64.b64encode(HEADER.encode()).decode()]})
    page = f"<p>{html.escape(HEADER)} {html.escape(BODY)}</p>" + json.dumps(PASSWORD).replace("/", "\\/")
    header = ("X-You-Said", f"{HEADER}; {quote(QUERY)}; {base64.b64encode(PASSWORD.encode()).decode()}")
    site.receiver.script(
        site.path,
        Echo(),
        Echo(),
        Answer(500, headers=(header,), body=repeated.encode()),
        Answer(401, body=page.encode()),
    )
    made = secretive(site, success={"body_equals": "1"})
    path = f"/v1/destinations/{made['id']}"
    for _ in range(3):
        site.kill()
    sent = site.requests[0]
    assert json.loads(sent.body) == {"token": BODY, "raw": BODY}
    assert dict(sent.headers)["Authorization"] == f"Bearer {HEADER}"
    assert sent.target == f"{site.path}?token={quote(QUERY, safe='')}"

    call("POST", f"{path}/rotate-secret", {"secret": ROTATED, "overlap": "1h"})
    site.receiver.script(site.path, Echo())
    test = call("POST", f"{path}/test", {"event": site.event()})
    assert test["state"] == "dead"
    assert "••••" in test["steps"]["send"]["response"]["body"]
    assert call("POST", f"{path}/preview", {"event": site.event()})["steps"]["render"]["valid"] is True
    call("POST", f"{path}/preview", {"event": site.event(), "template": "{{{secrets.leak_body}}}"})
    call("POST", f"{path}/compare", {"template": '{"now": "{{secrets.leak_body}}"}'})
    call("PATCH", path, {"signing": {"secret": "line\nbreak" + SIGNING}})
    call("PUT", "/v1/secrets/leak_header", {"value": HEADER, "wat": HEADER})
    call("PATCH", f"{path}?dry_run=true", {"signing": {"secret": SIGNING}})
    for url in (
        "http://127.0.0.1:1",
        "http://169.254.169.254",
        "http://nothing.invalid",
        site.hook.replace("http", "https"),
    ):
        call("PATCH", path, {"transport": {"url": f"{url}/{{{{secrets.leak_query}}}}"}})
        call("POST", f"{path}/test", {"event": site.event()})
    site.kill()
    call("POST", "/v1/dead-letters/replay", {"destination_id": made["id"], "dry_run": True})
    call("PATCH", path, {"transport": {"url": made["transport"]["url"]}})
    letter = call("GET", f"/v1/dead-letters?destination_id={made['id']}")["data"][-1]
    call("POST", f"/v1/dead-letters/{letter['id']}/replay", {"mode": "as_sent"})
    site.receiver.wait_for(site.path, 6)
    site.settled(letter["event_id"], "dead")
    assert json.loads(site.requests[-1].body) == {"token": BODY, "raw": BODY}

    found = [leak for where, data in [*answers, *everything(api)] for leak in leaks(where, data)]
    found += leaks("the log", server.log_file.read_bytes())
    for file in server.data_dir.iterdir():
        found += leaks(file.name, file.read_bytes())
    assert found == []


def test_a_secret_that_was_replaced_is_used_by_the_next_request(api: Api, site: Site) -> None:
    name = f"{site.name}_token"
    first = ok(api.put(f"/v1/secrets/{name}", {"value": "first-value"}))
    assert first.keys() == {"name", "hint", "created_at", "updated_at", "used_by"}
    assert (first["name"], first["hint"], first["used_by"]) == (name, "…alue", [])
    made = site.create(transport={"headers": {"X-Token": f"{{{{secrets.{name}}}}}"}})
    assert dict(site.deliver().headers)["X-Token"] == "first-value"
    second = ok(api.put(f"/v1/secrets/{name}", {"value": "second-worth"}))
    assert (second["hint"], second["created_at"], second["used_by"]) == ("…orth", first["created_at"], [made["id"]])
    assert dict(site.deliver().headers)["X-Token"] == "second-worth"
    assert ok(api.get(f"/v1/secrets/{name}")) == second
    assert second in ok(api.get("/v1/secrets"))["data"]

    problem(api.delete(f"/v1/secrets/{name}"), 409, "secret_in_use", says=made["id"])
    ok(api.patch(f"/v1/destinations/{made['id']}", {"transport": {"headers": {"X-Token": None}}}))
    assert api.delete(f"/v1/secrets/{name}").status == 204
    problem(api.delete(f"/v1/secrets/{name}"), 404, "not_found")
    problem(api.get(f"/v1/secrets/{name}"), 404, "not_found")


def test_a_secret_that_is_missing_kills_the_delivery_and_names_it(api: Api, site: Site) -> None:
    made = site.create(template='{"t": "{{secrets.never_stored}}"}')
    assert made["warnings"] == ["the secret never_stored does not exist yet: deliveries fail until it does"]
    letter = ok(api.get(f"/v1/dead-letters/{site.kill()['id']}"))
    assert letter["error"]["kind"] == "render"
    assert "never_stored" in letter["error"]["detail"]
    assert site.requests == []


def test_a_secret_with_a_line_break_never_becomes_a_header(api: Api, site: Site) -> None:
    name = f"{site.name}_lines"
    ok(api.put(f"/v1/secrets/{name}", {"value": "one\r\nX-Injected: two"}))
    site.create(transport={"headers": {"X-Token": f"{{{{secrets.{name}}}}}"}})
    letter = ok(api.get(f"/v1/dead-letters/{site.kill()['id']}"))
    assert letter["error"]["kind"] == "render"
    assert "X-Token" in letter["error"]["detail"]
    assert "X-Injected: two" not in str(letter)
    assert site.requests == []


@pytest.mark.parametrize(
    "name, body, status, code, pointer",
    [
        ("a", {"value": ""}, 422, "invalid_secret", "/value"),
        ("a", {"value": "abc"}, 422, "invalid_secret", "/value"),
        ("a", {"value": "x" * 8193}, 422, "invalid_secret", "/value"),
        ("a", {"value": "a\u0000b"}, 422, "invalid_secret", "/value"),
        ("a", {"value": 5}, 422, "wrong_type", "/value"),
        ("a", {}, 422, "missing_field", "/value"),
        ("a", {"value": "v", "name": "b"}, 422, "unknown_field", "/name"),
        ("1a", {"value": "v"}, 422, "invalid_name", None),
        ("a.b", {"value": "v"}, 422, "invalid_name", None),
        ("a%20b", {"value": "v"}, 422, "invalid_name", None),
        ("a" * 101, {"value": "v"}, 422, "invalid_name", None),
        ("%00", {"value": "v"}, 422, "invalid_name", None),
    ],
)
def test_a_bad_secret_is_refused_and_not_repeated(
    api: Api, name: str, body: object, status: int, code: str, pointer: str | None
) -> None:
    refused = problem(api.put(f"/v1/secrets/{name}", body), status, code, pointer=pointer)
    assert "a\u0000b" not in refused["detail"]


def test_half_a_surrogate_is_no_value(api: Api) -> None:
    problem(api.call("PUT", "/v1/secrets/half", b'{"value": "\\ud800"}'), 400, "malformed", pointer="")
