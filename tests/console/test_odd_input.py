"""Nothing that a browser can be made to send ends in a fault of ours: odd values in every field, odd names of files."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.console.client import Console
from tests.console.place import Place

ODD = (
    *(
        "",
        "-1",
        "abc",
        "1e999",
        "nan",
        "9" * 5000,
        "9223372036854775808",
        "\x00",
        "é" * 200,
        "[",
        "http://[",
        "{",
        "[1]",
    ),
    *("{{", "{{#if", "\r\nX: y", "１２", "²", "[" * 5000, '{"a":' * 2000, '{"a": 1e9999999999999999999}', "event:\x00"),
)

READ = {
    "/events": ("q", "name", "test", "before", "id"),
    "/deliveries": ("destination_id", "event_name", "state", "code", "cause", "window", "since", "until", "before"),
    "/settings/destinations": ("q", "status", "after"),
    "/settings/destinations/new": ("preset", "return"),
    "/settings/destinations/new/values": ("path",),
    "/dead-letters": ("destination_id", "cause", "event_name", "before", "discarded"),
    "/settings/secrets": ("name", "return"),
    "/audiences/odd_list": ("after", "came", "of", "passed", "saved"),
    "/settings/consent": ("event",),
    "/audit": ("actor", "action", "target", "before"),
    "/sign-in": ("next",),
}
EDITED = (
    "url",
    "headers",
    "filter",
    "template",
    "body_schema",
    "attempts",
    "backoff",
    "jitter",
    "success_json",
    "burst",
)
WRITTEN = {
    "/settings/destinations/new/look": (*EDITED, "sample", "sample_json", "version", "step"),
    "/settings/destinations/new/matches": ("filter",),
    "/dead-letters/replay": ("per_second", "mode", "as_of", "seen"),
    "/dead-letters/compare": ("destination_id",),
    "/settings/api-keys": ("name", "scopes", "new_id"),
    "/settings/workspace/invitations": ("email",),
    "/settings/workspace/rules": ("default_region", "event_names", "consent_defaults", "enrichment", "seen"),
    "/settings/consent": ("event",),
    "/audiences": ("name", "rule", "kind"),
    "/audiences/odd_list/members": ("by", "member"),
    "/audiences/odd_list/members/remove": ("key",),
    "/audiences/odd_list/members/csv": ("csv", "skip", "file"),
    "/audiences/odd_list/test": ("external_id", "email", "event"),
    "/audiences/odd_list/delete": ("name",),
    "/audiences/odd_list/rule": ("rule", "seen"),
    "/settings/account/password": ("old", "new"),
    "/setup/none": ("email", "password"),
}


@pytest.mark.parametrize("path", READ)
def test_odd_values_in_an_address_are_no_fault_of_ours(console: Console, path: str) -> None:
    for field in READ[path]:
        for value in ODD:
            page = console.get(f"{path}?{field}={quote(value)}")
            assert page.status < 500, (field, value[:40])
            assert "content-security-policy" in page.headers


@pytest.mark.parametrize("path", WRITTEN)
def test_odd_values_in_a_form_are_no_fault_of_ours(console: Console, path: str) -> None:
    standing = {"destination_id": "none", "name": "d", "url": "http://127.0.0.1/x"}
    for field in WRITTEN[path]:
        for value in ODD:
            page = console.post(path, {**standing, field: value}, htmx=True)
            assert page.status < 500, (field, value[:40])
            assert page.status != 403


@pytest.mark.parametrize("tab,field", [("/versions/1/restore", "seen"), ("/signing/rotate", "overlap"),
                                       ("/suppressions", "filter"), ("/suppressions", "until"), ("/edit", "version"),
                                       ("/edit", "url"), ("/edit", "filter")])  # fmt: skip
def test_odd_values_in_the_forms_of_a_destination_are_no_fault_of_ours(place: Place, tab: str, field: str) -> None:
    destination_id = str(place.create(signing={"secret": "a-secret-of-this-place"})["id"])
    for value in ODD:
        assert place.send_form(destination_id, tab, **{field: value}).status < 500, value[:40]


@pytest.mark.parametrize("name", ["%00", "a" * 5000, "../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", ""])
def test_what_is_no_built_file_is_not_found(console: Console, name: str) -> None:
    assert console.get(f"/static/{name}").status == 404
