from __future__ import annotations

import html
import os
import re
import subprocess
from itertools import count

import pytest

from tests.console.client import Console
from tests.harness import Api, ServerProcess

_numbers = count()
TAGS = '<script>alert("x")</script>'


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"settings_{next(_numbers)}"


def run(command: str, **environment: str) -> str:
    """What a command writes, in a shell as a reader would paste it."""
    answer = subprocess.run(
        ["bash", "-euc", command], env=os.environ | environment, capture_output=True, text=True, check=True, timeout=30
    )
    return answer.stdout


def test_settings_are_for_who_is_signed_in(console_url: str) -> None:
    for page in ("workspace", "api-keys", "secrets", "account", "sources"):
        assert Console(console_url).get(f"/settings/{page}").status == 303


# API keys


def test_a_new_key_is_shown_once_with_a_call_that_works(console: Console, console_url: str, name: str) -> None:
    made = console.post("/settings/api-keys", {"name": name, "scopes": ["events:write", "events:read"]})
    assert made.status == 200
    key = made.code("new-key")
    assert Api(console_url, key).get("/v1/events").status == 200
    assert Api(console_url, key).get("/v1/destinations").status == 403
    assert '"dedup_status":"accepted"' in run(made.code("new-key-call"))
    later = console.get("/settings/api-keys")
    assert key not in later.text
    assert f"••••{key[-4:]}" in later.words


def test_a_form_for_a_key_that_is_sent_twice_makes_one(console: Console, console_api: Api, name: str) -> None:
    form = {"name": name, "scopes": "events:write", "new_id": console.get("/settings/api-keys").value("new_id")}
    assert console.post("/settings/api-keys", form).status == 200
    again = console.post("/settings/api-keys", form)
    assert again.status == 409
    assert "This form was sent already, and made its key: no other one was made." in again.words
    assert [each["name"] for each in console_api.get("/v1/api-keys").body["data"]].count(name) == 1
    assert console.post("/settings/api-keys", form | {"new_id": again.value("new_id")}).status == 200


@pytest.mark.parametrize("scope,path", [("events:read", "/v1/events"), ("destinations:read", "/v1/destinations")])
def test_the_first_call_fits_what_the_key_may_do(console: Console, name: str, scope: str, path: str) -> None:
    made = console.post("/settings/api-keys", {"name": name, "scopes": scope})
    call = made.code("new-key-call")
    assert path in call
    assert '"data":' in run(call)


@pytest.mark.parametrize(
    "name,scopes,words",
    [
        ("", ["events:read"], "The name must have 1 to 200 characters."),
        ("kept <name>", [], "A key needs at least one scope."),
        ("kept <name>", ["events:read", "root"], "'root' is not a scope"),
    ],
)
def test_a_key_that_cannot_be_made_says_why_at_its_field_and_keeps_what_was_typed(
    console: Console, name: str, scopes: list[str], words: str
) -> None:
    page = console.post("/settings/api-keys", {"name": name, "scopes": scopes})
    assert page.status == 422
    assert words in page.errors
    assert f'value="{html.escape(name)}"' in page.text
    assert re.findall(r'value="([\w:]+)" checked', page.text) == scopes[:1]


def test_a_revoked_key_is_refused_at_once(console: Console, console_url: str, name: str) -> None:
    key = console.post("/settings/api-keys", {"name": name, "scopes": "events:read"}).code("new-key")
    path = revoke_path(console, name)
    assert console.post(path).location == "/settings/api-keys"
    assert Api(console_url, key).get("/v1/events").status == 401
    assert name not in console.get("/settings/api-keys").words
    assert console.post(path).status == 404


def test_the_last_admin_key_stays_and_the_page_says_what_to_do(console: Console, console_api: Api, name: str) -> None:
    page = console.get("/settings/api-keys")
    assert "The last admin key stays: make another one first." in page.words
    last = next(key["id"] for key in console_api.get("/v1/api-keys").body["data"] if "admin" in key["scopes"])
    refused = console.post(f"/settings/api-keys/{last}/revoke")
    assert refused.status == 409
    assert "This is the last admin key: make another one first." in refused.words

    console.post("/settings/api-keys", {"name": name, "scopes": "admin"})
    assert "The last admin key stays" not in console.get("/settings/api-keys").words
    assert console.post(revoke_path(console, name)).status == 303


