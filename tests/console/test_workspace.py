from __future__ import annotations

import re
from itertools import count

import pytest

from tests.console.client import PASSWORD, Console, invited_person
from tests.harness import Api, ServerProcess

_numbers = count()


def test_the_workspace_shows_its_limits_with_their_variables_and_its_room(console: Console) -> None:
    words = console.get("/settings/workspace").words
    assert "The most events in one batch. 500 TRACKLAYER_BATCH_LIMIT" in words
    assert "How long the same event_id counts as the same event. 1d TRACKLAYER_DEDUP_WINDOW" in words
    assert re.search(r"Database [\d.]+.[KMG]iB Grows by about [\d\u202f]+ events a day \([\d.]+.([KMG]i)?B\)", words)
    assert re.search(r"events 30.d, attempts 30.d, requests of failed attempts 14.d, dead letters 90.d;", words)
    assert re.search(r"Last pruned (not since this process started|.+ rows)", words)
    assert re.search(r"Free on its disk [\d.]+.[KMG]iB", words)


def test_an_invitation_is_a_link_shown_once_by_which_one_person_joins(console: Console, console_url: str) -> None:
    page = console.post("/settings/workspace/invitations", {"email": "Mia@Example.com"})
    link = page.code("invitation")
    assert link.startswith(f"{console_url}/setup/")
    assert link not in console.get("/settings/workspace").text
    guest = Console(console_url)
    assert "mia@example.com" in guest.get(link.removeprefix(console_url)).words
    assert guest.join(link, email=None).status == 303
    assert guest.get("/settings/account").status == 200
    assert "mia@example.com" in console.get("/settings/workspace").words


@pytest.mark.parametrize(
    "email,words",
    [("nobody", "'nobody' is not an e-mail address."), ("ana@example.com", "belongs to somebody already.")],
)
def test_an_invitation_that_cannot_be_made_says_why_at_its_field(console: Console, email: str, words: str) -> None:
    page = console.post("/settings/workspace/invitations", {"email": email})
    assert page.status == 422
    assert words in page.errors
    assert f'value="{email}"' in page.text


def test_nobody_removes_themselves(console: Console, console_api: Api) -> None:
    me = next(each["id"] for each in console_api.get("/v1/people").body["data"] if each["email"] == "ana@example.com")
    assert f"/settings/workspace/people/{me}/remove" not in console.get("/settings/workspace").text
    refused = console.post(f"/settings/workspace/people/{me}/remove")
    assert refused.status == 409
    assert "You cannot remove yourself" in refused.words
    assert console.get("/settings/account").status == 200


def test_the_account_marks_this_browser_among_the_sessions(console: Console, console_server: ServerProcess) -> None:
    guest = invited_person(console_server, "nora@example.com")
    Console(guest.url).sign_in(email="nora@example.com")
    page = guest.get("/settings/account")
    assert page.text.count("127.0.0.1</td>") == 2
    assert page.words.count("this one") == 1


def test_a_new_password_signs_the_other_browsers_out(console_server: ServerProcess) -> None:
    guest = invited_person(console_server, "otto@example.com")
    elsewhere = Console(guest.url)
    elsewhere.sign_in(email="otto@example.com")
    new = "another long passphrase"
    page = guest.post("/settings/account/password", {"old": PASSWORD, "new": new, "again": new})
    assert "The password is changed." in page.words
    assert guest.get("/settings/account").status == 200
    assert elsewhere.get("/settings/account").status == 303
    assert elsewhere.sign_in(email="otto@example.com", password=new).status == 303


@pytest.mark.parametrize(
    "form,words",
    [
        (
            {"old": "not it at all", "new": "a long new password", "again": "a long new password"},
            "This is not your password of today.",
        ),
        ({"old": PASSWORD, "new": "too-brief", "again": "too-brief"}, "12"),
        (
            {"old": PASSWORD, "new": "a long new password", "again": "a long newer password"},
            "The two passwords are not the same.",
        ),
    ],
)
def test_a_password_that_is_not_changed_says_why_and_shows_none(
    console_server: ServerProcess, form: dict[str, str], words: str
) -> None:
    guest = invited_person(console_server, f"person-{next(_numbers)}@example.com")
    page = guest.post("/settings/account/password", form)
    assert page.status == 422
    assert words in page.errors
    assert form["new"] not in page.text
