"""`/events`: what came in, found by id, user and name; and one event's fate over all destinations."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from markupsafe import escape

from tests.console.client import Page, first_person
from tests.console.hostile import IMAGE, MARKUP, SCRIPT, let_through
from tests.console.place import Place
from tests.harness import Api, ServerProcess, wait_until
from tests.web.expect import ok
from tracklayer.demo.answers import Answer

LIST = "/events"


def found(page: Page) -> list[str]:
    """The ids of the events that a list shows, in its order."""
    assert page.status == 200, page.words
    return re.findall(r'<span class="meta mono clip" title="[^"]*">([^<]*)</span>', page.text)


def branch(page: Page, name: str) -> str:
    """What the tree of an event's fate says of one destination, as one line."""
    assert page.status == 200, page.words
    (text,) = [each for each in re.findall(r"<details.*?</details>", page.text, re.DOTALL) if name in each]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_newest_events_come_first_and_open_beside_the_list(place: Place) -> None:
    ids = [place.send(event_id=f"{place.name}-{number}") for number in range(3)]
    page = place.console.get(LIST, name=place.name)
    assert found(page) == ids[::-1]
    assert f'href="/events/{ids[0]}" data-drawer' in page.text


@pytest.mark.parametrize("field", ["external_id", "anonymous_id", "email", "phone"])
def test_an_event_is_found_by_its_id_and_its_user(place: Place, field: str) -> None:
    user = f"+1555{place.name.removeprefix('place_')}" if field == "phone" else f"ana@{place.name}.example"
    place.send(event_id=f"{place.name}-other", user_id="someone-else")
    sent = place.send(event_id=f"{place.name}-wanted", user_data={field: user})
    by_user = place.console.get(LIST, q=f" {user} ")
    assert found(by_user) == [sent]
    assert f"Events of the user {user}." in by_user.words
    by_id = place.console.get(LIST, q=sent)
    assert found(by_id) == [sent]
    assert f"The event with the id {sent}." in by_id.words


def test_a_text_that_is_no_id_and_no_user_is_a_name(place: Place) -> None:
    sent = place.send()
    page = place.console.get(LIST, q=place.name)
    assert found(page) == [sent]
    assert f"Events with the name {place.name}." in page.words


def test_tests_can_be_left_out(place: Place) -> None:
    made = place.create()
    live = place.send()
    tested = ok(place.api.post(f"/v1/destinations/{made['id']}/test", {"event": place.event()}))["event_id"]
    for choice, ids in {"": [tested, live], "no": [live], "yes": [tested]}.items():
        assert found(place.console.get(LIST, name=place.name, test=choice)) == ids


def test_pages_of_events_follow_each_other_without_a_gap(place: Place) -> None:
    batch = [place.event(event_id=f"{place.name}-{number:02}") for number in range(52)]
    ok(place.api.post("/v1/events/batch", {"events": batch}), 202)
    first = place.console.get(LIST, name=place.name)
    older = re.search(r'href="(/events\?[^"]*before=[^"]*)" rel="next"', first.text)
    assert older
    second = place.console.get(older[1].replace("&amp;", "&"))
    assert found(first) + found(second) == [each["event_id"] for each in batch][::-1]
    assert place.console.get(LIST, before="evt_../x").status == 404


def test_nothing_found_says_how_to_search(place: Place) -> None:
    page = place.console.get(LIST, q="nobody@nowhere.example")
    assert "Nothing found" in page.words
    assert "A search is exact" in page.words