def test_a_name_of_a_key_is_text_wherever_it_shows(console: Console) -> None:
    made = console.post("/settings/api-keys", {"name": TAGS, "scopes": "events:read"})
    for page in (made, console.get("/settings/api-keys"), console.get("/audit")):
        assert TAGS not in page.text
    assert TAGS in made.words
    console.post(revoke_path(console, html.escape(TAGS)))


def revoke_path(console: Console, name: str) -> str:
    """Where the form of a key's row goes."""
    rows = console.get("/settings/api-keys").text.split("<tr>")
    row = next(row for row in rows if f"<strong>{name}</strong>" in row.replace("&#34;", "&quot;"))
    found = re.search(r'action="(/settings/api-keys/[^"]+/revoke)"', row)
    assert found, f"{name} has no form that revokes it"
    return found[1]


# Secrets


def test_a_secret_goes_in_and_does_not_come_out(console: Console, name: str) -> None:
    assert (
        console.post("/settings/secrets", {"name": name, "value": "a-value-that-hides"}).location == "/settings/secrets"
    )
    page = console.get("/settings/secrets")
    assert name in page.words
    assert "••••ides" in page.words
    assert "a-value-that-hides" not in page.text + console.get("/audit").text


def test_a_secret_is_replaced_and_its_destinations_are_named(console: Console, console_api: Api, name: str) -> None:
    destination = using(console_api, name)
    assert f"{name} is missing" in console.get("/settings/secrets").words
    console.post("/settings/secrets", {"name": name, "value": "first-value-1111"})
    console.post("/settings/secrets", {"name": name, "value": "second-value-2222"})
    page = console.get("/settings/secrets")
    assert f"{name} is missing" not in page.words
    assert f'<a href="/settings/destinations/{destination}">{name} receiver</a>' in page.text
    assert "••••2222" in page.words
    assert "••••1111" not in page.words
    console_api.delete(f"/v1/destinations/{destination}")


def test_a_secret_in_use_is_not_deleted_and_the_page_says_by_whom(
    console: Console, console_api: Api, name: str
) -> None:
    destination = using(console_api, name)
    console.post("/settings/secrets", {"name": name, "value": "some-value-3333"})
    refused = console.post(f"/settings/secrets/{name}/delete")
    assert refused.status == 409
    assert f"{name} is in use Take it out of their templates and headers first. {name} receiver" in refused.words

    console_api.delete(f"/v1/destinations/{destination}")
    assert console.post(f"/settings/secrets/{name}/delete").location == "/settings/secrets"
    assert console_api.get(f"/v1/secrets/{name}").status == 404
    assert console.post(f"/settings/secrets/{name}/delete").status == 404


def test_who_came_from_another_page_goes_back_to_it(console: Console, name: str) -> None:
    page = console.get("/settings/secrets", **{"name": name, "return": "/dead-letters?cause=401"})
    assert 'name="return" value="/dead-letters?cause=401"' in page.text
    assert f'name="name" type="text" value="{name}"' in page.text
    saved = console.post(
        "/settings/secrets", {"name": name, "value": "some-value", "return": "/dead-letters?cause=401"}
    )
    assert saved.location == "/dead-letters?cause=401"


def test_a_way_back_leads_nowhere_else(console: Console, name: str) -> None:
    assert "evil.example" not in console.get("/settings/secrets", **{"return": "//evil.example"}).text
    saved = console.post("/settings/secrets", {"name": name, "value": "some-value", "return": "//evil.example"})
    assert saved.location == "/settings/secrets"


@pytest.mark.parametrize(
    "form,words",
    [
        ({"name": "9 lives", "value": "some-value"}, "'9 lives' is not a name for a secret"),
        ({"name": "token", "value": ""}, "A secret has 4 to 8192 characters"),
    ],
)
def test_a_secret_that_cannot_be_kept_says_why_and_keeps_the_way_back(
    console: Console, form: dict[str, str], words: str
) -> None:
    page = console.post("/settings/secrets", {**form, "return": "/dead-letters"})
    assert page.status == 422
    assert words in page.errors
    assert 'aria-invalid="true"' in page.text
    assert 'name="return" value="/dead-letters"' in page.text
    assert "some-value" not in page.text


