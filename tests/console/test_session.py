"""Coming in and going out, over a server of its own: failed tries are counted by address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.console.client import EMAIL, PASSWORD, Console, first_person, invited_person, setup_link
from tests.harness import Api, ServerProcess


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("session") / "data") as running:
        first_person(running)
        yield running


@pytest.fixture
def stranger(own_server: ServerProcess) -> Console:
    return Console(own_server.url)


def test_the_setup_link_asks_for_a_person_and_works_once(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", public_url="https://tracklayer.example.com") as server:
        link = setup_link(server)
        assert link.startswith("https://tracklayer.example.com/setup/")
        path = link.removeprefix("https://tracklayer.example.com")
        console = Console(server.url)
        assert "You are the first one here." in console.get(path).words

        short = console.post(path, {"email": EMAIL, "password": "short", "again": "short"})
        assert short.status == 422
        assert f'value="{EMAIL}"' in short.text
        unlike = console.post(path, {"email": EMAIL, "password": PASSWORD, "again": PASSWORD + "!"})
        assert "The two passwords are not the same." in unlike.words

        joined = console.post(path, {"email": EMAIL, "password": PASSWORD, "again": PASSWORD})
        assert (joined.status, joined.location) == (303, "/settings/destinations")
        assert console.follow(joined).status == 200
        cookie = next(line for line in joined.headers.get_all("set-cookie") or [] if line.startswith("tl_session="))
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(re.split(r";\s*", cookie))

        again = Console(server.url).get(path)
        assert again.status == 404
        assert "used already" in again.words
        server.restart()
        assert server.log_text().count("/setup/") == 1  # there is somebody: no further link


def test_a_wrong_password_is_refused_in_words_and_keeps_the_e_mail(stranger: Console) -> None:
    page = stranger.sign_in(password="not the password of ana")
    assert page.status == 401
    assert "No person has this e-mail and this password." in page.words
    assert f'value="{EMAIL}"' in page.text
    assert "tl_session" not in stranger.cookies


def test_somebody_unknown_is_refused_in_the_same_words(stranger: Console) -> None:
    known = stranger.sign_in(password="not the password of ana")
    unknown = stranger.sign_in(email="nobody@example.com")
    assert (known.status, known.words.replace(EMAIL, "")) == (unknown.status, unknown.words.replace(EMAIL, ""))


def test_too_many_failures_have_to_wait_and_the_right_password_too(
    own_server: ServerProcess, stranger: Console
) -> None:
    invited_person(own_server, "eve@example.com")
    answers = [stranger.sign_in(email="eve@example.com", password=f"wrong password {number}") for number in range(6)]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert "Too many failed tries: try again in 15 min." in answers[-1].words
    assert stranger.sign_in(email="eve@example.com").status == 429


def address_of_the_last_failure(server: ServerProcess) -> str:
    entries = Api(server.url, server.key).get("/v1/audit?action=person.sign_in_failed").body["data"]
    return str(entries[0]["detail"]["address"])


def test_a_browser_is_known_by_what_a_trusted_proxy_says_of_it_and_by_no_word_of_its_own(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    forwarded = {
        "X-Forwarded-For": "198.51.100.7, 203.0.113.9",
        "X-Forwarded-Proto": "https",
    }  # the first: its own word
    Console(own_server.url, headers=forwarded).sign_in(password="not the password of ana")
    assert address_of_the_last_failure(own_server) == "127.0.0.1"

    with ServerProcess(tmp_path / "data", trusted_proxies="127.0.0.1/32,10.0.0.0/8") as behind:
        first_person(behind)
        Console(behind.url, headers=forwarded).sign_in(password="not the password of ana")
        assert address_of_the_last_failure(behind) == "203.0.113.9"
        assert Console(behind.url, headers=forwarded).sign_in().status == 303


def test_the_session_cookie_is_for_this_server_only_and_out_of_the_reach_of_scripts(stranger: Console) -> None:
    answer = stranger.sign_in()
    cookie = next(line for line in answer.headers.get_all("set-cookie") or [] if line.startswith("tl_session="))
    parts = set(re.split(r";\s*", cookie))
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= parts
    assert "Secure" not in parts  # over plain HTTP the browser would not send it back
    assert not any(part.lower().startswith("domain") for part in parts)


@pytest.mark.parametrize("path", ["/settings/destinations", "/settings/secrets?return=/x", "/audit?actor=ana"])
def test_who_is_not_signed_in_is_led_through_signing_in_to_the_page(stranger: Console, path: str) -> None:
    led = stranger.get(path)
    assert led.status == 303
    assert led.location.startswith("/sign-in?next=/")
    page = stranger.follow(led)
    wanted = re.search(r'name="next" value="([^"]*)"', page.text)
    assert wanted
    assert stranger.sign_in(next=wanted[1]).location == path


def test_a_fragment_sends_htmx_to_sign_in(stranger: Console) -> None:
    answer = stranger.fragment("/audit")
    assert (answer.status, answer.location, answer.text) == (401, "/sign-in", "")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
    ],
)
def test_signing_in_never_leads_elsewhere(stranger: Console, elsewhere: str) -> None:
    location = stranger.sign_in(next=elsewhere).location
    assert location == "/"
    assert stranger.get("/sign-in", next=elsewhere).location == "/"


@pytest.mark.parametrize(
    "host,query",
    [("{here}", "?return=/x"), ("https://evil.example", ""), ("http://[", ""), ("{here}//evil.example", "")],
)
def test_a_form_of_an_ended_session_leads_through_signing_in_to_its_page(
    stranger: Console, host: str, query: str
) -> None:
    stranger.sign_in()
    referer = host.format(here=stranger.url) + "/settings/secrets" + query
    tab = Console(stranger.url, stranger.cookies, headers={"Referer": referer})
    token = tab.csrf()
    stranger.post("/sign-out")
    led = tab.post("/settings/secrets", {"name": "x", "value": "y"}, token=token)
    assert led.status == 303
    assert led.location == ("/sign-in?next=/settings/secrets%3Freturn%3D/x" if query else "/sign-in")
    htmx = tab.post("/settings/secrets", {"name": "x", "value": "y"}, token=token, htmx=True)
    assert (htmx.status, htmx.location) == (401, "/sign-in")


def test_a_form_of_the_session_before_says_so_and_leads_to_its_page(stranger: Console) -> None:
    stranger.sign_in()
    token = stranger.csrf()
    stranger.sign_in()
    tab = Console(stranger.url, stranger.cookies, headers={"Referer": f"{stranger.url}/settings/secrets"})
    page = tab.post("/settings/secrets", {"name": "x", "value": "y"}, token=token)
    assert page.status == 403
    assert "you have signed in anew" in page.words
    assert re.search(r'href="/settings/secrets">Back to the page', page.text)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/sign-out-everywhere", "/settings/secrets"])
@pytest.mark.parametrize("token", ["", "f" * 128])
def test_a_form_without_the_right_token_is_refused(own_server: ServerProcess, path: str, token: str) -> None:
    console = Console(own_server.url)
    console.sign_in()
    page = console.post(path, {"email": EMAIL, "password": PASSWORD, "name": "x", "value": "y"}, token=token)
    assert page.status == 403
    assert "This form is no longer good" in page.words
    assert console.get("/settings/destinations").status == 200  # nobody was signed out


def test_another_visitors_token_is_refused(own_server: ServerProcess, stranger: Console) -> None:
    console = Console(own_server.url)
    console.sign_in()
    stranger.get("/sign-in")
    assert console.post("/sign-out", token=stranger.csrf()).status == 403


def test_signing_out_ends_the_session_also_for_who_has_kept_its_cookie(stranger: Console) -> None:
    stranger.sign_in()
    kept = Console(stranger.url, stranger.cookies)
    assert stranger.post("/sign-out").location == "/sign-in"
    assert "tl_session" not in stranger.cookies
    assert kept.get("/settings/destinations").status == 303


def test_signing_out_everywhere_ends_every_session_of_that_person_and_of_nobody_else(own_server: ServerProcess) -> None:
    here = invited_person(own_server, "kim@example.com")
    there, other = Console(own_server.url), Console(own_server.url)
    there.sign_in(email="kim@example.com")
    other.sign_in()
    assert here.post("/sign-out-everywhere").location == "/sign-in"
    assert there.get("/settings/account").status == 303
    assert other.get("/settings/account").status == 200


def test_a_removed_person_is_signed_out(own_server: ServerProcess) -> None:
    guest = invited_person(own_server, "leo@example.com")
    host = Console(own_server.url)
    host.sign_in()
    person = re.search(
        r'/settings/workspace/people/(per_\w+)/remove"[^>]*Remove leo@', host.get("/settings/workspace").text
    )
    assert person
    assert host.post(f"/settings/workspace/people/{person[1]}/remove").status == 303
    assert guest.get("/settings/account").status == 303


PAGES = (
    "/sign-in",
    "/no-such-page",
    "/settings/destinations",
    "/settings/sources",
    "/settings/workspace",
    "/settings/api-keys",
    "/settings/secrets",
    "/settings/account",
    "/audit",
)


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("path", PAGES)
def test_every_answer_tells_the_browser_what_to_refuse(own_server: ServerProcess, path: str, signed_in: bool) -> None:
    console = Console(own_server.url)
    if signed_in:
        console.sign_in()
    page = console.get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert re.fullmatch(r"'self' 'nonce-\w+'", policy["style-src"])
    assert (policy["form-action"], policy["base-uri"], policy["frame-ancestors"]) == ("'self'", "'none'", "'none'")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<[^>]+\sstyle=|<style|\son\w+=", page.text)
    assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", page.text))


def test_the_nonce_is_new_on_every_page(stranger: Console) -> None:
    policies = {stranger.get("/sign-in").headers["content-security-policy"] for _ in range(3)}
    assert len(policies) == 3


def test_a_token_is_good_for_one_session_only(own_server: ServerProcess) -> None:
    console = Console(own_server.url)
    console.get("/sign-in")
    before = console.csrf()
    console.sign_in()
    assert console.post("/sign-out", token=before).status == 403
    assert console.post("/sign-out").status == 303


@pytest.mark.parametrize("cookie", ["", "not-one-of-ours", "f" * 128])
def test_a_token_cookie_that_is_none_of_ours_is_replaced(own_server: ServerProcess, cookie: str) -> None:
    console = Console(own_server.url, {"tl_csrf": cookie})
    console.get("/sign-in")
    assert console.cookies["tl_csrf"] != cookie
    assert console.sign_in().status == 303


@pytest.mark.parametrize("site,status", [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)])
def test_a_form_that_another_site_has_sent_is_refused_even_with_its_token(
    own_server: ServerProcess, site: str, status: int
) -> None:
    console = Console(own_server.url)
    token = console.csrf()
    answer = Api(own_server.url, None).send(
        "POST",
        "/sign-in",
        urlencode({"_csrf_token": token, "email": EMAIL, "password": PASSWORD}).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"tl_csrf={console.cookies['tl_csrf']}",
            "Sec-Fetch-Site": site,
        },
    )
    assert answer[0] == status


def test_a_token_of_letters_that_no_token_has_or_in_a_file_is_refused(stranger: Console) -> None:
    assert stranger.post("/sign-in", {"email": EMAIL}, token="é" * 64).status == 403
    file = b'--x\r\nContent-Disposition: form-data; name="_csrf_token"; filename="a"\r\n\r\nhi\r\n--x--\r\n'
    sent = {"Content-Type": "multipart/form-data; boundary=x", "Cookie": f"tl_csrf={stranger.cookies['tl_csrf']}"}
    assert Api(stranger.url, None).send("POST", "/sign-in", file, sent)[0] == 403


def test_signing_in_anew_ends_the_session_that_the_browser_had(stranger: Console) -> None:
    stranger.sign_in()
    kept = Console(stranger.url, stranger.cookies)
    stranger.get("/settings/account")
    assert stranger.sign_in().status == 303
    assert kept.get("/settings/account").status == 303
    assert stranger.get("/settings/account").status == 200


def test_who_is_removed_cannot_come_back_by_an_invitation_of_their_own(own_server: ServerProcess) -> None:
    guest = invited_person(own_server, "max@example.com")
    link = guest.post("/settings/workspace/invitations", {"email": "max2@example.com"}).code("invitation")
    assert Console(own_server.url).get(link.removeprefix(own_server.url)).status == 200
    host = Console(own_server.url)
    host.sign_in()
    person = re.search(r"/people/(per_\w+)/remove\"[^>]*Remove max@", host.get("/settings/workspace").text)
    assert person
    assert host.post(f"/settings/workspace/people/{person[1]}/remove").status == 303
    assert Console(own_server.url).get(link.removeprefix(own_server.url)).status == 404
