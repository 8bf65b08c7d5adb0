"""The consent tester over HTTP."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.client import Console, Page
from tests.console.place import Place
from tests.web.expect import ok

ADS = {"requires": ["ad_storage"]}
REDACTED = {"requires": ["ad_storage"], "when_denied": "redact", "redact": ["user_data.email"]}


def tried(place: Place, **fields: Any) -> Page:
    """The answer for an event of this place."""
    page = place.console.post("/settings/consent", {"event": json.dumps(place.event(**fields))})
    assert page.status == 200, page.words
    return page


def row(page: Page, name: str) -> str:
    """The words of one row: its first cell says `name`."""
    for found in re.findall(r"<tr>(.*?)</tr>", page.text, re.DOTALL):
        words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())
        if words.startswith(f"{name} "):
            return words
    raise AssertionError(f"no row of {name}: {page.words}")


def typed(page: Page) -> dict[str, Any]:
    """The event that stands in the form."""
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert found, page.words
    event: dict[str, Any] = json.loads(html.unescape(found[1]))
    return event


@pytest.fixture
def defaults(place: Place) -> Iterator[None]:
    """In the EEA ads are denied where nothing is known."""
    rules = ok(place.api.get("/v1/workspace"))["rules"]
    changed = rules | {"consent_defaults": {"EEA": {"ad_storage": "denied"}}}
    ok(place.api.put("/v1/workspace", {"rules": changed}))
    yield
    ok(place.api.put("/v1/workspace", {"rules": rules}))


def test_the_tester_is_for_who_is_signed_in(console_url: str) -> None:
    assert Console(console_url).get("/settings/consent").status == 303


def test_it_begins_with_a_sample_and_is_a_tab_of_the_settings(console: Console) -> None:
    page = console.get("/settings/consent")
    assert typed(page)["consent"]["ad_storage"] == "denied"
    assert '<a href="/settings/consent" aria-current="page">Consent</a>' in page.text
    assert "Consent, as it would be resolved" not in page.words
    assert console.post("/settings/consent", {"event": json.dumps(typed(page))}).status == 200


def test_every_destination_is_sent_redacted_suppressed_or_not_routed_and_says_why(place: Place) -> None:
    for name, config in (("ads", {"consent": ADS}), ("analytics", {"consent": REDACTED}), ("all", {})):
        place.create(name=f"{place.name}_{name}", **config)
    place.create(name=f"{place.name}_other", filter={"event_name": ["another_event"]})
    page = tried(place, user_data={"email": "lee@example.com"}, consent={"ad_storage": "denied"})
    assert f"{place.name}_ads suppressed ad_storage is denied by the event." in row(page, f"{place.name}_ads")
    redacted = row(page, f"{place.name}_analytics")
    assert "redacted Sent with user_data.email redacted: ad_storage is denied by the event." in redacted
    assert row(page, f"{place.name}_all").startswith(f"{place.name}_all sent A delivery would be made and sent.")
    assert "consent : nothing is required that is missing" in row(page, f"{place.name}_all")
    assert "not routed event_name is" in row(page, f"{place.name}_other")
    granted = tried(place, consent={"ad_storage": "granted"})
    for name in ("ads", "analytics", "all"):
        assert row(granted, f"{place.name}_{name}").startswith(f"{place.name}_{name} sent ")


def test_a_suppression_and_a_pause_are_told_too(place: Place) -> None:
    stopped, paused = place.create(name=f"{place.name}_stopped"), place.create(name=f"{place.name}_paused")
    ok(place.api.post(f"/v1/destinations/{stopped['id']}/suppressions", {"filter": {}, "reason": "audit week"}), 201)
    ok(place.api.post(f"/v1/destinations/{paused['id']}/pause", {}))
    page = tried(place)
    assert "audit week" in row(page, f"{place.name}_stopped")
    assert row(page, f"{place.name}_stopped").startswith(f"{place.name}_stopped suppressed ")
    assert row(page, f"{place.name}_paused").startswith(f"{place.name}_paused waits ")


@pytest.mark.usefixtures("defaults")
def test_each_category_says_where_its_state_comes_from(place: Place) -> None:
    page = tried(place, user_data={"country": "DE"}, consent={"analytics_storage": "granted"})
    assert row(page, "ad_storage") == "ad_storage denied the default for EEA –"
    assert row(page, "analytics_storage").startswith("analytics_storage granted the event ")
    gpc = tried(place, context={"gpc": True})
    assert row(gpc, "ad_storage").startswith("ad_storage denied Global Privacy Control ")


def test_what_is_remembered_of_a_user_counts_and_the_tester_itself_remembers_nothing(place: Place) -> None:
    user = {"user_data": {"external_id": f"user_of_{place.name}"}}
    tried(place, **user, consent={"ad_storage": "granted"})
    assert "Nothing is known" in tried(place, **user).words
    place.send(**user, consent={"ad_storage": "denied"})
    assert row(tried(place, **user), "ad_storage").startswith("ad_storage denied what is remembered of the user ")


@pytest.mark.usefixtures("defaults")
def test_a_stored_event_is_filled_in_as_its_sender_told_it(place: Place) -> None:
    sent = place.event(event_id=f"{place.name}_1", user_data={"country": "DE"}, consent={"personalization": "granted"})
    stored = ok(place.api.post("/v1/events", sent))
    shown = ok(place.api.get(f"/v1/events/{stored['id']}"))
    assert shown["consent"] == {"ad_storage": "denied", "personalization": "granted"}
    page = place.console.get("/settings/consent", event=f"{place.name}_1")
    assert typed(page)["consent"] == {"personalization": "granted"}
    assert "consent" not in typed(page)["context"]
    assert row(page, "ad_storage") == "ad_storage denied the default for EEA –", "it comes from the rules of today"


@pytest.mark.parametrize(
    "text,words",
    [
        ("{", "This is not JSON"),
        ("[]", 'An event is an object, such as {"event_name": "purchase"}.'),
        ("", "event_name"),
        ('{"event_name": "x", "consent": 3}', "At /consent: "),
    ],
)
def test_what_is_no_event_says_why_and_keeps_what_was_typed(console: Console, text: str, words: str) -> None:
    page = console.post("/settings/consent", {"event": text})
    assert page.status == 422
    assert words in page.errors
    assert html.escape(text, quote=True) in page.text.replace("&#34;", "&quot;")


def test_an_event_that_is_not_there_is_told(console: Console) -> None:
    page = console.get("/settings/consent", event="gone")
    assert page.status == 422
    assert "There is no event 'gone'." in page.errors