def using(api: Api, name: str) -> str:
    """The id of a destination whose header reads a secret."""
    transport = {"url": "http://127.0.0.1:9/hook", "headers": {"Authorization": f"Bearer {{{{secrets.{name}}}}}"}}
    made = api.post("/v1/destinations", {"name": f"{name} receiver", "status": "paused", "transport": transport})
    assert made.status == 201, made.body
    return str(made.body["id"])


# Sources


def test_the_sources_page_counts_what_came_and_shows_a_call_that_works(
    console: Console, console_api: Api, console_server: ServerProcess
) -> None:
    before = counts(console)
    page = console.get("/settings/sources")
    assert '"dedup_status":"accepted"' in run(page.code("first-event"), TRACKLAYER_API_KEY=console_server.key)
    console_api.post("/v1/events", {"event_id": "twice", "event_name": "purchase"})
    console_api.post("/v1/events", {"event_id": "twice", "event_name": "purchase"})
    console_api.post("/v1/events/batch", {"events": [{"event_name": "purchase"}, {"no": "event"}]})
    console_api.post("/v1/events", {"no": "event"})
    console_api.post("/v1/events", {"no": "event"}, authorization="Bearer nobody")
    changes = {label: number - before[label] for label, number in counts(console).items()}
    assert changes == {"Accepted": 3, "Duplicates": 1, "Rejected": 2, "Refused": 1}
    assert "256.0 KiB" in page.words.replace("\N{NARROW NO-BREAK SPACE}", " ")


def counts(console: Console) -> dict[str, int]:
    """The numbers of the sources page."""
    pattern = r'<span class="meta">(\w+)</span>\s*<span class="stat-number">([^<]+)</span>'
    found = re.findall(pattern, console.get("/settings/sources").text)
    return {label: int(number.replace("\N{NARROW NO-BREAK SPACE}", "")) for label, number in found}


# What no form may be


@pytest.mark.parametrize("path", ["/settings/consent", "/settings/secrets"])
def test_a_form_that_is_too_large_is_told_the_limit_with_a_way_back(console: Console, path: str) -> None:
    form = {"name": "large", "event": "x" * 1_100_000, "value": "x"}
    here = Console(console.url, console.cookies, headers={"Referer": f"{console.url}{path}?return=/audit"})
    page = here.post(path, form)
    assert page.status == 413
    assert "The server takes at most 1.0 MiB at once" in page.words
    assert f'href="{path}?return=/audit"' in page.text
    assert 'class="rail"' in page.text


@pytest.mark.parametrize(
    "path,page",
    [
        ("/audiences/x/rule", "/audiences/x"),
        ("/audiences/x/members/remove", "/audiences/x"),
        ("/settings/workspace/rules", "/settings/workspace"),
        ("/settings/workspace/people/x/remove", "/settings/workspace"),
        ("/settings/sources/x/rotate-key", "/settings/sources/x"),
        ("/settings/destinations/%C3%A9/delete", "/settings/destinations/%C3%A9"),
        ("//settings/destinations/x/delete", "/"),
        ("/settings/destinations/x/delete", "/settings/destinations/x"),
        ("/dead-letters/discard", "/dead-letters"),
        ("/sign-out", "/"),
    ],
)
def test_the_address_of_a_form_opened_as_a_page_leads_to_the_page_above(console: Console, path: str, page: str) -> None:
    led = console.get(path)
    assert led.status == 303
    assert led.location == page


@pytest.mark.parametrize("path", ["/events", "/deliveries", "/settings/destinations", "/audit"])
def test_searches_of_one_page_are_told_apart(console: Console, path: str) -> None:
    searches = re.findall(r'role="search"(?: aria-label="([^"]*)")?', console.get(path).text)
    assert searches[0] == "Find an event"
    assert len(searches) == len(set(searches))