def test_before_the_first_event_the_page_teaches_how_to_send_one(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        console = first_person(server)
        page = console.get(LIST)
        assert "No events yet" in page.words
        assert f"{server.url}/v1/events" in page.text
        assert "$TRACKLAYER_API_KEY" in page.text
        assert 'href="/settings/api-keys"' in page.text
        assert server.key not in page.text
        assert "No deliveries yet" in console.get("/deliveries").words
        ok(Api(server.url, server.key).post("/v1/events", {"event_id": "e_1", "event_name": "purchase"}))
        assert "There is no destination yet" in console.get(f"{LIST}/e_1").words


def test_the_page_of_an_event_shows_it_digit_for_digit_with_its_deliveries(place: Place) -> None:
    made = place.create()
    raw = f'{{"event_name": "{place.name}", "event_id": "{place.name}-1", "properties": {{"value": 149.90}}}}'.encode()
    assert place.api.call("POST", "/v1/events", raw, headers={"Content-Type": "application/json"}).status == 200
    delivery = place.settled(f"{place.name}-1", "delivered")
    page, beside = place.console.get(f"{LIST}/{place.name}-1"), place.console.drawer(f"{LIST}/{place.name}-1")
    for each in (page, beside):
        assert each.status == 200
        assert "&#34;value&#34;: 149.90" in each.text
        assert f'data-delivery="{delivery["id"]}"' in each.text
        assert f'href="/deliveries/{delivery["id"]}"' in each.text
        assert f"/settings/destinations/{made['id']}/edit?event={place.name}-1" in each.text
        assert "#test" in each.text
    assert "<html" in page.text
    assert "<html" not in beside.text


def test_the_fate_of_an_event_is_told_for_every_destination_the_takers_first(place: Place) -> None:
    taker = place.create(name=f"{place.name} z-taker")
    refuser = place.create(name=f"{place.name} a-refuser", filter={"event_name": ["another"]})
    asker = place.create(name=f"{place.name} b-asker", consent={"requires": ["ad_storage"]})
    place.create(name=f"{place.name} c-paused", filter={"event_name": ["another"]}, status="paused")
    event_id = place.send()
    wait_until(lambda: place.requests, what="the request")
    page = place.console.get(f"{LIST}/{event_id}")
    names = [name for name in re.findall(r'<strong class="break">([^<]*)</strong>', page.text) if place.name in name]
    ends = ["b-asker", "z-taker", "a-refuser", "c-paused"]
    assert [name.removeprefix(f"{place.name} ") for name in names] == ends
    taken = branch(page, taker["name"])
    assert "yes: the destination is active" in taken
    assert f"event_name is '{place.name}'" in taken
    assert "dlv_" in taken
    refused = branch(page, refuser["name"])
    assert "not sent" in refused
    assert f"no: event_name is '{place.name}', expected one of 'another'" in refused
    assert "none was made" in refused
    assert "Edit the filter" in refused
    asked = branch(page, asker["name"])
    assert "suppressed" in asked
    assert "no: ad_storage is unknown" in asked
    paused = branch(page, f"{place.name} c-paused")
    assert f"not sent event_name is '{place.name}', expected one of 'another'" in paused  # a pause is not why


def test_a_failure_is_told_with_its_reason_and_leads_to_the_delivery(place: Place) -> None:
    place.receiver.script(place.path, Answer(422))
    place.create()
    dead = place.kill()
    told = branch(place.console.get(f"{LIST}/{dead['event_id']}"), place.name)
    assert "dead letter after 1 attempt: 422 is not retried by default" in told
    assert dead["id"] in told


@pytest.mark.parametrize("event_id", ["a/b", "a//b/", "/", "..", ".", "a?b#c&d", "ä ☃%2F", "a/../b", "stream"])
def test_an_id_may_hold_anything_and_its_links_lead_to_it(place: Place, event_id: str) -> None:
    ok(place.api.post("/v1/events", place.event(event_id=event_id)))
    page = place.console.get(LIST, q=event_id)
    (path,) = set(re.findall(r'href="(/events[/?][^"]*)" data-drawer', page.text))
    assert not any(part in (".", "..") for part in path.partition("?")[0].split("/")), (
        "a browser would take it for a way up"
    )
    one = place.console.get(path)
    assert one.status == 200
    assert f'<code id="the-event-id">{escape(event_id)}</code>' in one.text


def test_an_event_that_is_not_there_is_not_found(place: Place) -> None:
    page = place.console.get(f"{LIST}/{quote('no/such', safe='')}")
    assert page.status == 404
    assert "no/such" in page.words


def test_nothing_that_senders_write_becomes_markup(place: Place) -> None:
    place.create(name=f"{place.name} {IMAGE}")
    hostile_id = f"{place.name}/{SCRIPT}"
    hostile = place.event(
        event_id=hostile_id,
        platform=IMAGE,
        segment=[SCRIPT, MARKUP],
        user_id=f"{MARKUP}{place.name}",
        properties={SCRIPT: [IMAGE, {MARKUP: SCRIPT}]},
        context={IMAGE: MARKUP},
    )
    ok(place.api.post("/v1/events", hostile))
    ok(place.api.post("/v1/events", hostile | {"event_id": f"{hostile_id}2", "event_name": f"{SCRIPT}{IMAGE}"}))
    path = f"{LIST}/{quote(hostile_id, safe='')}"
    pages = [
        place.console.get(LIST, q=f"{MARKUP}{place.name}"),
        place.console.get(LIST, q=f"{SCRIPT}{IMAGE}", name=MARKUP, test=IMAGE),
        place.console.get(path),
        place.console.get(f"{path}2"),
        place.console.drawer(path),
        place.console.get(f"{LIST}/{quote(IMAGE, safe='')}"),
    ]
    for page in pages:
        assert let_through(page.text) == []
    assert found(pages[0]) == [str(escape(f"{hostile_id}2")), str(escape(hostile_id))]
    assert str(escape(SCRIPT)) in pages[2].text
