"""The console as a browser without scripts sees it: pages, forms, cookies.

with ServerProcess(tmp_path / "data") as server:
    console = first_person(server)
    page = console.post("/settings/secrets", {"name": "token", "value": "s3cret"})
    assert console.follow(page).status == 200
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from email.message import Message
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode

from tests.harness import Api, ServerProcess, wait_until

EMAIL, PASSWORD = "ana@example.com", "correct horse battery staple"

Form = Mapping[str, str | Sequence[str]]


class Page(NamedTuple):
    """What the console answered."""

    status: int
    headers: Message
    text: str

    @property
    def location(self) -> str:
        """Where a redirect leads; for an answer to htmx, where htmx is sent."""
        return str(self.headers.get("location") or self.headers.get("hx-redirect") or "")

    @property
    def words(self) -> str:
        """The text that people read, in one line: no markup, no entities."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.text)).split())

    @property
    def errors(self) -> str:
        """What stands at the fields that are at fault."""
        found = re.findall(r'class="field-error".*?<span>(.*?)</span>', self.text, re.DOTALL)
        return html.unescape(" ".join(found))

    def hidden(self, *names: str) -> dict[str, str]:
        """What the hidden fields of these names send, as far as there are such."""
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', self.text)
        return {name: html.unescape(value) for name, value in found if name in names}

    def code(self, element_id: str) -> str:
        """The text of a block of code. Fails where there is none of that id."""
        found = re.search(rf'<pre id="{element_id}"[^>]*>(.*?)</pre>', self.text, re.DOTALL)
        assert found, f"no {element_id} on the page: {self.words}"
        return html.unescape(found[1])

    def value(self, field: str) -> str:
        """What the first field of that name holds. Fails where there is none."""
        found = re.search(rf'<input [^>]*name="{field}" [^>]*?value="([^"]*)"', self.text)
        assert found, f"no field {field} on the page: {self.words}"
        return html.unescape(found[1])


class Console:
    """One browser: `cookies` are its jar. Redirects are answered, not followed; `follow` follows.

    `headers` come with every request, as a proxy adds them.
    """

    def __init__(
        self, url: str, cookies: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        self._headers = dict(headers or {})
        self.cookies = dict(cookies or {})
        self._api = Api(url, None)
        self._csrf = ""

    def get(self, path: str, **query: object) -> Page:
        """A page."""
        return self._send("GET", f"{path}?{urlencode(query)}" if query else path)

    def fragment(self, path: str, **query: object) -> Page:
        """The part of a page that htmx asks for."""
        return self._send("GET", f"{path}?{urlencode(query)}" if query else path, headers={"HX-Request": "true"})

    def drawer(self, path: str) -> Page:
        """The inside of the drawer that a link opens."""
        return self._send("GET", path, headers={"HX-Request": "true", "HX-Target": "drawer"})

    def post(self, path: str, form: Form | None = None, *, htmx: bool = False, token: str | None = None) -> Page:
        """Send a form, with the CSRF token of a page that was seen, or another `token`."""
        fields = {"_csrf_token": self.csrf() if token is None else token} | dict(form or {})
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"HX-Request": "true"} if htmx else {})
        return self._send("POST", path, urlencode(fields, doseq=True).encode(), headers)

    def upload(self, path: str, form: Mapping[str, str], name: str, content: bytes) -> Page:
        """Send a form with a file in its field `name`."""
        fields = {"_csrf_token": self.csrf()} | dict(form)
        parts = [f'name="{field}"\r\n\r\n{value}'.encode() for field, value in fields.items()]
        parts.append(f'name="{name}"; filename="members.csv"\r\nContent-Type: text/csv\r\n\r\n'.encode() + content)
        body = b"".join(b"--part\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
        return self._send("POST", path, body + b"--part--\r\n", {"Content-Type": "multipart/form-data; boundary=part"})

    def follow(self, page: Page) -> Page:
        """The page that a redirect leads to. Fails where it is none."""
        assert page.location, f"{page.status} is no redirect: {page.words}"
        return self.get(page.location)

    def csrf(self) -> str:
        """The token that forms carry, as the head of the last page tells it to scripts."""
        if not self._csrf:
            page = self.get("/settings/destinations")
            if page.status == 303:  # nobody is signed in
                self.follow(page)
        assert self._csrf, "no page has told a CSRF token"
        return self._csrf

    def join(self, link: str, email: str | None = EMAIL, password: str = PASSWORD) -> Page:
        """Take up an invitation; `email` is asked where the link is for nobody in particular."""
        form = {"password": password, "again": password} | ({} if email is None else {"email": email})
        return self.post(link.removeprefix(self.url), form)

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD, **more: str) -> Page:
        """Send the form for signing in."""
        return self.post("/sign-in", {"email": email, "password": password, **more})

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Page:
        sent = self._headers | dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        status, received, content = self._api.send(method, path, body, sent)
        session = self.cookies.get("tl_session")
        for line in received.get_all("set-cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        if self.cookies.get("tl_session") != session:
            self._csrf = ""  # a token is good for one session
        page = Page(status, received, content.decode())
        if found := re.search(r'<meta name="csrf" content="([^"]+)">', page.text):
            self._csrf = found[1]
        return page


def setup_link(server: ServerProcess) -> str:
    """The newest one-time link that a server has printed while there was nobody."""
    links = wait_until(lambda: re.findall(r"https?://\S+/setup/\S+", server.log_text()), what="the link to be printed")
    return str(links[-1])


def first_person(server: ServerProcess) -> Console:
    """The very first person (`EMAIL`, `PASSWORD`), signed in."""
    console = Console(server.url)
    page = console.join(setup_link(server))
    assert page.status == 303, page.words
    return console


def invited_person(server: ServerProcess, email: str, password: str = PASSWORD) -> Console:
    """Somebody else, invited over the API and signed in."""
    invitation = Api(server.url, server.key).post("/v1/people/invitations", {"email": email}).body
    guest = Console(server.url)
    page = guest.join(str(invitation["url"]), email=None, password=password)
    assert page.status == 303, page.words
    return guest
