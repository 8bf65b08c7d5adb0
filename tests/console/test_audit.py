from __future__ import annotations

import html
import re
from itertools import count

import pytest

from tests.console.client import Console, Page
from tests.harness import Api

_numbers = count()


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"audit_{next(_numbers)}"


def targets(page: Page) -> list[str]:
    """The targets of a page's rows, in order."""
    return re.findall(r'href="/audit\?target=[^"]*" title="[^"]*">([^<]+)</a>', page.text)


def test_the_audit_is_for_who_is_signed_in(console_url: str) -> None:
    assert Console(console_url).get("/audit").location == "/sign-in?next=/audit"


def test_what_is_done_here_has_the_person_as_its_actor_and_no_value(console: Console, name: str) -> None:
    console.post("/settings/secrets", {"name": name, "value": "a-value-that-hides"})
    page = console.get("/audit", target=name)
    assert re.search(rf"ana@example\.com secret stored {name} replaced", page.words)
    assert '"replaced": false' in page.words
    assert "a-value-that-hides" not in page.text


def test_entries_are_selected_by_actor_action_kind_and_target(console: Console, console_api: Api, name: str) -> None:
    console.post("/settings/secrets", {"name": name, "value": "the first"})
    console_api.put(f"/v1/secrets/{name}", {"value": "the second"})
    console_api.delete(f"/v1/secrets/{name}")
    assert targets(console.get("/audit", target=name)) == [name] * 3
    assert targets(console.get("/audit", target=name, actor="ana@example.com")) == [name]
    assert targets(console.get("/audit", target=name, action="secret.removed")) == [name]
    assert targets(console.get("/audit", target=name, action="secret")) == [name] * 3
    assert targets(console.get("/audit", target=f" {name} ", action="destination")) == []


def test_the_filter_stays_in_its_fields(console: Console) -> None:
    page = console.get("/audit", actor='a"b', action="secret.removed", target="<t>")
    assert 'value="a&#34;b"' in page.text
    assert 'value="&lt;t&gt;"' in page.text
    assert '<option value="secret.removed" selected>' in page.text
    assert "Nothing of this kind" in page.words


def test_pages_follow_each_other_with_the_filter_and_without_a_gap(
    console: Console, console_api: Api, name: str
) -> None:
    wanted = [f"{name}_{number}" for number in range(101)]
    for each in wanted:
        console_api.put(f"/v1/secrets/{each}", {"value": "some-value"})
        console_api.delete(f"/v1/secrets/{each}")
    page, found = console.get("/audit", action="secret.removed"), []
    for _ in range(2):
        assert len(targets(page)) == 50
        found += targets(page)
        older = re.search(r'href="([^"]+)" rel="next"', page.text)
        assert older
        page = console.get(html.unescape(older[1]))
        assert 'href="/audit?action=secret.removed">Newest</a>' in page.text
    found += targets(page)
    assert found[:101] == wanted[::-1]


def test_a_destination_is_named_while_it_is_there(console: Console, console_api: Api, name: str) -> None:
    made = console_api.post("/v1/destinations", {"name": name, "transport": {"url": "http://127.0.0.1:9/hook"}})
    destination = made.body["id"]
    link = f'<a class="one-line" href="/settings/destinations/{destination}" title="{name}">{name}</a>'
    assert link in console.get("/audit", target=destination).text
    console_api.delete(f"/v1/destinations/{destination}")
    after = console.get("/audit", target=destination)
    assert link not in after.text
    assert "destination deleted" in after.words


def test_what_an_entry_tells_is_text(console: Console, console_api: Api) -> None:
    tags = "<img src=x onerror=alert(1)>"
    made = console_api.post("/v1/destinations", {"name": tags, "transport": {"url": "http://127.0.0.1:9/hook"}})
    page = console.get("/audit", target=made.body["id"])
    assert tags not in page.text
    assert html.escape(tags) in page.text
    console_api.delete(f"/v1/destinations/{made.body['id']}")
